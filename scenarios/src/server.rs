//! The bundled server, as a scenario sets it up.

use std::time::Duration;

use fleetstorm_protocol::quota::Rates;

/// How the bundled server is set up.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSettings {
    /// Its hubs; at least one.
    pub hubs: Vec<Hub>,
    /// How long an assignment takes.
    pub processing: ProcessingTime,
    /// `Retry-After` of an unfinished assignment, whole seconds.
    pub retry_after: Duration,
    /// How often it may be asked.
    pub throttle: Rates,
}

/// One hub of the bundled server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    /// First label of its host name.
    pub name: String,
    /// Name of the region that it stands in.
    pub region: Option<String>,
}

/// A log-normal distribution by two of its percentiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessingTime {
    /// Median.
    pub p50: Duration,
    /// 99th percentile, at least the median.
    pub p99: Duration,
}
