//! Counts of what one threshold is about.

use super::condition::Condition;
use super::figures::Figures;
use super::samples::Samples;
use super::subject::Subject;
use super::tags::Among;
use crate::attempts::Attempts;
use crate::histogram::Precision;
use crate::phase::Metric;
use crate::record::Record;

/// The figures of some devices, as they come.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    subject: Subject,
    among: Among,
    metric: Option<Metric>,
    ended: u64,
    dropped: u64,
    registered: u64,
    provisioned: u64,
    attempts: Attempts,
    /// Devices that did not get as far as the metric is about.
    not_reached: u64,
    samples: Samples,
}

impl Measure {
    /// Nothing counted.
    pub(super) fn new(
        subject: Subject,
        among: Among,
        condition: Condition,
        precision: Precision,
    ) -> Self {
        Self {
            subject,
            among,
            metric: subject.metric(),
            ended: 0,
            dropped: 0,
            registered: 0,
            provisioned: 0,
            attempts: Attempts::default(),
            not_reached: 0,
            samples: Samples::new(condition.limit, precision),
        }
    }

    /// Counts one device.
    pub(super) fn add(&mut self, record: &Record) {
        if let Some(metric) = self.metric {
            self.not_reached += u64::from(record.falls_short_of(metric));
            if let Some(us) = record.sample(metric) {
                self.samples.record(us);
            }
        }
        if !record.outcome.is_started() {
            self.dropped += 1;
            return;
        }
        self.ended += 1;
        self.registered += u64::from(record.registered_us.is_some());
        self.provisioned += u64::from(record.provisioned_us().is_some());
        self.attempts.add(record);
    }

    /// Adds what another has counted.
    pub(super) fn merge(&mut self, other: &Self) {
        self.ended += other.ended;
        self.dropped += other.dropped;
        self.registered += other.registered;
        self.provisioned += other.provisioned;
        self.attempts.merge(other.attempts);
        self.not_reached += other.not_reached;
        self.samples.merge(&other.samples);
    }

    /// The figures, of so many microseconds; ratios are of the devices that have ended, or were not started.
    pub(super) fn figures(&self, us: u64) -> Figures {
        let not_reached = match self.among {
            Among::AllThatWereDue => self.not_reached,
            Among::Succeeded => 0,
        };
        let statistic = self.subject.statistic();
        Figures {
            base: self.ended + self.dropped,
            ended: self.ended,
            dropped: self.dropped,
            registered: self.registered,
            provisioned: self.provisioned,
            attempts: self.attempts,
            samples: self.samples.count(),
            latency_of: self.samples.count() + not_reached,
            latency: statistic.and_then(|it| self.samples.value(it, not_reached)),
            us,
            ..Figures::default()
        }
    }
}
