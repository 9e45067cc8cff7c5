//! The figures that a threshold is held against: of a whole run, or of a part of it.

use super::value::Value;
use crate::attempts::Attempts;
use crate::held::HeldDevices;

/// Figures of some devices in some time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    /// Devices that ratios are of.
    pub base: u64,
    /// Devices that started and ended.
    pub ended: u64,
    /// Of them assigned to a hub.
    pub registered: u64,
    /// Of them those that got their twin.
    pub provisioned: u64,
    /// Devices due and not started.
    pub dropped: u64,
    /// How often they tried.
    pub attempts: Attempts,
    /// Samples of the threshold's metric.
    pub samples: u64,
    /// What its latency is of: samples, and devices that did not get so far where those count.
    pub latency_of: u64,
    /// The threshold's figure of it.
    pub latency: Option<Value>,
    /// How much time it is, microseconds.
    pub us: u64,
    /// Devices that stay with their hubs.
    pub held: HeldDevices,
    /// Devices that went back to DPS and were provisioned.
    pub reprovisioned: u64,
    /// Those that were not.
    pub reprovisions_failed: u64,
}
