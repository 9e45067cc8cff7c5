//! Devices that were due to get so far and did not: whom the percentiles of a metric are not of.

use std::collections::BTreeMap;

use crate::phase::Metric;
use crate::record::Record;

/// By metric.
#[derive(Debug, Default)]
pub(crate) struct Shortfall {
    devices: [u64; Metric::COUNT],
}

impl Shortfall {
    /// Counts one device.
    pub(crate) fn add(&mut self, record: &Record) {
        for metric in Metric::all().filter(|metric| record.falls_short_of(*metric)) {
            self.devices[metric.index()] += 1;
        }
    }

    /// By a metric's name; without metrics that all reached.
    pub(crate) fn by_name(&self) -> BTreeMap<String, u64> {
        let counted = Metric::all().map(|metric| (metric, self.devices[metric.index()]));
        counted
            .filter(|(_, devices)| *devices > 0)
            .map(|(metric, devices)| (metric.name().to_owned(), devices))
            .collect()
    }
}
