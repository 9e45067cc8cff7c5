//! An interval as `summary.json` tells of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::histogram::LatencyHistogram;

/// An interval of the run. Devices count where they start, are registered and end; what happens to one under way counts
/// when it happens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimelinePoint {
    /// Where the interval starts, seconds since the start.
    pub at_s: u64,
    /// How long it is, seconds.
    pub span_s: u64,
    /// Releases that the plan asked for: exactly, of devices that come at their time; of those that come when another
    /// has ended, as seen at the end.
    pub target: f64,
    /// Devices released.
    pub released: u64,
    /// Devices that were due and not started.
    pub dropped: u64,
    /// Devices assigned to a hub.
    pub registered: u64,
    /// Devices provisioned.
    pub provisioned: u64,
    /// Devices that ended otherwise.
    pub failed: u64,
    /// The same by the kind of their outcome.
    pub failed_by_kind: BTreeMap<String, u64>,
    /// Devices under way at its end.
    pub in_flight: u64,
    /// Answers that a device comes too often (429).
    pub throttled: u64,
    /// Attempts after a device's first.
    pub retries: u64,
    /// Connections that could not be made, or broke.
    pub lost_connections: u64,
    /// Messages that hubs acknowledged to devices that stay.
    pub messages: u64,
    /// Devices that went back to DPS and ended.
    pub reprovisions: u64,
    /// Devices that stayed with their hubs at its end; null where nobody looked then.
    pub held: Option<u64>,
    /// Median provisioning response time of those that were provisioned in it; null where nobody was.
    pub p50_us: Option<u64>,
    /// 99th percentile of the same.
    pub p99_us: Option<u64>,
    /// The most that the generator itself added to one of the devices that ended in it; null where nobody did.
    pub added_max_us: Option<u64>,
    /// By metric, of the devices that ended in it; metrics without samples are absent.
    pub latency: BTreeMap<String, IntervalLatency>,
    /// Whole distributions of the response times of registration and provisioning by metric, two digits precise, of the
    /// devices that ended in it.
    pub distributions: BTreeMap<String, Distribution>,
    /// Provisioning response of the devices that started in it; null where none of them was provisioned.
    pub started: Option<IntervalLatency>,
    /// Provisioning response of the devices that went back to DPS and ended in it; null where there were none.
    pub reprovisioned: Option<IntervalLatency>,
}

/// An interval, live. Counts as in [`TimelinePoint`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct IntervalView {
    /// Where the interval starts, seconds since the start.
    pub at_s: u64,
    /// How long it is, seconds.
    pub span_s: u64,
    /// Releases that the plan asked for.
    pub due: u64,
    /// Devices released.
    pub released: u64,
    /// Devices provisioned.
    pub provisioned: u64,
    /// Devices that ended otherwise, or were not started.
    pub failed: u64,
    /// Answers that a device comes too often (429).
    pub throttled: u64,
    /// Attempts after a device's first.
    pub retries: u64,
    /// Connections that could not be made, or broke.
    pub lost_connections: u64,
    /// Devices that stayed with their hubs at its end; none where nobody looked then.
    pub held: Option<u64>,
    /// Provisioning response; none where nobody was provisioned.
    pub response: Option<IntervalLatency>,
}

/// A distribution within an interval, to two digits; the greatest is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalLatency {
    /// Samples.
    pub count: u64,
    /// Median.
    pub p50_us: u64,
    /// 90th percentile.
    pub p90_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// Greatest.
    pub max_us: u64,
}

impl IntervalLatency {
    /// Of what was counted; none without a sample.
    pub(crate) fn new(latencies: &LatencyHistogram) -> Option<Self> {
        let percentiles = latencies.percentiles()?;
        Some(Self {
            count: percentiles.count,
            p50_us: percentiles.p50_us,
            p90_us: percentiles.p90_us,
            p99_us: percentiles.p99_us,
            max_us: percentiles.max_us,
        })
    }
}
