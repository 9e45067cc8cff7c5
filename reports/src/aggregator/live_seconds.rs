//! What happened in each of the last seconds.

use std::collections::VecDeque;

use crate::snapshot::{SecondView, Seen};

/// Seconds that the live picture shows.
const LIVE_SECONDS: usize = 300;

/// The last seconds, and the totals at the end of the newest of them.
#[derive(Default)]
pub(super) struct LiveSeconds {
    /// How many have been closed.
    pub(super) closed: u64,
    pub(super) seconds: VecDeque<SecondView>,
    due: u64,
    /// As they were seen last, and how many seconds have been closed since then.
    seen: Totals,
    unseen: u32,
}

/// Devices since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) released: u64,
    pub(super) provisioned: u64,
    pub(super) failed: u64,
}

impl LiveSeconds {
    /// Closes the next second, by whose end so many were due. A picture that comes late has not seen the seconds
    /// before: they are a gap, and what happened since the last look is a rate of all of them.
    pub(super) fn close(&mut self, due: u64, totals: Option<Totals>) {
        self.closed += 1;
        self.unseen = self.unseen.saturating_add(1);
        let seen = totals.map(|now| {
            let before = std::mem::replace(&mut self.seen, now);
            let over = f64::from(std::mem::take(&mut self.unseen));
            let rate = |now: u64, before: u64| number(now.saturating_sub(before)) / over;
            Seen {
                released: rate(now.released, before.released),
                provisioned: rate(now.provisioned, before.provisioned),
                failed: rate(now.failed, before.failed),
            }
        });
        if self.seconds.len() == LIVE_SECONDS {
            self.seconds.pop_front();
        }
        self.seconds.push_back(SecondView {
            target: number(due.saturating_sub(self.due)),
            seen,
        });
        self.due = self.due.max(due);
    }

    /// The newest that was seen.
    pub(super) fn last(&self) -> SecondView {
        let mut newest = self.seconds.iter().rev();
        let seen = newest.find(|second| second.seen.is_some());
        seen.copied().unwrap_or_default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "devices in a second")]
fn number(devices: u64) -> f64 {
    devices as f64
}
