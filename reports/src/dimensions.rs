//! The names behind the indices of a record.

use serde::{Deserialize, Serialize};

/// What a run can be cut by. The order of each list is the order of reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimensions {
    /// Cohort names.
    pub cohorts: Vec<String>,
    /// Transport names.
    pub transports: Vec<String>,
    /// Attestation names.
    pub attestations: Vec<String>,
    /// Region names.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Hub host names, when known beforehand.
    pub hubs: Vec<String>,
}
