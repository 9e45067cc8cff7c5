//! Three verdicts, and the exit codes that go with them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a run is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every threshold held, and every objective was met, with and without what the generator itself added.
    Pass,
    /// A threshold was crossed or an objective missed, with and without what the generator itself added; what
    /// became of devices contradicts the scenario, or nothing was provisioned.
    Fail,
    /// The generator, not the service, was the limit, the run was interrupted,
    /// an event of the scenario did not happen, or an objective or a threshold has too little evidence: the figures
    /// prove nothing.
    Invalid,
}

/// Exit codes of the command line (documented in the README).
pub mod exit_code {
    /// All thresholds held.
    pub const PASS: u8 = 0;
    /// A bug in fleetstorm.
    pub const BUG: u8 = 1;
    /// A wrong flag or scenario, or something the preflight found.
    pub const USAGE: u8 = 2;
    /// The target could not be reached, or the bundled server did not start.
    pub const UNREACHABLE: u8 = 3;
    /// Not one device was provisioned.
    pub const NOTHING_PROVISIONED: u8 = 4;
    /// What the command came to could not be written to its end: a disk is full, for example.
    pub const UNWRITTEN: u8 = 5;
    /// A run is worse than those it was compared with.
    pub const WORSE: u8 = 97;
    /// The figures prove nothing.
    pub const INVALID: u8 = 98;
    /// A threshold was crossed (k6's number), an objective missed, the oracle found a contradiction, or the
    /// server's own counters contradict the devices'.
    pub const THRESHOLDS_CROSSED: u8 = 99;
    /// Interrupted; the report was still written.
    pub const INTERRUPTED: u8 = 130;
}
