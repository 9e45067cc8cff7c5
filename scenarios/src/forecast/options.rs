//! What a forecast is told beside the plan.

use std::time::Duration;

use fleetstorm_protocol::quota::Rates;

use crate::server::ProcessingTime;

/// The 99th percentile of the standard normal distribution.
pub(super) const Z99: f64 = 2.326_347_874_040_841;
/// Its 99.9th.
pub(super) const Z999: f64 = 3.090_232_306_167_814;

/// What a run meets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ForecastOptions {
    /// How often the service may be asked.
    pub rates: Rates,
    /// How long an assignment takes, but at instances of tenants that say otherwise.
    pub processing: ProcessingTime,
    /// What that is times, at all instances: 1, but to see what hangs on it.
    pub processing_factor: f64,
    /// What an unfinished assignment tells devices to wait.
    pub retry_after: Duration,
    /// Where the run starts within a minute of the service's clock, by which it counts.
    pub starts_in_minute: Duration,
    /// What carries the devices; without limits when `None`.
    pub machine: Option<Machine>,
    /// How closely to look.
    pub budget: Budget,
}

/// The machine that simulates the devices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// Cores.
    pub cores: u32,
    /// Whether the server runs on it, too.
    pub runs_server: bool,
    /// CPU time beside the measured machine's: 2 takes twice as long.
    pub slowness: f64,
}

/// How much a forecast may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Batches to follow at first.
    pub batches: u64,
    /// Events of one attempt; a fleet that needs more is followed in larger batches.
    pub events: u64,
}

impl Default for Budget {
    /// Some seconds, and some 100 MiB.
    fn default() -> Self {
        Self {
            batches: 250_000,
            events: 8_000_000,
        }
    }
}
