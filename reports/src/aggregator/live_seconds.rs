//! What happened in each of the last seconds.

use std::collections::VecDeque;

use super::Live;
use crate::snapshot::{SecondView, Stage};

/// Seconds that the live picture shows.
const LIVE_SECONDS: usize = 300;

/// The last seconds, and the totals at the end of the newest of them.
#[derive(Default)]
pub(super) struct LiveSeconds {
    closed: u64,
    pub(super) seconds: VecDeque<SecondView>,
    due: u64,
    released: u64,
    provisioned: u64,
    failed: u64,
}

impl LiveSeconds {
    /// Closes the second before the one under way, if it has ended since; says which it was.
    pub(super) fn close(&mut self, live: &Live, provisioned: u64, failed: u64) -> Option<u64> {
        let ended = live.elapsed_us / 1_000_000;
        if ended <= self.closed && live.stage != Stage::Finished {
            return None;
        }
        // A picture that came late leaves a gap, which shows as such.
        let gap = usize::try_from(ended.saturating_sub(self.closed + 1)).unwrap_or(LIVE_SECONDS);
        self.seconds.extend(std::iter::repeat_n(
            SecondView::default(),
            gap.min(LIVE_SECONDS),
        ));
        #[expect(clippy::cast_precision_loss, reason = "devices in a second")]
        self.seconds.push_back(SecondView {
            target: live.due.saturating_sub(self.due) as f64,
            released: live.released.saturating_sub(self.released),
            provisioned: provisioned - self.provisioned,
            failed: failed - self.failed,
        });
        let surplus = self.seconds.len().saturating_sub(LIVE_SECONDS);
        self.seconds.drain(..surplus);
        self.closed = ended;
        (self.due, self.released) = (live.due, live.released);
        (self.provisioned, self.failed) = (provisioned, failed);
        Some(ended.saturating_sub(u64::from(live.stage != Stage::Finished)))
    }
}
