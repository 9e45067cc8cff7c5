//! How many devices come and get through in a second.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rates over the run; null where no time has passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// Devices provisioned a second, over the whole duration.
    pub provisioned_per_second: Option<f64>,
    /// Devices released a second, from the first to the last and as long after it as the plan would have had the
    /// next one wait: as many as planned where they start when they are due.
    pub released_per_second: Option<f64>,
    /// Devices a second that the plan asked for, from the first until one more would be due; null where the plan does
    /// not say when devices come.
    pub planned_per_second: Option<f64>,
}

/// When the plan has devices come, microseconds since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrivals {
    /// The first.
    pub first_us: u64,
    /// The last.
    pub last_us: u64,
    /// When one more would be due, if there were one.
    pub until_us: u64,
}

impl Arrivals {
    /// Devices a second, of so many: a row of them takes as many intervals as there are devices, not one less.
    pub(crate) fn planned(self, devices: u64) -> Option<f64> {
        per_second(devices, self.until_us.saturating_sub(self.first_us))
    }
}

/// When devices started, microseconds since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Starts {
    first_and_last_us: Option<(u64, u64)>,
}

impl Starts {
    /// One more.
    pub(crate) fn add(&mut self, start_us: u64) {
        let (first_us, last_us) = self.first_and_last_us.unwrap_or((start_us, start_us));
        self.first_and_last_us = Some((first_us.min(start_us), last_us.max(start_us)));
    }

    /// Devices a second, of so many. Where no plan says how long the next one would have waited, the last one counts
    /// as the end of the row.
    pub(crate) fn released(self, devices: u64, planned: Option<Arrivals>) -> Option<f64> {
        let (first_us, last_us) = self.first_and_last_us?;
        let us = last_us - first_us;
        match planned {
            Some(planned) => {
                let next_us = planned.until_us.saturating_sub(planned.last_us);
                per_second(devices, us.saturating_add(next_us))
            }
            None => per_second(devices.saturating_sub(1), us),
        }
    }
}

/// None where no time has passed.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of devices and microseconds of a run"
)]
pub(crate) fn per_second(count: u64, us: u64) -> Option<f64> {
    (us > 0).then(|| count as f64 * 1e6 / us as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(all_us: &[u64]) -> Starts {
        let mut starts = Starts::default();
        all_us.iter().for_each(|us| starts.add(*us));
        starts
    }

    #[test]
    fn devices_that_start_when_they_are_due_come_at_the_planned_rate() {
        // Five a second from the second on, five of them.
        let five = Arrivals {
            first_us: 2_000_000,
            last_us: 2_800_000,
            until_us: 3_000_000,
        };
        assert_eq!(five.planned(5), Some(5.0));
        let in_time = starts(&[2_000_000, 2_800_000, 2_400_000, 2_200_000, 2_600_000]);
        assert_eq!(in_time.released(5, Some(five)), Some(5.0));
        let late = starts(&[2_000_000, 2_300_000, 2_600_000, 2_900_000, 3_800_000]);
        assert_eq!(late.released(5, Some(five)), Some(2.5));
    }

    #[test]
    fn without_a_plan_there_are_as_many_intervals_as_lie_between_starts() {
        let turns = starts(&[0, 1_000_000, 2_000_000]);
        assert_eq!(turns.released(3, None), Some(1.0));
        assert_eq!(starts(&[5]).released(1, None), None);
        assert_eq!(starts(&[]).released(0, None), None);
        let at_once = Arrivals {
            first_us: 0,
            last_us: 0,
            until_us: 0,
        };
        assert_eq!(at_once.planned(100), None);
        assert_eq!(starts(&[0, 0]).released(100, Some(at_once)), None);
    }
}
