//! The final result, as `summary.json` holds it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attempts::Attempts;
use crate::counters::ServerCounters;
use crate::cut::view::{Cut, LeftOut};
use crate::distribution::Distribution;
use crate::event::Happened;
use crate::generator::Generator;
use crate::held::HeldDevices;
use crate::latency::{HistogramBucket, Latency, Percentiles};
use crate::machine::Machine;
use crate::oracle::Oracle;
use crate::outcomes::OutcomeCount;
use crate::phase::Metric;
use crate::rates::Rates;
use crate::reprovisions::Reprovisions;
use crate::series::{HeatMap, TimelinePoint};
use crate::slo::SloResult;
use crate::threshold::result::ThresholdResult;
use crate::verdict::{Verdict, exit_code};

/// Version of the shape of `summary.json`; raised when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 3;

/// What a run came to. Times are microseconds unless the name says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// Where devices connected to.
    pub target: String,
    /// Version of fleetstorm.
    pub fleetstorm_version: String,
    /// The machine that the simulator ran on.
    pub machine: Machine,
    /// When it started, RFC 3339.
    pub started_at: String,
    /// From the first intended start to the last device's end.
    pub duration_us: u64,
    /// The seed that identities and schedule derive from.
    pub seed: u64,
    /// How many seconds of the scenario as written passed in one.
    pub time_scale: f64,
    /// Pass, fail or invalid.
    pub verdict: Verdict,
    /// The verdict as the process's exit code; that is another one where this, or the journal, could not be
    /// written.
    pub exit_code: u8,
    /// Why the run is invalid, one sentence each; empty when valid.
    pub invalid_reasons: Vec<String>,
    /// What the generator itself added, and how it was.
    pub generator: Generator,
    /// Counts of devices.
    pub devices: Devices,
    /// How often devices tried.
    pub attempts: Attempts,
    /// Devices that stayed with their hubs.
    pub held: HeldDevices,
    /// Devices that went back to DPS.
    pub reprovisions: Reprovisions,
    /// What happened, in its order.
    pub events: Vec<Happened>,
    /// Until the assigned hub was in hand.
    pub registration: Latency,
    /// Until the twin was read.
    pub provisioning: Latency,
    /// Until devices failed: of those that started and ended without their twin.
    pub failure: Latency,
    /// By phase.
    pub phases: BTreeMap<String, Percentiles>,
    /// Devices that were due to get so far and did not, by a metric's name: whom its percentiles are not of.
    /// Without metrics that all reached.
    pub not_reached: BTreeMap<String, u64>,
    /// How devices ended, most frequent first.
    pub outcomes: Vec<OutcomeCount>,
    /// Per cohort, transport and attestation.
    pub cuts: Vec<Cut>,
    /// Cuts that are left out, for there are too many of their dimension: of each dimension the 256 are told that
    /// matter most, by devices that failed or were not started, then by devices.
    pub left_out: Vec<LeftOut>,
    /// Devices provisioned per hub, as the devices saw it.
    pub hubs: BTreeMap<String, u64>,
    /// Rates.
    pub rates: Rates,
    /// Thresholds and what they came to.
    pub thresholds: Vec<ThresholdResult>,
    /// Service level objectives and what they came to.
    pub slos: Vec<SloResult>,
    /// Outcome against intent.
    pub oracle: Option<Oracle>,
    /// Comparison with the server's own counters; absent for a target that does not publish any.
    pub server_counters: Option<ServerCounters>,
    /// What the run cost.
    pub resources: Resources,
    /// The course of the run.
    pub timeline: Vec<TimelinePoint>,
    /// Provisioning response times over the run, a column for each of the timeline's intervals; null where no device
    /// was provisioned.
    pub heat_map: Option<HeatMap>,
    /// Whole distributions by metric name, three digits precise; of metrics with samples.
    pub distributions: BTreeMap<String, Distribution>,
    /// Log-spaced histograms by metric name, for plots.
    pub histograms: BTreeMap<String, Vec<HistogramBucket>>,
}

impl Summary {
    /// Says that it proves nothing, whatever the figures are.
    pub fn doubt(&mut self, reasons: impl IntoIterator<Item = String>) {
        self.verdict = Verdict::Invalid;
        self.exit_code = exit_code::INVALID;
        self.invalid_reasons.splice(0..0, reasons);
    }

    /// A metric's distribution; none without samples.
    pub fn percentiles(&self, metric: Metric) -> Option<Percentiles> {
        match metric {
            Metric::RegistrationResponse => self.registration.response,
            Metric::RegistrationService => self.registration.service,
            Metric::ProvisioningResponse => self.provisioning.response,
            Metric::ProvisioningService => self.provisioning.service,
            Metric::Generator => self.generator.added,
            Metric::FailedResponse => self.failure.response,
            Metric::FailedService => self.failure.service,
            Metric::Phase(phase) => self.phases.get(phase.name()).copied(),
        }
    }

    /// Devices that were due to get so far and did not.
    pub fn not_reached(&self, metric: Metric) -> u64 {
        self.not_reached.get(metric.name()).copied().unwrap_or(0)
    }
}

/// Counts of devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Devices {
    /// By the plan.
    pub planned: u64,
    /// Started.
    pub released: u64,
    /// Due and not started.
    pub dropped: u64,
    /// Assigned to a hub.
    pub registered: u64,
    /// Twin read.
    pub provisioned: u64,
    /// Started and ended otherwise.
    pub failed: u64,
}

/// What the run cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// The simulator.
    pub simulator: ProcessResources,
    /// The bundled server; absent for another target.
    pub server: Option<ProcessResources>,
}

/// What one process cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessResources {
    /// User and system time.
    pub cpu_seconds: f64,
    /// Highest resident memory.
    pub peak_rss_bytes: u64,
}
