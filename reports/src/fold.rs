//! Counts and histograms of one group of devices: the whole run, or one cut of it.

use std::collections::BTreeMap;

use crate::histogram::{LatencyHistogram, Precision};
use crate::phase::{Metric, Phase};
use crate::record::Record;
use crate::summary::{Latency, Percentiles};
use crate::tries::Tries;

/// One group's fold. A histogram exists once its metric has a sample.
#[derive(Debug)]
pub struct Fold {
    precision: Precision,
    /// Devices that started and ended.
    pub ended: u64,
    /// Devices assigned to a hub.
    pub registered: u64,
    /// Devices that got their twin.
    pub provisioned: u64,
    /// How often they tried.
    pub tries: Tries,
    histograms: [Option<Box<LatencyHistogram>>; Metric::COUNT],
}

impl Fold {
    /// Nothing counted.
    pub fn new(precision: Precision) -> Self {
        Self {
            precision,
            ended: 0,
            registered: 0,
            provisioned: 0,
            tries: Tries::default(),
            histograms: [const { None }; Metric::COUNT],
        }
    }

    /// Devices that ended without their twin.
    pub fn failed(&self) -> u64 {
        self.ended - self.provisioned
    }

    /// Counts one device.
    pub fn add(&mut self, record: &Record) {
        self.ended += 1;
        self.tries.add(record);
        if let Some(at) = record.registered_us {
            self.registered += 1;
            self.sample(
                Metric::RegistrationResponse,
                at.saturating_sub(record.intended_start_us),
            );
            self.sample(
                Metric::RegistrationService,
                at.saturating_sub(record.start_us),
            );
        }
        if let Some(at) = record.provisioned_us() {
            self.provisioned += 1;
            self.sample(
                Metric::ProvisioningResponse,
                at.saturating_sub(record.intended_start_us),
            );
            self.sample(
                Metric::ProvisioningService,
                at.saturating_sub(record.start_us),
            );
        }
        for phase in Phase::ALL {
            if let Some(us) = record.phase_us(phase) {
                self.sample(Metric::Phase(phase), u64::from(us));
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

    /// A metric's distribution; all zero without a sample.
    pub fn percentiles(&self, metric: Metric) -> Percentiles {
        self.histogram(metric)
            .map(LatencyHistogram::percentiles)
            .unwrap_or_default()
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

    /// Every phase that has samples.
    pub fn phases(&self) -> BTreeMap<String, Percentiles> {
        let with_samples = Phase::ALL
            .into_iter()
            .filter(|phase| self.histogram(Metric::Phase(*phase)).is_some());
        with_samples
            .map(|phase| {
                (
                    phase.name().to_owned(),
                    self.percentiles(Metric::Phase(phase)),
                )
            })
            .collect()
    }
}
