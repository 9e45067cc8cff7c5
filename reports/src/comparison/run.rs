//! Runs that are compared.

use schemars::JsonSchema;
use serde::Serialize;

use crate::machine::Machine;
use crate::summary::{Devices, Summary};
use crate::verdict::Verdict;

/// A run that is compared, and where it comes from.
#[derive(Debug, Clone)]
pub struct Named {
    /// For people, like its folder.
    pub name: String,
    /// What it came to.
    pub summary: Summary,
}

/// One of the runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ComparedRun {
    /// Where it comes from, as it was named.
    pub name: String,
    /// The scenario's name.
    pub scenario: String,
    /// When it started, RFC 3339.
    pub started_at: String,
    /// Where devices connected to.
    pub target: String,
    /// What it was made on.
    pub machine: Machine,
    /// Version of fleetstorm.
    pub fleetstorm_version: String,
    /// The seed.
    pub seed: u64,
    /// Its own verdict.
    pub verdict: Verdict,
    /// Its devices.
    pub devices: Devices,
}

impl ComparedRun {
    pub(super) fn new(run: &Named) -> Self {
        let summary = &run.summary;
        Self {
            name: run.name.clone(),
            scenario: summary.scenario.clone(),
            started_at: summary.started_at.clone(),
            target: summary.target.clone(),
            machine: summary.machine.clone(),
            fleetstorm_version: summary.fleetstorm_version.clone(),
            seed: summary.seed,
            verdict: summary.verdict,
            devices: summary.devices,
        }
    }
}
