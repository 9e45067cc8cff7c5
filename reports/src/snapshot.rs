//! The live picture, made four times a second.

use std::sync::Arc;

use crate::cut::view::{CellView, CutView};
use crate::event::Happened;
use crate::generator::Generator;
use crate::held::HeldDevices;
use crate::latency::{HistogramBucket, Percentiles};
use crate::outcomes::OutcomeCount;
use crate::phase::Metric;
use crate::series::{HeatMap, IntervalView};
use crate::slo::SloView;

/// Everything that the terminal UI and the progress line show. A plain copy:
/// keeping one is what "freeze" means.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The scenario.
    pub scenario: String,
    /// Where devices connect to, like `global.fleetstorm.test:8443 (bundled server)`.
    pub target: String,
    /// Since the run started, microseconds.
    pub elapsed_us: u64,
    /// What the schedule says the last release is due at, microseconds.
    pub schedule_us: u64,
    /// The stage of the run.
    pub state: RunState,
    /// Counts.
    pub progress: Progress,
    /// Releases that the plan asked for in the last whole second.
    pub target_rate: f64,
    /// Releases in the last whole second.
    pub achieved_rate: f64,
    /// Provisionings finished in the last whole second.
    pub provisioned_rate: f64,
    /// One entry for each metric that has samples, in [`Metric::all`] order.
    pub metrics: Vec<MetricView>,
    /// How devices ended, most frequent first.
    pub outcomes: Vec<OutcomeCount>,
    /// One row for each cohort, transport and attestation that has devices.
    pub cuts: Vec<CutView>,
    /// One entry for each attestation over each transport that has devices.
    pub cells: Vec<CellView>,
    /// Service level objectives, as the scenario lists them.
    pub slos: Vec<SloView>,
    /// The whole run by intervals, from its start.
    pub timeline: Arc<[IntervalView]>,
    /// Provisioning response times, a column for each of the timeline's intervals; none where no device was provisioned.
    pub heat_map: Option<Arc<HeatMap>>,
    /// The last seconds, oldest first, at most 300.
    pub seconds: Vec<SecondView>,
    /// Devices that stay with their hubs.
    pub held: HeldDevices,
    /// Devices that went back to DPS and ended.
    pub reprovisions: u64,
    /// Events so far, in their order.
    pub events: Vec<Happened>,
    /// What the generator itself adds, and how it is.
    pub generator: Generator,
    /// The simulator's own use of the machine.
    pub simulator: ProcessUsage,
    /// The bundled server's, when there is one.
    pub server: Option<ProcessUsage>,
    /// What makes the run doubtful, in the words of the verdict; empty when healthy.
    pub warnings: Vec<String>,
}

/// The stage of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunState {
    /// Keys, server, enrollments.
    #[default]
    Preparing,
    /// Devices are released.
    Running,
    /// All released, some under way.
    Draining,
    /// All provisioned, some stay with their hubs.
    Holding,
    /// Stopped by the user, some under way.
    Stopping,
    /// All ended.
    Finished,
}

/// Counts of devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// By the plan.
    pub planned: u64,
    /// Started.
    pub released: u64,
    /// Due, and not started because the in-flight limit or the run's end came first.
    pub dropped: u64,
    /// Started and not ended.
    pub in_flight: u64,
    /// Assigned to a hub.
    pub registered: u64,
    /// Twin read.
    pub provisioned: u64,
    /// Ended otherwise.
    pub failed: u64,
    /// Of those that ended: told at least once that they came too often (429).
    pub throttled: u64,
    /// Of those that ended: tried more than once.
    pub retried: u64,
}

/// One metric, live.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricView {
    /// Which.
    pub metric: Metric,
    /// Its percentiles.
    pub percentiles: Percentiles,
    /// Those of the last ten whole seconds; none without a sample.
    pub recent: Option<Percentiles>,
    /// Log-spaced histogram without its empty ends, for drawing: at most 64 buckets, ascending.
    pub buckets: Vec<HistogramBucket>,
}

/// One second of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SecondView {
    /// Releases that the plan asked for.
    pub target: f64,
    /// What happened; none where nobody looked when it ended.
    pub seen: Option<Seen>,
}

/// What happened in a second: where nobody had looked for longer, on average since then.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seen {
    /// Devices released.
    pub released: f64,
    /// Devices provisioned.
    pub provisioned: f64,
    /// Devices that ended otherwise.
    pub failed: f64,
}

/// A process's use of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessUsage {
    /// User and system time so far.
    pub cpu_seconds: f64,
    /// Cores in use over the last second: 1.0 is one core.
    pub cores: f64,
    /// Resident memory now.
    pub rss_bytes: u64,
    /// Highest resident memory.
    pub peak_rss_bytes: u64,
}
