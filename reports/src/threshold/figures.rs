//! The figures that a threshold is held against: of a whole run, or of a part of it.

use crate::life::Life;
use crate::phase::Metric;
use crate::summary::{Percentiles, Summary};
use crate::tries::Tries;

/// Figures of some devices in some time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    /// Devices that ratios are of.
    pub base: u64,
    /// Devices that started and ended.
    pub ended: u64,
    /// Of them assigned to a hub.
    pub registered: u64,
    /// Of them those that got their twin.
    pub provisioned: u64,
    /// Devices due and not started.
    pub dropped: u64,
    /// How often they tried.
    pub tries: Tries,
    /// The distribution of the threshold's metric, once it has samples.
    pub latency: Option<Percentiles>,
    /// Devices provisioned a second, once time has passed.
    pub provisioned_rate: Option<f64>,
    /// Devices that stay with their hubs.
    pub life: Life,
    /// Devices that went back to DPS and were provisioned.
    pub again: u64,
    /// Those that were not.
    pub again_failed: u64,
}

impl Figures {
    /// Samples of the threshold's metric.
    pub(super) fn samples(&self) -> u64 {
        self.latency.map_or(0, |latency| latency.count)
    }

    /// Of a run that is over: ratios are of the devices planned.
    pub(super) fn of(summary: &Summary, metric: Option<Metric>) -> Self {
        let devices = summary.devices;
        Self {
            base: devices.planned,
            ended: devices.provisioned + devices.failed,
            registered: devices.registered,
            provisioned: devices.provisioned,
            dropped: devices.dropped,
            tries: summary.tries,
            latency: metric.and_then(|metric| summary.percentiles(metric)),
            provisioned_rate: summary.rates.provisioned_per_second,
            life: summary.life,
            again: summary.again.provisioned,
            again_failed: summary.again.failed,
        }
    }
}
