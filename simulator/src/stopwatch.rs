//! The only clock of the hot path: monotonic, microseconds since the run started.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The run's time line. Copies agree with each other.
#[derive(Debug, Clone, Copy)]
pub struct RunClock {
    start: Instant,
}

impl RunClock {
    /// A run that starts at `start`, which may lie ahead.
    pub fn starting_at(start: Instant) -> Self {
        Self { start }
    }

    /// Now, since the start; zero before it.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The same in microseconds.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.now().as_micros()).unwrap_or(u64::MAX)
    }

    /// A moment, microseconds after the start; negative before it.
    pub fn offset_us(&self, moment: Instant) -> i64 {
        let after = moment.saturating_duration_since(self.start);
        let before = self.start.saturating_duration_since(moment);
        let us = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        us(after) - us(before)
    }

    /// The moment that lies `offset` after the start.
    pub fn at(&self, offset: Duration) -> Instant {
        self.start + offset
    }
}

/// Unix seconds by the wall clock, for the expiry of tokens.
pub fn unix_now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
