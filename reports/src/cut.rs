//! The run cut by cohort, by transport, by attestation, by cell (one attestation over one transport), by
//! region, and by placement: one region's devices at one hub.

use crate::dimensions::Dimensions;
use crate::fold::Fold;
use crate::histogram::{LatencyHistogram, Precision};
use crate::phase::Metric;
use crate::record::Record;
use crate::snapshot::{CellView, CutView};
use crate::summary::Cut;

/// Every cut's fold; those without devices are not shown.
#[derive(Debug)]
pub(crate) struct Cuts {
    folds: Vec<CutFold>,
}

#[derive(Debug)]
struct CutFold {
    key: Key,
    name: String,
    fold: Fold,
}

/// Which records a cut takes, by their indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Cohort(usize),
    Transport(usize),
    Attestation(usize),
    Cell {
        attestation: usize,
        transport: usize,
    },
    Tenant(usize),
    Region(usize),
    Placement {
        region: usize,
        hub: usize,
    },
}

impl Key {
    fn takes(self, record: &Record) -> bool {
        match self {
            Self::Cohort(index) => usize::from(record.cohort) == index,
            Self::Transport(index) => usize::from(record.transport) == index,
            Self::Attestation(index) => usize::from(record.attestation) == index,
            Self::Cell {
                attestation,
                transport,
            } => {
                usize::from(record.attestation) == attestation
                    && usize::from(record.transport) == transport
            }
            Self::Tenant(index) => usize::from(record.tenant) == index,
            Self::Region(index) => record.region.map(usize::from) == Some(index),
            Self::Placement { region, hub } => {
                record.region.map(usize::from) == Some(region)
                    && record.hub.map(usize::from) == Some(hub)
            }
        }
    }

    fn dimension(self) -> &'static str {
        match self {
            Self::Cohort(_) => "cohort",
            Self::Transport(_) => "transport",
            Self::Attestation(_) => "attestation",
            Self::Cell { .. } => "cell",
            Self::Tenant(_) => "tenant",
            Self::Region(_) => "region",
            Self::Placement { .. } => "placement",
        }
    }
}

impl Cuts {
    /// Nothing counted.
    pub(crate) fn new(dimensions: &Dimensions) -> Self {
        let of = |names: &[String], key: fn(usize) -> Key| -> Vec<(Key, String)> {
            let keyed = names.iter().enumerate();
            keyed
                .map(|(index, name)| (key(index), name.clone()))
                .collect()
        };
        let cells = (0..).zip(&dimensions.attestations).flat_map(|(a, name)| {
            let transports = (0..).zip(&dimensions.transports);
            transports.map(move |(t, over)| {
                let key = Key::Cell {
                    attestation: a,
                    transport: t,
                };
                (key, format!("{name} over {over}"))
            })
        });
        let placements = (0..dimensions.regions.len()).flat_map(|region| {
            let hubs = 0..dimensions.hubs.len();
            hubs.map(move |hub| {
                let name = dimensions.placement(region, hub);
                (Key::Placement { region, hub }, name)
            })
        });
        let keys = of(&dimensions.cohorts, Key::Cohort)
            .into_iter()
            .chain(of(&dimensions.transports, Key::Transport))
            .chain(of(&dimensions.attestations, Key::Attestation))
            .chain(cells)
            .chain(of(&dimensions.tenants, Key::Tenant))
            .chain(of(&dimensions.regions, Key::Region))
            .chain(placements);
        let folds = keys.map(|(key, name)| CutFold {
            key,
            name,
            fold: Fold::new(Precision::Coarse),
        });
        Self {
            folds: folds.collect(),
        }
    }

    /// Counts one device in every cut that takes it.
    pub(crate) fn add(&mut self, record: &Record) {
        for cut in &mut self.folds {
            if cut.key.takes(record) {
                cut.fold.add(record);
            }
        }
    }

    /// The live rows of cohorts, transports, attestations and regions.
    pub(crate) fn views(&self) -> Vec<CutView> {
        let rows = self
            .used()
            .filter(|cut| !matches!(cut.key, Key::Cell { .. } | Key::Placement { .. }));
        rows.map(CutFold::view).collect()
    }

    /// The live cells.
    pub(crate) fn cells(&self, dimensions: &Dimensions) -> Vec<CellView> {
        let cells = self.used().filter_map(|cut| match cut.key {
            Key::Cell {
                attestation,
                transport,
            } => Some(CellView {
                attestation: dimensions.attestations.get(attestation)?.clone(),
                transport: dimensions.transports.get(transport)?.clone(),
                provisioned: cut.fold.provisioned,
                failed: cut.fold.failed(),
                response: cut.fold.percentiles(Metric::ProvisioningResponse),
            }),
            _ => None,
        });
        cells.collect()
    }

    /// The final rows. Cells are among them where they say more than transport or attestation alone.
    pub(crate) fn rows(&self) -> Vec<Cut> {
        let used = |dimension| {
            self.used()
                .filter(|cut| cut.key.dimension() == dimension)
                .count()
        };
        let with_cells = used("transport") > 1 && used("attestation") > 1;
        self.used()
            .filter(|cut| with_cells || !matches!(cut.key, Key::Cell { .. }))
            .map(CutFold::row)
            .collect()
    }

    fn used(&self) -> impl Iterator<Item = &CutFold> {
        self.folds
            .iter()
            .filter(|cut| cut.fold.ended + cut.fold.dropped > 0)
    }
}

impl CutFold {
    fn view(&self) -> CutView {
        CutView {
            dimension: self.key.dimension(),
            name: self.name.clone(),
            provisioned: self.fold.provisioned,
            failed: self.fold.failed(),
            response: self.fold.percentiles(Metric::ProvisioningResponse),
        }
    }

    fn row(&self) -> Cut {
        let drawn = self.fold.histogram(Metric::ProvisioningResponse);
        Cut {
            dimension: self.key.dimension().into(),
            name: self.name.clone(),
            released: self.fold.ended,
            provisioned: self.fold.provisioned,
            failed: self.fold.failed(),
            dropped: self.fold.dropped,
            tries: self.fold.tries,
            registration: self.fold.registration(),
            provisioning: self.fold.provisioning(),
            phases: self.fold.phases(),
            histogram: drawn.map_or(Vec::new(), LatencyHistogram::buckets),
        }
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
