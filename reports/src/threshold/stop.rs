//! A threshold that stops the run.

use serde::{Deserialize, Serialize};

use super::result::WithoutGenerator;

/// The threshold that has stopped a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aborted {
    /// Its index.
    pub threshold: usize,
    /// When, microseconds since the start.
    pub at_us: u64,
    /// What was measured then.
    #[serde(flatten)]
    pub stop: Stop,
}

/// Why a run stops: what was measured, and what it is without the generator's own share, where that is not crossed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// As measured, for people.
    pub observed: String,
    /// Without the generator's own share, where it would not have stopped the run.
    pub without_generator: Option<WithoutGenerator>,
}
