//! The run cut by cohort, by transport, by attestation, by cell (one attestation over one transport), by
//! tenant, by region, and by placement: one region's devices at one hub.

use crate::dimensions::Dimensions;
use crate::fold::{Detail, Fold};
use crate::histogram::LatencyHistogram;
use crate::phase::Metric;
use crate::record::Record;
use rows::{Key, Rows};
use view::{CellView, Cut, CutView, LeftOut};

mod rows;
pub mod view;

pub(crate) use rows::{MAX_COUNTED, MAX_ROWS, most_detailed};

/// A dimension of more rows than can be looked at as pictures has none.
const MAX_DRAWN: usize = 64;

/// What a run is cut by, in the order of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Cohort,
    Transport,
    Attestation,
    Cell,
    Tenant,
    Region,
    Placement,
}

impl By {
    pub(crate) const ALL: [Self; 7] = [
        Self::Cohort,
        Self::Transport,
        Self::Attestation,
        Self::Cell,
        Self::Tenant,
        Self::Region,
        Self::Placement,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Cohort => "cohort",
            Self::Transport => "transport",
            Self::Attestation => "attestation",
            Self::Cell => "cell",
            Self::Tenant => "tenant",
            Self::Region => "region",
            Self::Placement => "placement",
        }
    }

    /// The row that a record is in.
    fn key(self, record: &Record) -> Option<Key> {
        let (attestation, transport) = (record.attestation.into(), record.transport.into());
        match self {
            Self::Cohort => Some((record.cohort.into(), 0)),
            Self::Transport => Some((transport, 0)),
            Self::Attestation => Some((attestation, 0)),
            Self::Cell => Some((attestation, transport)),
            Self::Tenant => Some((record.tenant.into(), 0)),
            Self::Region => Some((record.region?.into(), 0)),
            Self::Placement => Some((record.region?.into(), record.hub?.into())),
        }
    }

    /// The name of a row, if there is such a row.
    fn label(self, (first, second): Key, names: &Dimensions) -> Option<String> {
        match self {
            Self::Cohort => names.cohorts.get(first).cloned(),
            Self::Transport => names.transports.get(first).cloned(),
            Self::Attestation => names.attestations.get(first).cloned(),
            Self::Cell => {
                let (attestation, transport) = (
                    names.attestations.get(first)?,
                    names.transports.get(second)?,
                );
                Some(format!("{attestation} over {transport}"))
            }
            Self::Tenant => names.tenants.get(first).cloned(),
            Self::Region => names.regions.get(first).cloned(),
            Self::Placement => names.placement(first, second),
        }
    }

    /// What a row has histograms of. Placements can be as many as there are regions times hubs.
    pub(crate) fn detail(self) -> Detail {
        match self {
            Self::Placement => Detail::Response,
            _ => Detail::Reached,
        }
    }
}

/// Every cut's fold; those without devices are not shown.
#[derive(Debug)]
pub(crate) struct Cuts {
    names: Dimensions,
    cuts: [(By, Rows); By::ALL.len()],
}

impl Cuts {
    /// Nothing counted.
    pub(crate) fn new(names: &Dimensions) -> Self {
        Self {
            names: names.clone(),
            cuts: By::ALL.map(|by| (by, Rows::new(by.detail()))),
        }
    }

    /// Counts one device in every cut that takes it.
    pub(crate) fn add(&mut self, record: &Record) {
        for (by, rows) in &mut self.cuts {
            if let Some(key) = by.key(record) {
                rows.add(key, record, || by.label(key, &self.names).is_some());
            }
        }
    }

    /// The live rows of cohorts, transports, attestations, tenants and regions.
    pub(crate) fn views(&self) -> Vec<CutView> {
        let cuts = self.cuts.iter();
        let shown = cuts.filter(|(by, _)| !matches!(by, By::Cell | By::Placement));
        let views = shown.flat_map(|(by, rows)| {
            rows.told().into_iter().filter_map(|(key, fold)| {
                Some(CutView {
                    dimension: by.name(),
                    name: by.label(key, &self.names)?,
                    provisioned: fold.provisioned,
                    failed: fold.failed(),
                    response: fold.percentiles(Metric::ProvisioningResponse),
                })
            })
        });
        views.collect()
    }

    /// The live cells.
    pub(crate) fn cells(&self) -> Vec<CellView> {
        let cells = self.rows_by(By::Cell).into_iter().flat_map(Rows::told);
        let views = cells.filter_map(|((attestation, transport), fold)| {
            Some(CellView {
                attestation: self.names.attestations.get(attestation)?.clone(),
                transport: self.names.transports.get(transport)?.clone(),
                provisioned: fold.provisioned,
                failed: fold.failed(),
                response: fold.percentiles(Metric::ProvisioningResponse),
            })
        });
        views.collect()
    }

    /// The final rows. Cells are among them where they say more than transport or attestation alone.
    pub(crate) fn rows(&self) -> Vec<Cut> {
        let several = |by| self.rows_by(by).is_some_and(|rows| rows.told().len() > 1);
        let with_cells = several(By::Transport) && several(By::Attestation);
        let cuts = self.cuts.iter();
        let shown = cuts.filter(|(by, _)| with_cells || *by != By::Cell);
        let rows = shown.flat_map(|(by, rows)| {
            let told = rows.told();
            let drawn = told.len() <= MAX_DRAWN;
            told.into_iter().filter_map(move |(key, fold)| {
                let name = by.label(key, &self.names)?;
                Some(row(by.name(), name, fold, drawn))
            })
        });
        rows.collect()
    }

    /// What rows there would be beside them.
    pub(crate) fn left_out(&self) -> Vec<LeftOut> {
        let cuts = self.cuts.iter();
        cuts.filter_map(|(by, rows)| rows.left_out(by.name()))
            .collect()
    }

    fn rows_by(&self, by: By) -> Option<&Rows> {
        let mut cuts = self.cuts.iter();
        cuts.find_map(|(other, rows)| (*other == by).then_some(rows))
    }
}

fn row(dimension: &str, name: String, fold: &Fold, is_one_of_few: bool) -> Cut {
    let drawn = fold
        .histogram(Metric::ProvisioningResponse)
        .filter(|_| is_one_of_few);
    let whole: &[_] = if is_one_of_few {
        &Metric::RESPONSES
    } else {
        &[]
    };
    Cut {
        dimension: dimension.into(),
        name,
        released: fold.ended,
        provisioned: fold.provisioned,
        failed: fold.failed(),
        dropped: fold.dropped,
        attempts: fold.attempts,
        registration: fold.registration(),
        provisioning: fold.provisioning(),
        phases: fold.phases(),
        distributions: fold.distributions(whole.iter().copied()),
        histogram: drawn.map_or(Vec::new(), LatencyHistogram::buckets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample;

    fn cuts(devices: &[(u8, u8)]) -> Cuts {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let mut cuts = Cuts::new(&Dimensions {
            cohorts: names(&["gateways"]),
            transports: names(&["https", "mqtt"]),
            attestations: names(&["x509-group", "tpm"]),
            tenants: Vec::new(),
            regions: Vec::new(),
            hubs: Vec::new(),
        });
        for (attestation, transport) in devices {
            let mut record = sample();
            (record.attestation, record.transport) = (*attestation, *transport);
            cuts.add(&record);
        }
        cuts
    }

    #[test]
    fn a_cell_takes_the_devices_of_both_its_sides() {
        let rows = cuts(&[(0, 0), (0, 1), (0, 1), (1, 0)]).rows();
        let cells: Vec<_> = rows
            .iter()
            .filter(|row| row.dimension == "cell")
            .map(|row| (row.name.as_str(), row.released))
            .collect();
        assert_eq!(
            cells,
            [
                ("x509-group over https", 1),
                ("x509-group over mqtt", 2),
                ("tpm over https", 1)
            ]
        );
        let counted = |row: &Cut| row.histogram.iter().map(|bar| bar.count).sum::<u64>();
        assert!(rows.iter().all(|row| counted(row) == row.provisioned));
    }

    #[test]
    fn tenants_regions_and_where_devices_were_sent_are_counted() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let mut cuts = Cuts::new(&Dimensions {
            tenants: names(&["0ne00000001", "acme"]),
            regions: names(&["westeurope", "eastus"]),
            hubs: names(&["hub-weu.test", "hub-eus.test"]),
            ..Dimensions::default()
        });
        for (region, hub) in [
            (Some(0), Some(0)),
            (Some(0), Some(0)),
            (Some(0), Some(1)),
            (Some(1), Some(1)),
            (Some(1), None),
            (None, Some(0)),
        ] {
            cuts.add(&Record {
                region,
                hub,
                tenant: u8::from(hub.is_some()),
                ..sample()
            });
        }
        let rows = cuts.rows();
        let rows: Vec<_> = rows
            .iter()
            .map(|row| (row.dimension.as_str(), row.name.as_str(), row.released))
            .collect();
        assert_eq!(
            rows,
            [
                ("tenant", "0ne00000001", 1),
                ("tenant", "acme", 5),
                ("region", "westeurope", 3),
                ("region", "eastus", 2),
                ("placement", "westeurope to hub-weu", 2),
                ("placement", "westeurope to hub-eus", 1),
                ("placement", "eastus to hub-eus", 1),
            ]
        );
        let live = cuts.views();
        assert!(live.iter().all(|view| view.dimension != "placement"));
    }

    #[test]
    fn cells_that_say_nothing_new_are_left_out() {
        for devices in [&[(0, 0), (0, 1)][..], &[(0, 0), (1, 0)]] {
            let rows = cuts(devices).rows();
            assert!(rows.iter().all(|row| row.dimension != "cell"));
        }
    }
}
