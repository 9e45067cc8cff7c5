//! What is known of a run beside its records: before it starts, and when it is over.

use std::io;

use crate::counters::ServerCounters;
use crate::dimensions::Dimensions;
use crate::event::Happened;
use crate::exact::Decimal;
use crate::generator::GeneratorHealth;
use crate::held::HeldDevices;
use crate::machine::Machine;
use crate::oracle::Oracle;
use crate::outcomes::Example;
use crate::rates::Arrivals;
use crate::record::Record;
use crate::slo::Slo;
use crate::summary::{Resources, Summary};
use crate::threshold::expression::Written;
use crate::threshold::stop::Aborted;
use crate::validity;

/// What is known before the run starts.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RunInfo {
    /// [`crate::journal::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// Where devices connect to.
    pub target: String,
    /// The seed.
    pub seed: u64,
    /// How many seconds of the scenario pass in one.
    pub time_scale: f64,
    /// Version of fleetstorm.
    pub fleetstorm_version: String,
    /// Where it runs.
    pub machine: Machine,
    /// When it starts, RFC 3339.
    pub started_at: String,
    /// Devices by the plan.
    pub planned: u64,
    /// When the plan has devices come; none where it can't say.
    pub arrivals: Option<Arrivals>,
    /// Share of the devices due that may be dropped, or start late, before the run proves nothing.
    pub max_dropped: Decimal,
    /// The names behind the indices.
    pub dimensions: Dimensions,
    /// The thresholds.
    pub thresholds: Vec<Written>,
    /// The service level objectives.
    pub slos: Vec<Slo>,
}

impl RunInfo {
    /// A record without the generator's own share. Devices that were not started are the service's matter where the
    /// scenario says that it tests that, by tolerating more of them than any does by default.
    pub(crate) fn without_generator(&self, record: &Record) -> Option<Record> {
        let are_drops_tested = self.max_dropped > validity::MAX_DROPPED;
        if !record.outcome.is_started() && are_drops_tested {
            return Some(*record);
        }
        record.without_generator()
    }
}

/// What is known when it is over.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Ending {
    /// Microseconds from the start to the last device's end.
    pub elapsed_us: u64,
    /// Devices released.
    pub released: u64,
    /// Why the figures prove nothing, beside what follows from them; empty when they do.
    pub invalid_reasons: Vec<String>,
    /// How the generator was.
    pub generator: GeneratorHealth,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// Outcome against intent.
    pub oracle: Option<Oracle>,
    /// The server's counters beside the devices'.
    pub server_counters: Option<ServerCounters>,
    /// Devices that stayed with their hubs.
    pub held: HeldDevices,
    /// What happened.
    pub events: Vec<Happened>,
    /// Answers that broke the protocol, one of a kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
    /// The threshold that stopped it.
    pub aborted: Option<Aborted>,
    /// What it cost.
    pub resources: Resources,
}

/// What a run came to.
#[derive(Debug)]
pub struct Finished {
    /// The result.
    pub summary: Summary,
    /// Whether its journal, if it has one, is all on disk.
    pub journal: io::Result<()>,
}
