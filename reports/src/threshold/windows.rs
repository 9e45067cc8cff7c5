//! Every stretch of a run that is as long as a window, in bounded memory.
//!
//! A window is made of slots: of seconds where it has at most 60 of them, else of its sixtieths. It
//! moves on by a slot. A device counts in the slot in which it ends; latencies have two digits. The last window
//! ends with the run, and may be shorter by less than a slot.

use std::collections::VecDeque;
use std::time::Duration;

use super::counters::ThresholdCounters;
use super::figures::Figures;
use super::result::TimeSpan;
use crate::histogram::{LatencyHistogram, Precision};
use crate::readings::{GeneratorShare, Readings};

/// Most slots of a window.
const MAX_SLOTS: u64 = 60;
/// A slot is held open for records that come late from another core.
const GRACE_US: u64 = 1_000_000;

/// What the windows of one threshold take at most: the slots of one, two that are open, and their sum.
pub(crate) const MOST_BYTES: usize = (MAX_SLOTS as usize + 3)
    * (size_of::<ThresholdCounters>() + 2 * LatencyHistogram::most_bytes(Precision::Coarse));

/// The windows of one threshold.
#[derive(Debug)]
pub(super) struct Windows {
    slot_us: u64,
    /// Of a window.
    slots: u64,
    from_us: u64,
    to_us: u64,
    empty: ThresholdCounters,
    /// The slots that a window to come has, from slot `first` on.
    ring: VecDeque<ThresholdCounters>,
    first: u64,
    /// Slots that are closed.
    closed: u64,
}

/// One window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// When it was.
    pub over: TimeSpan,
    /// What was measured in it.
    pub figures: Readings<Figures>,
    /// What the generator had to do with it.
    pub share: GeneratorShare,
}

impl Window {
    fn of(tally: &ThresholdCounters, from_us: u64, to_us: u64) -> Self {
        Self {
            over: TimeSpan { from_us, to_us },
            figures: tally.figures(to_us - from_us),
            share: tally.share(),
        }
    }
}

impl Windows {
    /// Of this length, within a part of the run, each beginning `empty`.
    pub(super) fn new(
        window: Duration,
        between: Option<(Duration, Duration)>,
        empty: ThresholdCounters,
    ) -> Self {
        let window_us = micros(window).max(1);
        let slots = (window_us / 1_000_000).clamp(1, MAX_SLOTS);
        let (from, to) = between.unwrap_or((Duration::ZERO, Duration::MAX));
        Self {
            slot_us: (window_us / slots).max(1),
            slots,
            from_us: micros(from),
            to_us: micros(to),
            empty,
            ring: VecDeque::new(),
            first: 0,
            closed: 0,
        }
    }

    /// The slot to count in what ends then, if it is in the part of the run that is judged.
    pub(super) fn slot(&mut self, end_us: u64) -> Option<&mut ThresholdCounters> {
        if end_us >= self.to_us {
            return None;
        }
        // What comes late beyond all patience counts in the first slot that is open.
        let slot = (end_us.checked_sub(self.from_us)? / self.slot_us).max(self.closed);
        let index = usize::try_from(slot - self.first).ok()?;
        while self.ring.len() <= index {
            self.ring.push_back(self.empty.clone());
        }
        self.ring.get_mut(index)
    }

    /// The next window that is complete by then, as long as there is one.
    pub(super) fn complete(&mut self, now_us: u64) -> Option<Window> {
        let until_us = now_us.saturating_sub(GRACE_US).min(self.to_us);
        self.close(
            until_us.saturating_sub(self.from_us) / self.slot_us,
            u64::MAX,
        )
    }

    /// The same when the run is over: the last slot need not be full.
    pub(super) fn rest(&mut self, end_us: u64) -> Option<Window> {
        let end_us = end_us.min(self.to_us);
        let slots = end_us.saturating_sub(self.from_us).div_ceil(self.slot_us);
        self.close(slots, end_us)
    }

    /// All of a run that was too short for a window.
    pub(super) fn whole(&self, end_us: u64) -> Option<Window> {
        let end_us = end_us.min(self.to_us);
        (self.closed < self.slots && end_us > self.from_us)
            .then(|| Window::of(&self.sum(self.ring.len()), self.from_us, end_us))
    }

    /// Closes slots until there are so many, or one completes a window, which ends at `end_us` at the latest.
    fn close(&mut self, slots: u64, end_us: u64) -> Option<Window> {
        while self.closed < slots {
            self.closed += 1;
            let Some(begin) = self.closed.checked_sub(self.slots) else {
                continue;
            };
            let from_us = self.from_us + begin * self.slot_us;
            let to_us = (from_us + self.slots * self.slot_us).min(end_us);
            let of_window = usize::try_from(self.slots).unwrap_or(usize::MAX);
            let window = Window::of(&self.sum(of_window), from_us, to_us);
            self.ring.pop_front();
            self.first = begin + 1;
            return Some(window);
        }
        None
    }

    /// The first so many slots together.
    fn sum(&self, slots: usize) -> ThresholdCounters {
        let mut sum = self.empty.clone();
        self.ring
            .iter()
            .take(slots)
            .for_each(|slot| sum.merge(slot));
        sum
    }
}

/// As records count time.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::Decimal;
    use crate::histogram::Precision;
    use crate::record::{Record, sample};
    use crate::threshold::condition::{Comparison, Condition};
    use crate::threshold::measure::Measure;
    use crate::threshold::subject::{Population, Subject};
    use crate::threshold::tags::Among;
    use proptest::prelude::*;

    /// What `failed.count == 0` sees.
    fn counts() -> ThresholdCounters {
        let condition = Condition {
            comparison: Comparison::Equal,
            limit: Decimal::ZERO,
        };
        let subject = Subject::Count(Population::Failed);
        let among = Among::default();
        let measure = Measure::new(subject, among, condition, Precision::Coarse);
        ThresholdCounters::new(Readings::both(measure))
    }

    proptest! {
        /// As many as are counted by hand, in every window, whatever comes late within reason.
        #[test]
        fn every_device_is_in_the_windows_that_it_ended_in(
            mut ends in prop::collection::vec(0_u64..40_000_000, 1..60),
            late in prop::collection::vec(0_u64..1_000_000, 60),
            window_ms in 1_000_u64..12_000,
            part in prop::option::of((0_u64..20, 1_u64..40)),
        ) {
            ends.sort_unstable();
            let between = part.map(|(from, length)| {
                (Duration::from_secs(from), Duration::from_secs(from + length))
            });
            let mut windows = Windows::new(Duration::from_millis(window_ms), between, counts());
            let mut found = Vec::new();
            for (latest_us, late_us) in ends.iter().zip(&late) {
                while let Some(window) = windows.complete(*latest_us) {
                    found.push(window);
                }
                let end_us = latest_us.saturating_sub(*late_us);
                if let Some(slot) = windows.slot(end_us) {
                    slot.add(&Record { end_us, ..sample() }, None);
                }
            }
            let run_us = ends.last().map_or(0, |last_us| last_us + 1);
            while let Some(window) = windows.rest(run_us) {
                found.push(window);
            }
            found.extend(windows.whole(run_us));
            let ended: Vec<_> = ends.iter().zip(&late).map(|(end, late)| end.saturating_sub(*late)).collect();
            for window in &found {
                let by_hand = ended.iter().filter(|end| (window.over.from_us..window.over.to_us).contains(end));
                prop_assert_eq!(window.figures.measured.ended, by_hand.count() as u64);
            }
            let length_us = windows.slots * windows.slot_us;
            for (one, next) in found.iter().zip(found.iter().skip(1)) {
                prop_assert_eq!(next.over.from_us - one.over.from_us, windows.slot_us);
                prop_assert_eq!(one.over.to_us - one.over.from_us, length_us);
            }
            let (from_us, to_us) = (windows.from_us, windows.to_us.min(run_us));
            if to_us > from_us {
                prop_assert_eq!(found.first().map(|first| first.over.from_us), Some(from_us));
                prop_assert_eq!(found.last().map(|last| last.over.to_us), Some(to_us));
            }
        }
    }
}
