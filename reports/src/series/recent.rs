//! The latencies of the last seconds, whatever the length of the run.

use std::collections::VecDeque;

use crate::histogram::{LatencyHistogram, Precision};
use crate::latency::Percentiles;
use crate::phase::Metric;
use crate::record::Record;

/// How many whole seconds they are.
pub(crate) const RECENT_SECONDS: u64 = 10;

/// What it takes at most: the seconds, the one under way, and their sum.
pub(super) const MOST_BYTES: usize = (RECENT_SECONDS as usize + 2)
    * Metric::COUNT
    * (LatencyHistogram::most_bytes(Precision::Coarse) + size_of::<LatencyHistogram>());

/// Latencies by the second in which devices ended, of the newest seconds alone.
#[derive(Debug, Default)]
pub(super) struct Recent {
    seconds: VecDeque<Second>,
}

#[derive(Debug)]
struct Second {
    number: u64,
    ended: [Option<Box<LatencyHistogram>>; Metric::COUNT],
}

impl Recent {
    /// Counts the end of a device, unless that was too long ago.
    pub(super) fn add(&mut self, record: &Record) {
        let number = record.end_us / 1_000_000;
        let Some(second) = self.second(number) else {
            return;
        };
        for metric in Metric::all() {
            if let Some(us) = record.sample(metric) {
                second.ended[metric.index()]
                    .get_or_insert_with(|| Box::new(LatencyHistogram::new(Precision::Coarse)))
                    .record(us);
            }
        }
    }

    /// The distribution of a metric over the last seconds before `now`, which is not over itself; none without a sample.
    pub(super) fn percentiles(&self, metric: Metric, now: u64) -> Option<Percentiles> {
        let since = now.saturating_sub(RECENT_SECONDS);
        let seconds = self.seconds.iter();
        let recent = seconds.filter(|second| (since..now).contains(&second.number));
        let mut sum: Option<LatencyHistogram> = None;
        for latencies in recent.filter_map(|second| second.ended[metric.index()].as_deref()) {
            match &mut sum {
                Some(sum) => sum.add(latencies),
                None => sum = Some(latencies.clone()),
            }
        }
        sum?.percentiles()
    }

    fn second(&mut self, number: u64) -> Option<&mut Second> {
        let newest = self.seconds.back().map(|second| second.number);
        if newest.is_none_or(|newest| newest < number) {
            self.seconds.push_back(Second {
                number,
                ended: [const { None }; Metric::COUNT],
            });
            while self
                .seconds
                .front()
                .is_some_and(|oldest| oldest.number + RECENT_SECONDS < number)
            {
                self.seconds.pop_front();
            }
        }
        self.seconds
            .iter_mut()
            .rev()
            .find(|second| second.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample;

    #[test]
    fn the_last_ten_whole_seconds_count() {
        let mut recent = Recent::default();
        for second in 0..30_u64 {
            let end_us = second * 1_000_000 + 500_000;
            let took_us = 1_000 * (second + 1);
            recent.add(&Record {
                intended_start_us: end_us - took_us,
                start_us: end_us - took_us,
                end_us,
                ..sample()
            });
            assert!(recent.seconds.len() <= 11);
        }
        let told = |now| recent.percentiles(Metric::ProvisioningResponse, now);
        let last = told(29).expect("devices");
        assert_eq!((last.count, last.min_us, last.max_us), (10, 20_000, 29_000));
        assert_eq!(told(45), None);
    }
}
