//! What is known of a run at one moment and no record tells.

use serde::{Deserialize, Serialize};

/// What is known by the end of a second of a run, and no record tells. Counts are since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Devices due.
    pub due: u64,
    /// Devices that stay with their hubs then; none where nobody looked.
    pub held: Option<u64>,
    /// What had happened to devices, ended or not; none where nobody looked.
    pub attempts: Option<AttemptsSoFar>,
}

/// What has happened to devices so far, counted when it happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptsSoFar {
    /// Answers that a device comes too often (429).
    pub throttled: u64,
    /// Attempts after a first one.
    pub retries: u64,
    /// Connections that could not be made, or broke.
    pub lost_connections: u64,
    /// Messages that hubs acknowledged to devices that stay.
    pub messages: u64,
}

impl AttemptsSoFar {
    /// Counts since the start never fall, whatever a damaged journal says: their sum is bounded, then.
    pub(super) fn no_less_than(self, before: Self) -> Self {
        Self {
            throttled: self.throttled.max(before.throttled),
            retries: self.retries.max(before.retries),
            lost_connections: self.lost_connections.max(before.lost_connections),
            messages: self.messages.max(before.messages),
        }
    }
}
