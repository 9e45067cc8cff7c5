//! The oracle's findings: what became of devices, against what the scenario says had to become of them.
//!
//! ```text
//! as intended    provisioned at a hub that is allowed, or refused for the right reason
//! fell short     timed out, throttled to the end, connection lost, cancelled: a matter of load, which
//!                thresholds judge
//! either way     something happened to it that makes either outcome right
//! contradiction  let in though it must be refused, refused though it must be let in, for another reason
//!                than the right one, at a wrong hub, with a wrong twin, or twice; an answer that can't be
//!                read, a TLS failure, a server that is not trusted
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most contradictions that are told one by one.
pub const MAX_EXAMPLES: usize = 10;
/// Most cohorts that are told one by one.
pub const MAX_ROWS: usize = 256;

/// Outcome against intent, of every registration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Oracle {
    /// By cohort, in the scenario's order: the 256 that matter most, by contradictions, then by devices that
    /// fell short or did not start, then by devices.
    pub cohorts: Vec<OracleRow>,
    /// Cohorts that are left out.
    pub left_out: u64,
    /// Contradictions in all; the run fails by one.
    pub contradictions: u64,
    /// The first of them.
    pub examples: Vec<Contradiction>,
    /// Devices that were released and never heard of again; the run fails by one.
    pub unrecorded: u64,
}

/// One cohort. Registrations are counted, those of devices that went back to DPS among them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OracleRow {
    /// Its name.
    pub cohort: String,
    /// What its devices must come to, as long as nothing happens that changes it.
    pub intended: String,
    /// Devices by the plan.
    pub planned: u64,
    /// Devices that never came: dropped, or the run was over before.
    pub not_started: u64,
    /// See the module's text, as for what follows.
    pub as_intended: u64,
    /// Load, not logic.
    pub fell_short: u64,
    /// Neither can be wrong.
    pub either_way: u64,
    /// Wrong.
    pub contradictions: u64,
}

/// One contradiction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Contradiction {
    /// The device's registration id.
    pub device: String,
    /// When it ended, microseconds since the start.
    pub at_us: u64,
    /// What had to come.
    pub intended: String,
    /// What came.
    pub came: String,
}

impl OracleRow {
    /// How much it matters beside others.
    pub fn weight(&self) -> impl Ord + use<> {
        let short = self.fell_short + self.not_started;
        (self.contradictions, short, self.planned)
    }
}

impl Oracle {
    /// Whether nothing contradicts the intent, and nobody is missing.
    pub fn agrees(&self) -> bool {
        self.contradictions == 0 && self.unrecorded == 0
    }
}
