//! Three verdicts, and the exit codes that go with them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::slo::SloOutcome;
use crate::summary::{Summary, ThresholdResult};

/// What a run is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every threshold held, and every objective was met.
    Pass,
    /// A threshold was crossed, an objective missed, what became of devices contradicts the scenario, or
    /// nothing was provisioned.
    Fail,
    /// The generator, not the service, was the limit, the run was interrupted,
    /// or an objective or a threshold has too little evidence: the figures prove nothing.
    Invalid,
}

/// The verdict on what was measured, and the exit code that says it.
pub(crate) fn of(summary: &Summary, interrupted: bool) -> (Verdict, u8) {
    let crossed = summary.thresholds.iter().any(ThresholdResult::is_crossed);
    let disagree = summary
        .server_counters
        .as_ref()
        .is_some_and(|counters| !counters.agree);
    let contradicted = summary
        .oracle
        .as_ref()
        .is_some_and(|oracle| !oracle.agrees());
    let came_to = |outcome| summary.slos.iter().any(|slo| slo.outcome == outcome);
    let unproven = summary.thresholds.iter().any(|it| !it.enough_samples);
    if interrupted {
        (Verdict::Invalid, exit_code::INTERRUPTED)
    } else if summary.devices.provisioned == 0 {
        (Verdict::Fail, exit_code::NOTHING_PROVISIONED)
    } else if !summary.invalid_reasons.is_empty() {
        (Verdict::Invalid, exit_code::INVALID)
    } else if crossed || disagree || contradicted || came_to(SloOutcome::Missed) {
        (Verdict::Fail, exit_code::THRESHOLDS_CROSSED)
    } else if came_to(SloOutcome::NotEnoughEvidence) || unproven {
        (Verdict::Invalid, exit_code::INVALID)
    } else {
        (Verdict::Pass, exit_code::PASS)
    }
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
    /// The figures prove nothing.
    pub const INVALID: u8 = 98;
    /// A threshold was crossed (k6's number), an objective missed, the oracle found a contradiction, or the
    /// server's own counters contradict the devices'.
    pub const THRESHOLDS_CROSSED: u8 = 99;
    /// Interrupted; the report was still written.
    pub const INTERRUPTED: u8 = 130;
}
