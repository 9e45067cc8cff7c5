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
    /// Tenants' names, the run's own instance first; none where there is that alone.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// Hub host names, when known beforehand.
    pub hubs: Vec<String>,
}

impl Dimensions {
    /// A region's devices at a hub, by their indices, like `eastus to hub-eus`.
    pub(crate) fn placement(&self, region: usize, hub: usize) -> String {
        let name_of = |names: &[String], index| names.get(index).cloned().unwrap_or_default();
        let host_name = name_of(&self.hubs, hub);
        let label = host_name.split('.').next().unwrap_or_default();
        format!("{} to {label}", name_of(&self.regions, region))
    }
}
