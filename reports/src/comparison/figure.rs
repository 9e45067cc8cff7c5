//! The figures of a run that are compared, and the samples behind them.

use super::interval::{Ranked, Sample};
use super::unit::FigureUnit;
use crate::attempts::Attempts;
use crate::distribution::{Distribution, Undecodable};
use crate::latency::Percentiles;
use crate::phase::{Metric, Phase};
use crate::summary::Summary;

/// Which figure it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) dimension: String,
    pub(super) part: String,
    pub(super) figure: String,
}

/// One figure of one run.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) key: Key,
    pub(super) unit: FigureUnit,
    /// Of latencies, what the generator itself added at the same percentile.
    pub(super) generator_us: Option<u64>,
    pub(super) sample: Sample,
}

/// The dimension of the whole run.
pub(super) const RUN: &str = "run";

impl Key {
    /// Whether it is about all devices and all of their way.
    pub(super) fn is_of_run(&self) -> bool {
        self.dimension == RUN
    }
}

/// A percentile that is compared.
struct Percentile {
    name: &'static str,
    share: f64,
    of: fn(&Percentiles) -> u64,
    /// Fewer samples than this are not asked for it.
    from: u64,
}

const PERCENTILES: [Percentile; 4] = [
    Percentile {
        name: "p50",
        share: 0.5,
        of: |it| it.p50_us,
        from: 1,
    },
    Percentile {
        name: "p90",
        share: 0.9,
        of: |it| it.p90_us,
        from: 1,
    },
    Percentile {
        name: "p99",
        share: 0.99,
        of: |it| it.p99_us,
        from: 1,
    },
    Percentile {
        name: "p99.9",
        share: 0.999,
        of: |it| it.p999_us,
        from: 10_000,
    },
];

/// Latencies of the whole way.
const OF_RUN: [Metric; 4] = [
    Metric::RegistrationResponse,
    Metric::RegistrationService,
    Metric::ProvisioningResponse,
    Metric::ProvisioningService,
];

/// Every figure of a run that has samples.
pub(super) fn figures(summary: &Summary) -> Result<Vec<Figure>, Undecodable> {
    let mut figures = of_devices(summary);
    for metric in OF_RUN {
        figures.extend(latencies(summary, RUN, "", metric)?);
    }
    // The queue is the generator's own.
    for phase in Phase::ALL
        .into_iter()
        .filter(|phase| *phase != Phase::Queue)
    {
        figures.extend(latencies(summary, "phase", "", Metric::Phase(phase))?);
    }
    for cut in &summary.cuts {
        let (dimension, part) = (cut.dimension.as_str(), cut.name.as_str());
        let due = cut.released.saturating_add(cut.dropped);
        let unprovisioned = due.saturating_sub(cut.provisioned);
        figures.extend(share(
            (dimension, part, "not-provisioned.ratio"),
            unprovisioned,
            due,
        ));
        for (metric, distribution) in &cut.distributions {
            let key = (dimension, part, metric.as_str());
            figures.extend(of_distribution(summary, key, distribution)?);
        }
    }
    Ok(figures)
}

/// What is counted of all devices.
fn of_devices(summary: &Summary) -> Vec<Figure> {
    let devices = summary.devices;
    let due = devices.released.saturating_add(devices.dropped);
    let Attempts {
        retried, throttled, ..
    } = summary.attempts;
    let unprovisioned = due.saturating_sub(devices.provisioned);
    let has_lasted = summary.duration_us > 0;
    let rate = summary.rates.provisioned_per_second.filter(|_| has_lasted);
    let rate = rate.map(|_| Figure {
        key: key((RUN, "", "provisioned.rate")),
        unit: FigureUnit::PerSecond,
        generator_us: None,
        sample: Sample::Counted {
            count: devices.provisioned,
            of: seconds(summary.duration_us),
        },
    });
    let shares = [
        share((RUN, "", "not-provisioned.ratio"), unprovisioned, due),
        share((RUN, "", "throttled.ratio"), throttled, devices.released),
        share((RUN, "", "retried.ratio"), retried, devices.released),
    ];
    shares.into_iter().flatten().chain(rate).collect()
}

fn share(of: (&str, &str, &str), count: u64, whole: u64) -> Option<Figure> {
    (whole > 0).then(|| Figure {
        key: key(of),
        unit: FigureUnit::Share,
        generator_us: None,
        sample: Sample::Counted {
            count,
            of: crate::evidence::number(whole),
        },
    })
}

fn latencies(
    summary: &Summary,
    dimension: &str,
    part: &str,
    metric: Metric,
) -> Result<Vec<Figure>, Undecodable> {
    match summary.distributions.get(metric.name()) {
        Some(whole) => of_distribution(summary, (dimension, part, metric.name()), whole),
        None => Ok(Vec::new()),
    }
}

fn of_distribution(
    summary: &Summary,
    (dimension, part, metric): (&str, &str, &str),
    distribution: &Distribution,
) -> Result<Vec<Figure>, Undecodable> {
    let counted = Ranked::new(&distribution.decode()?);
    let percentiles = PERCENTILES.iter();
    let asked = percentiles.filter(|percentile| counted.count() >= percentile.from);
    Ok(asked
        .map(|percentile| Figure {
            key: key((dimension, part, &format!("{metric}.{}", percentile.name))),
            unit: FigureUnit::Microseconds,
            generator_us: summary.generator.added.as_ref().map(percentile.of),
            sample: Sample::Ranked {
                counted: counted.clone(),
                share: percentile.share,
            },
        })
        .collect())
}

fn key((dimension, part, figure): (&str, &str, &str)) -> Key {
    Key {
        dimension: dimension.into(),
        part: part.into(),
        figure: figure.into(),
    }
}

fn seconds(us: u64) -> f64 {
    crate::evidence::number(us) / 1e6
}
