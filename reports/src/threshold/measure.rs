//! Counts of what one threshold is about.

use super::figures::Figures;
use crate::histogram::{LatencyHistogram, Precision};
use crate::phase::Metric;
use crate::record::Record;
use crate::tries::Tries;

/// The figures of some devices, as they come.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    metric: Option<Metric>,
    precision: Precision,
    ended: u64,
    dropped: u64,
    registered: u64,
    provisioned: u64,
    tries: Tries,
    histogram: Option<Box<LatencyHistogram>>,
}

impl Measure {
    /// Nothing counted.
    pub(super) fn new(metric: Option<Metric>, precision: Precision) -> Self {
        Self {
            metric,
            precision,
            ended: 0,
            dropped: 0,
            registered: 0,
            provisioned: 0,
            tries: Tries::default(),
            histogram: None,
        }
    }

    /// Counts one device.
    pub(super) fn add(&mut self, record: &Record) {
        if !record.outcome.is_started() {
            self.dropped += 1;
            return;
        }
        self.ended += 1;
        self.registered += u64::from(record.registered_us.is_some());
        self.provisioned += u64::from(record.provisioned_us().is_some());
        self.tries.add(record);
        if let Some(us) = self.metric.and_then(|metric| record.sample(metric)) {
            self.histogram().record(us);
        }
    }

    /// Adds what another has counted.
    pub(super) fn merge(&mut self, other: &Self) {
        self.ended += other.ended;
        self.dropped += other.dropped;
        self.registered += other.registered;
        self.provisioned += other.provisioned;
        self.tries.merge(other.tries);
        if let Some(more) = &other.histogram {
            self.histogram().add(more);
        }
    }

    fn histogram(&mut self) -> &mut LatencyHistogram {
        let precision = self.precision;
        self.histogram
            .get_or_insert_with(|| Box::new(LatencyHistogram::new(precision)))
    }

    /// The figures, of so many microseconds; ratios are of the devices that have ended, or were not started.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of devices and microseconds of a run"
    )]
    pub(super) fn figures(&self, us: u64) -> Figures {
        let seconds = us as f64 / 1e6;
        Figures {
            base: self.ended + self.dropped,
            ended: self.ended,
            dropped: self.dropped,
            registered: self.registered,
            provisioned: self.provisioned,
            tries: self.tries,
            latency: self
                .histogram
                .as_ref()
                .and_then(|histogram| histogram.percentiles()),
            provisioned_rate: (us > 0).then(|| self.provisioned as f64 / seconds),
            ..Figures::default()
        }
    }
}
