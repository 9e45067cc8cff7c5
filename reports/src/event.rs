//! What happened to the fleet and its service while they ran.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An event of the scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Happened {
    /// When, microseconds since the start.
    pub at_us: u64,
    /// What, for people, like `hub-down hub-1`.
    pub what: String,
    /// Why it failed, if it did.
    pub problem: Option<String>,
    /// Whether it never happened, for the run was over before; that is its problem, then.
    pub missed: bool,
}
