//! What devices do that stay with their hubs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Counts of all devices that stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldDevices {
    /// Connections held now.
    pub now: u64,
    /// Most connections held at once.
    pub most: u64,
    /// Devices that were to stay and left, because as many as allowed stayed already.
    pub turned_away: u64,
    /// Connections that broke, or that the hub ended.
    pub dropped: u64,
    /// Devices that found their hub again after that, each time.
    pub reconnected: u64,
    /// Devices that gave up looking for it.
    pub given_up: u64,
    /// Devices that lost their power and booted, each time.
    pub rebooted: u64,
    /// Messages that hubs have acknowledged.
    pub messages: u64,
    /// Changes of desired properties heard of.
    pub desired: u64,
    /// Direct methods answered.
    pub methods: u64,
}

impl HeldDevices {
    /// Whether any device stayed, or was to stay.
    pub fn any(&self) -> bool {
        self.most > 0 || self.turned_away > 0
    }
}
