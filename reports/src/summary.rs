//! The final result, as `summary.json` holds it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::again::Again;
use crate::counters::ServerCounters;
use crate::event::Happened;
use crate::generator::Generator;
use crate::life::Life;
use crate::oracle::Oracle;
use crate::phase::Metric;
use crate::rates::Rates;
use crate::slo::SloResult;
use crate::tries::Tries;
use crate::units;
use crate::verdict::{Verdict, exit_code};

/// Version of the shape of `summary.json`; raised when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

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
    /// When it started, RFC 3339.
    pub started_at: String,
    /// From the first intended start to the last device's end.
    pub duration_us: u64,
    /// The seed that identities and schedule derive from.
    pub seed: u64,
    /// How many seconds of the scenario as written passed in one.
    #[serde(default = "unscaled")]
    pub time_scale: f64,
    /// Pass, fail or invalid.
    pub verdict: Verdict,
    /// The verdict as the process's exit code; that is another one where this, or the journal, could not be
    /// written.
    pub exit_code: u8,
    /// Why the run is invalid, one sentence each; empty when valid.
    pub invalid_reasons: Vec<String>,
    /// What the generator itself added, and how it was.
    #[serde(default)]
    pub generator: Generator,
    /// Counts of devices.
    pub devices: Devices,
    /// How often devices tried.
    #[serde(default)]
    pub tries: Tries,
    /// Devices that stayed with their hubs.
    #[serde(default)]
    pub life: Life,
    /// Devices that went back to DPS.
    #[serde(default)]
    pub again: Again,
    /// What happened, in its order.
    #[serde(default)]
    pub events: Vec<Happened>,
    /// Until the assigned hub was in hand.
    pub registration: Latency,
    /// Until the twin was read.
    pub provisioning: Latency,
    /// Until devices failed: of those that started and ended without their twin.
    #[serde(default)]
    pub failure: Latency,
    /// By phase.
    pub phases: BTreeMap<String, Percentiles>,
    /// Devices that were due to get so far and did not, by a metric's name: whom its percentiles are not of.
    /// Without metrics that all reached.
    #[serde(default)]
    pub not_reached: BTreeMap<String, u64>,
    /// How devices ended, most frequent first.
    pub outcomes: Vec<OutcomeCount>,
    /// Per cohort, transport and attestation.
    pub cuts: Vec<Cut>,
    /// Cuts that are left out, for there are too many of their dimension: of each dimension the 256 are told that
    /// matter most, by devices that failed or were not started, then by devices.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// Devices provisioned per hub, as the devices saw it.
    pub hubs: BTreeMap<String, u64>,
    /// Rates.
    pub rates: Rates,
    /// Thresholds and what they came to.
    pub thresholds: Vec<ThresholdResult>,
    /// Service level objectives and what they came to.
    #[serde(default)]
    pub slos: Vec<SloResult>,
    /// Outcome against intent; absent from summaries of before there was an oracle.
    #[serde(default)]
    pub oracle: Option<Oracle>,
    /// Comparison with the server's own counters; absent for a target that does not publish any.
    pub server_counters: Option<ServerCounters>,
    /// What the run cost.
    pub resources: Resources,
    /// The course of the run.
    pub timeline: Vec<TimelinePoint>,
    /// Log-spaced histograms by metric name, for plots.
    pub histograms: BTreeMap<String, Vec<HistogramBucket>>,
}

/// Of what was written before there were time scales.
pub(crate) fn unscaled() -> f64 {
    1.0
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

/// How many devices ended in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeCount {
    /// The outcome, for people.
    pub outcome: String,
    /// Whether it is the wanted one.
    pub provisioned: bool,
    /// Devices.
    pub count: u64,
    /// Where the peer broke the protocol: an answer that did so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

/// One cut of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cut {
    /// `cohort`, `transport`, `attestation`, or `cell`: one attestation over one transport.
    pub dimension: String,
    /// Its name.
    pub name: String,
    /// Devices released.
    pub released: u64,
    /// Devices provisioned.
    pub provisioned: u64,
    /// Devices that ended otherwise.
    pub failed: u64,
    /// Devices due and not started.
    #[serde(default)]
    pub dropped: u64,
    /// How often they tried.
    #[serde(default)]
    pub tries: Tries,
    /// Until the assigned hub was in hand.
    pub registration: Latency,
    /// Until the twin was read.
    pub provisioning: Latency,
    /// By phase.
    pub phases: BTreeMap<String, Percentiles>,
    /// Provisioning response times, for drawing: at most 64 buckets, ascending; empty where its dimension has more
    /// than 64 cuts.
    #[serde(default)]
    pub histogram: Vec<HistogramBucket>,
}

/// Cuts of one dimension that are left out, together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// As in the cuts that are told.
    pub dimension: String,
    /// How many they are; null where they were too many to be counted.
    pub rows: Option<u64>,
    /// Devices released.
    pub released: u64,
    /// Devices provisioned.
    pub provisioned: u64,
    /// Devices that ended otherwise.
    pub failed: u64,
    /// Devices due and not started.
    pub dropped: u64,
}

/// One threshold of the scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdResult {
    /// As written, like `registration.response.p99 < 5s`.
    pub expression: String,
    /// What was measured, in the threshold's own unit, like `1.2s`; `no samples` when there were none. Of
    /// windows it is the worst.
    pub observed: String,
    /// The same without what the generator itself added; absent of thresholds that have no such reading.
    pub without_generator: Option<WithoutGenerator>,
    /// What both readings come to.
    pub outcome: ThresholdOutcome,
    /// The worst window, of a threshold over windows.
    #[serde(default)]
    pub over: Option<Stretch>,
    /// When it has stopped the run, microseconds since the start.
    #[serde(default)]
    pub stopped_the_run_us: Option<u64>,
}

/// What a threshold came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdOutcome {
    /// It held, with and without what the generator itself added.
    Held,
    /// It did not, with and without; nor does one without samples.
    Crossed,
    /// There were fewer samples than it asks for: it proves nothing.
    NotEnoughSamples,
    /// What the generator itself added decides: it proves nothing about the service.
    DependsOnGenerator,
}

/// A threshold without what the generator itself added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WithoutGenerator {
    /// What is left of what was measured, like [`ThresholdResult::observed`].
    pub observed: String,
    /// What the generator had to do with it.
    #[serde(flatten)]
    pub share: GeneratorShare,
}

/// What the generator had to do with some devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorShare {
    /// Devices that it kept from their end itself: it did not start them, had no file or port for them, or took a
    /// tenth of their patience or more.
    pub left_out: u64,
    /// What it added to a device of all others, in the mean, microseconds.
    pub added_mean_us: u64,
}

impl GeneratorShare {
    /// For people.
    pub fn in_words(&self) -> String {
        let added = units::duration(self.added_mean_us);
        match self.left_out {
            0 => format!("it added {added} to a device in the mean"),
            left_out => format!(
                "it kept {} from their end, and added {added} to another in the mean",
                units::counted(left_out, "device")
            ),
        }
    }
}

impl ThresholdResult {
    /// Whether it failed the run.
    pub fn is_crossed(&self) -> bool {
        self.outcome == ThresholdOutcome::Crossed
    }

    /// Why it makes the run invalid, if it does.
    pub fn why_unproven(&self) -> Option<String> {
        let (expression, observed) = (&self.expression, &self.observed);
        match (self.outcome, &self.without_generator) {
            (ThresholdOutcome::Held | ThresholdOutcome::Crossed, _) => None,
            (ThresholdOutcome::DependsOnGenerator, Some(without)) => Some(format!(
                "{expression} depends on the generator: {observed} as measured, {} without what it added itself ({})",
                without.observed,
                without.share.in_words()
            )),
            _ => Some(format!("not enough samples to judge {expression}")),
        }
    }
}

/// A part of the run, microseconds since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stretch {
    /// Its beginning.
    pub from_us: u64,
    /// Its end.
    pub to_us: u64,
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

/// A stretch of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimelinePoint {
    /// Where the stretch starts, seconds since the start.
    pub at_s: u64,
    /// How long it is, seconds.
    pub span_s: u64,
    /// Releases that the plan asked for: exactly, of devices that come at their time; of those that take turns, as
    /// seen at the end.
    pub target: f64,
    /// Devices released.
    pub released: u64,
    /// Devices provisioned.
    pub provisioned: u64,
    /// Devices that ended otherwise.
    pub failed: u64,
    /// Devices under way at its end.
    pub in_flight: u64,
    /// Devices that went back to DPS and ended.
    #[serde(default)]
    pub again: u64,
    /// Devices that stayed with their hubs at its end; null where nobody looked then.
    #[serde(default)]
    pub held: Option<u64>,
    /// Median provisioning response time of those that were provisioned in it; null where nobody was.
    pub p50_us: Option<u64>,
    /// 99th percentile of the same.
    pub p99_us: Option<u64>,
    /// The most that the generator itself added to one of the devices that ended in it; null where nobody did.
    #[serde(default)]
    pub added_max_us: Option<u64>,
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
