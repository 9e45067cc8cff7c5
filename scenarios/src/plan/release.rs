//! One device's start.

use std::time::Duration;

use fleetstorm_protocol::attestation::TransportKind;

/// One device's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Index of the cohort.
    pub cohort: u16,
    /// Index within the cohort.
    pub device: u32,
    /// What it speaks to DPS.
    pub transport: TransportKind,
    /// Index of the region that it is in.
    pub region: Option<u8>,
    /// Since the run's start.
    pub intended_start: Duration,
}
