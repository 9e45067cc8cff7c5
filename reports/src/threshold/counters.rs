//! What one threshold counts, in both readings.

use super::figures::Figures;
use super::measure::Measure;
use crate::readings::{GeneratorShare, Readings};
use crate::record::Record;

/// Some devices, as measured and without the generator's own share.
#[derive(Debug, Clone)]
pub(super) struct ThresholdCounters {
    measures: Readings<Measure>,
    devices: u64,
    /// Devices that the generator kept from their end.
    left_out: u64,
    /// Of all others: from when they were due to their end, and what the generator added to that.
    response_us: u128,
    added_us: u128,
}

impl ThresholdCounters {
    /// Nothing counted: an empty measure for each reading.
    pub(super) fn new(measures: Readings<Measure>) -> Self {
        Self {
            measures,
            devices: 0,
            left_out: 0,
            response_us: 0,
            added_us: 0,
        }
    }

    /// Counts one device; `without_generator` is the same without what the generator added, if that says anything.
    pub(super) fn add(&mut self, record: &Record, without_generator: Option<&Record>) {
        self.devices += 1;
        self.measures.measured.add(record);
        let Some(without_generator) = without_generator else {
            self.left_out += 1;
            return;
        };
        self.measures.without_generator.add(without_generator);
        let response_us = record.end_us.saturating_sub(record.intended_start_us);
        self.response_us += u128::from(response_us);
        self.added_us += u128::from(u64::from(record.added_us).min(response_us));
    }

    /// Adds what another has counted.
    pub(super) fn merge(&mut self, other: &Self) {
        self.measures.measured.merge(&other.measures.measured);
        let more = &other.measures.without_generator;
        self.measures.without_generator.merge(more);
        self.devices += other.devices;
        self.left_out += other.left_out;
        self.response_us += other.response_us;
        self.added_us += other.added_us;
    }

    /// The figures of so many microseconds.
    ///
    /// Where the generator holds devices up it holds up how many get through: with as many under way, they are
    /// as many more as each of them would be quicker (Little's law).
    pub(super) fn figures(&self, us: u64) -> Readings<Figures> {
        let shorter_us = match self.response_us {
            0 => us,
            all => {
                let own = all - self.added_us;
                u64::try_from(u128::from(us) * own / all).unwrap_or(us)
            }
        };
        Readings {
            measured: self.measures.measured.figures(us),
            without_generator: self
                .measures
                .without_generator
                .figures(shorter_us.max(1).min(us)),
        }
    }

    /// Devices that the generator kept from their end.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// What the generator had to do with them.
    pub(super) fn share(&self) -> GeneratorShare {
        let others = u128::from(self.devices - self.left_out);
        let mean_us = self.added_us.checked_div(others).unwrap_or(0);
        GeneratorShare {
            added_mean_us: u64::try_from(mean_us).unwrap_or(u64::MAX),
            left_out: self.left_out,
        }
    }
}
