//! `plan --json`; its schema is `simulator/plan.schema.json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

/// Version of the shape of `plan --json`; raised when a field changes its meaning or goes.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// What is foreseen of a run. Times are seconds.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PlanDocument {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// Devices of all cohorts.
    pub devices: u64,
    /// When the last one is due.
    pub last_due_s: f64,
    /// In the scenario's order.
    pub cohorts: Vec<CohortDocument>,
    /// Devices by the name of their transport.
    pub devices_by_transport: BTreeMap<String, u64>,
    /// By the name of the region.
    pub by_region: BTreeMap<String, RegionDocument>,
    /// What the run takes of this machine.
    pub machine: MachineDocument,
    /// The throttles that were reckoned with; 0 is no limit.
    pub rates: RatesDocument,
    /// Devices that read their twin.
    pub provisioned: u64,
    /// Devices that fail.
    pub failed: u64,
    /// Devices that take longer than they may.
    pub timed_out: u64,
    /// Devices that are due and find no place.
    pub dropped: u64,
    /// Devices that are told at least once that they come too often (429).
    pub throttled_devices: u64,
    /// Devices that go back to DPS.
    pub reprovisions: ReprovisionsDocument,
    /// Events, by their place in the scenario, of which nothing can be foreseen.
    pub unforeseen_events: Vec<usize>,
    /// Requests to register.
    pub registers: u64,
    /// Polls.
    pub polls: u64,
    /// Requests that are answered with 429.
    pub throttled_requests: u64,
    /// When the last device ends.
    pub end_s: f64,
    /// The same at the earliest and at the latest, by when in a minute the run starts; null where that makes no
    /// difference.
    pub end_by_start_s: Option<(f64, f64)>,
    /// Provisioning response time.
    pub response_s: ResponseDocument,
    /// Where the median hangs on a hair; null where it does not.
    pub knife_edge: Option<KnifeEdgeDocument>,
    /// Storms: times in which more devices are under way than `storm_level`.
    pub storms: usize,
    /// Devices under way from which on it is a storm.
    pub storm_level: u64,
    /// The longest storm; null without one.
    pub longest_storm: Option<StormDocument>,
    /// Figures beside those of a run; empty without `--compare`.
    pub comparison: Vec<ComparisonDocument>,
    /// Devices in the largest batch that was followed as one; 1 is device by device.
    pub batch: u64,
    /// How long an interval of the timeline is.
    pub interval_s: f64,
    /// The run by intervals, from its start.
    pub timeline: Vec<IntervalDocument>,
}

/// A cohort.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CohortDocument {
    /// Its name.
    pub name: String,
    /// Its devices.
    pub devices: u64,
    /// How they prove who they are.
    pub attestation: String,
    /// What they speak, by weight.
    pub transport: BTreeMap<String, u32>,
    /// Their retry profile.
    pub retry: String,
    /// Those that read their twin.
    pub provisioned: u64,
    /// Those that fail.
    pub failed: u64,
    /// Those that take longer than they may.
    pub timed_out: u64,
    /// Those that are due and find no place.
    pub dropped: u64,
    /// Those that are told at least once that they come too often.
    pub throttled: u64,
}

/// A region.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RegionDocument {
    /// Devices that start there.
    pub devices: u64,
    /// Those of them that read their twin.
    pub provisioned: u64,
    /// Median provisioning response time; null where nobody is provisioned.
    pub response_p50_s: Option<f64>,
    /// 99th percentile of the same.
    pub response_p99_s: Option<f64>,
}

/// What a run takes, of what there is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MachineDocument {
    /// Cores that were reckoned with; null for an ideal machine.
    pub cores: Option<u32>,
    /// Connections at once, as foreseen.
    pub connections: u64,
    /// Connections at once, at most.
    pub connections_at_most: u64,
    /// Devices that stay with their hubs at once, as foreseen.
    pub held: u64,
    /// Open files.
    pub files: LimitDocument,
    /// Local ports.
    pub ports: LimitDocument,
    /// Memory, bytes.
    pub memory_bytes: MemoryDocument,
    /// CPU time of the simulator.
    pub simulator_cpu_s: f64,
    /// CPU time of the bundled server.
    pub server_cpu_s: f64,
    /// Part of all cores that is busy in the busiest interval; null for an ideal machine.
    pub busiest_share_of_cores: Option<f64>,
    /// How many times slower than the machine of the README this one was taken for; null for an ideal machine.
    pub slowness: Option<f64>,
}

/// Something that is limited.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LimitDocument {
    /// As much as the run needs.
    pub needed: u64,
    /// As much as there is.
    pub limit: u64,
}

/// Memory.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MemoryDocument {
    /// As much as the run needs.
    pub needed: u64,
    /// As much as is free; null where that is not known.
    pub free: Option<u64>,
}

/// Throttles of an instance.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RatesDocument {
    /// Operations a minute.
    pub operations_per_minute: u32,
    /// Registers a minute.
    pub registrations_per_minute: u32,
    /// Polls of one device in ten seconds.
    pub polls_per_ten_seconds: u32,
}

/// Devices that go back to DPS.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ReprovisionsDocument {
    /// Those that do.
    pub started: u64,
    /// Those that read their twin again.
    pub provisioned: u64,
    /// Those that are told at least once that they come too often.
    pub throttled: u64,
}

/// Provisioning response time; null where nobody is provisioned.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ResponseDocument {
    /// Median.
    pub p50: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// Greatest.
    pub max: Option<f64>,
    /// Of a device alone.
    pub unhindered: f64,
}

/// A median that a little more or less processing moves by a whole poll.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct KnifeEdgeDocument {
    /// By which part processing was changed.
    pub processing_change: f64,
    /// The median with so much less.
    pub p50_s_with_less: f64,
    /// The median with so much more.
    pub p50_s_with_more: f64,
}

/// A storm.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StormDocument {
    /// When it begins.
    pub from_s: f64,
    /// Until all is as before.
    pub recovery_s: f64,
    /// Most devices under way in it.
    pub peak: u64,
}

/// A figure of the forecast beside a run's.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ComparisonDocument {
    /// Which.
    pub what: String,
    /// As foreseen; null where there is none.
    pub forecast: Option<f64>,
    /// As measured; null where there is none.
    pub measured: Option<f64>,
    /// By which part of what was measured the forecast is off; null where one is missing.
    pub error: Option<f64>,
}

/// An interval.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct IntervalDocument {
    /// Devices due in it.
    pub due: u64,
    /// Devices that read their twin in it.
    pub provisioned: u64,
    /// Devices that fail in it.
    pub failed: u64,
    /// Devices that are told in it that they come too often.
    pub throttled: u64,
    /// CPU time of both sides.
    pub cpu_s: f64,
}

#[cfg(test)]
mod tests {
    use super::PlanDocument;
    use crate::schema;

    #[test]
    fn the_schema_in_the_repository_is_that_of_the_document() {
        schema::check::<PlanDocument>("plan.schema.json");
    }
}
