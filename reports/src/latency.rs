//! Distributions of latencies, as they are told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The two latencies; null without samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// From the intended start.
    pub response: Option<Percentiles>,
    /// From the actual start.
    pub service: Option<Percentiles>,
}

/// A distribution in microseconds, of one sample at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// Samples.
    pub count: u64,
    /// Least.
    pub min_us: u64,
    /// Arithmetic mean.
    pub mean_us: u64,
    /// Median.
    pub p50_us: u64,
    /// 75th percentile.
    pub p75_us: u64,
    /// 90th percentile.
    pub p90_us: u64,
    /// 95th percentile.
    pub p95_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// 99.9th percentile.
    pub p999_us: u64,
    /// 99.99th percentile.
    pub p9999_us: u64,
    /// Greatest.
    pub max_us: u64,
}

/// One bar of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistogramBucket {
    /// Lower bound, included.
    pub from_us: u64,
    /// Upper bound, excluded.
    pub to_us: u64,
    /// Samples.
    pub count: u64,
}
