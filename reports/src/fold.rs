//! Counts and histograms of one group of devices: the whole run, or one cut of it.

use std::collections::BTreeMap;

use crate::attempts::Attempts;
use crate::distribution::Distribution;
use crate::histogram::{LatencyHistogram, Precision};
use crate::latency::{Latency, Percentiles};
use crate::phase::{Metric, Phase};
use crate::record::Record;

/// What a fold has histograms of, beside its counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Every metric.
    All,
    /// Every metric but the time until failure.
    Reached,
    /// The response time of provisioning.
    Response,
    /// Nothing.
    Counts,
}

impl Detail {
    /// How many they are.
    pub fn histograms(self) -> usize {
        Metric::all().filter(|metric| self.has(*metric)).count()
    }

    fn has(self, metric: Metric) -> bool {
        match self {
            Self::All => true,
            Self::Reached => !matches!(metric, Metric::FailedResponse | Metric::FailedService),
            Self::Response => metric == Metric::ProvisioningResponse,
            Self::Counts => false,
        }
    }
}

/// One group's fold. A histogram exists once its metric has a sample.
#[derive(Debug)]
pub struct Fold {
    precision: Precision,
    detail: Detail,
    /// Devices that started and ended.
    pub ended: u64,
    /// Devices that were due and not started.
    pub dropped: u64,
    /// Devices assigned to a hub.
    pub registered: u64,
    /// Devices that got their twin.
    pub provisioned: u64,
    /// How often they tried.
    pub attempts: Attempts,
    histograms: [Option<Box<LatencyHistogram>>; Metric::COUNT],
}

impl Fold {
    /// Nothing counted.
    pub fn new(precision: Precision, detail: Detail) -> Self {
        Self {
            precision,
            detail,
            ended: 0,
            dropped: 0,
            registered: 0,
            provisioned: 0,
            attempts: Attempts::default(),
            histograms: [const { None }; Metric::COUNT],
        }
    }

    /// Devices that started and ended without their twin.
    pub fn failed(&self) -> u64 {
        self.ended - self.provisioned
    }

    /// Counts one device.
    pub fn add(&mut self, record: &Record) {
        if !record.outcome.is_started() {
            self.dropped += 1;
            return;
        }
        self.ended += 1;
        self.attempts.add(record);
        self.registered += u64::from(record.registered_us.is_some());
        self.provisioned += u64::from(record.provisioned_us().is_some());
        let detail = self.detail;
        for metric in Metric::all().filter(|metric| detail.has(*metric)) {
            if let Some(us) = record.sample(metric) {
                self.sample(metric, us);
            }
        }
    }

    fn sample(&mut self, metric: Metric, us: u64) {
        let precision = self.precision;
        self.histograms[metric.index()]
            .get_or_insert_with(|| Box::new(LatencyHistogram::new(precision)))
            .record(us);
    }

    /// A metric's histogram, once it has a sample.
    pub fn histogram(&self, metric: Metric) -> Option<&LatencyHistogram> {
        self.histograms[metric.index()].as_deref()
    }

    /// A metric's distribution; none without a sample.
    pub fn percentiles(&self, metric: Metric) -> Option<Percentiles> {
        self.histogram(metric)?.percentiles()
    }

    /// Whole distributions by name, of the metrics that have samples.
    pub fn distributions(
        &self,
        metrics: impl Iterator<Item = Metric>,
    ) -> BTreeMap<String, Distribution> {
        let with_samples = metrics.filter_map(|metric| {
            let whole = Distribution::of(self.histogram(metric)?)?;
            Some((metric.name().to_owned(), whole))
        });
        with_samples.collect()
    }

    /// Until the assigned hub was in hand.
    pub fn registration(&self) -> Latency {
        Latency {
            response: self.percentiles(Metric::RegistrationResponse),
            service: self.percentiles(Metric::RegistrationService),
        }
    }

    /// Until the twin was read.
    pub fn provisioning(&self) -> Latency {
        Latency {
            response: self.percentiles(Metric::ProvisioningResponse),
            service: self.percentiles(Metric::ProvisioningService),
        }
    }

    /// Until devices failed.
    pub fn failure(&self) -> Latency {
        Latency {
            response: self.percentiles(Metric::FailedResponse),
            service: self.percentiles(Metric::FailedService),
        }
    }

    /// Every phase that has samples.
    pub fn phases(&self) -> BTreeMap<String, Percentiles> {
        let with_samples = Phase::ALL.into_iter().filter_map(|phase| {
            let percentiles = self.percentiles(Metric::Phase(phase))?;
            Some((phase.name().to_owned(), percentiles))
        });
        with_samples.collect()
    }
}
