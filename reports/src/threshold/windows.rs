//! Every stretch of a run that is as long as a window, in bounded memory.
//!
//! A window is made of slots: of seconds where it has at most 60 of them, else of its sixtieths. It
//! moves on by a slot. A device counts in the slot in which it ends; latencies have two digits.

use std::collections::VecDeque;
use std::time::Duration;

use super::figures::Figures;
use super::measure::Measure;
use crate::histogram::Precision;
use crate::phase::Metric;

/// Most slots of a window.
const MAX_SLOTS: u64 = 60;
/// A slot is held open for records that come late from another core.
const GRACE_US: u64 = 1_000_000;

/// The windows of one threshold.
#[derive(Debug)]
pub(super) struct Windows {
    slot_us: u64,
    /// Of a window.
    slots: u64,
    from_us: u64,
    to_us: u64,
    empty: Measure,
    /// The slots that a window to come has, from slot `first` on.
    ring: VecDeque<Measure>,
    first: u64,
    /// Slots that are closed.
    closed: u64,
}

/// One window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Since the start, microseconds.
    pub from_us: u64,
    /// Where it ends.
    pub to_us: u64,
    /// What was measured in it.
    pub figures: Figures,
}

impl Windows {
    /// Of this length, within a part of the run.
    pub(super) fn new(
        window: Duration,
        between: Option<(Duration, Duration)>,
        metric: Option<Metric>,
    ) -> Self {
        let window_us = micros(window).max(1);
        let slots = (window_us / 1_000_000).clamp(1, MAX_SLOTS);
        let (from, to) = between.unwrap_or((Duration::ZERO, Duration::MAX));
        Self {
            slot_us: (window_us / slots).max(1),
            slots,
            from_us: micros(from),
            to_us: micros(to),
            empty: Measure::new(metric, Precision::Coarse),
            ring: VecDeque::new(),
            first: 0,
            closed: 0,
        }
    }

    /// The slot to count in what ends then, if it is in the part of the run that is judged.
    pub(super) fn slot(&mut self, end_us: u64) -> Option<&mut Measure> {
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
        self.close(now_us.saturating_sub(GRACE_US), self.to_us)
    }

    /// The same when the run is over: the last slot need not be full.
    pub(super) fn rest(&mut self, end_us: u64) -> Option<Window> {
        let end_us = end_us.min(self.to_us);
        let slots = end_us.saturating_sub(self.from_us).div_ceil(self.slot_us);
        let full = self.from_us + slots * self.slot_us;
        self.close(full, full)
    }

    /// All of a run that was too short for a window.
    pub(super) fn whole(&self, end_us: u64) -> Option<Window> {
        let end_us = end_us.min(self.to_us);
        (self.closed < self.slots && end_us > self.from_us).then(|| Window {
            from_us: self.from_us,
            to_us: end_us,
            figures: self.sum(self.ring.len()).figures(end_us - self.from_us),
        })
    }

    fn close(&mut self, until_us: u64, to_us: u64) -> Option<Window> {
        loop {
            let end_us = self.from_us + (self.closed + 1) * self.slot_us;
            if end_us > until_us || end_us > to_us {
                return None;
            }
            self.closed += 1;
            let Some(begin) = self.closed.checked_sub(self.slots) else {
                continue;
            };
            let slots = usize::try_from(self.slots).unwrap_or(usize::MAX);
            let length_us = self.slots * self.slot_us;
            let figures = self.sum(slots).figures(length_us);
            self.ring.pop_front();
            self.first = begin + 1;
            return Some(Window {
                from_us: end_us - length_us,
                to_us: end_us,
                figures,
            });
        }
    }

    /// The first so many slots together.
    fn sum(&self, slots: usize) -> Measure {
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
