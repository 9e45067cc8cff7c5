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
    pub regions: Vec<String>,
    /// Tenants' names, the run's own instance first; none where there is that alone.
    pub tenants: Vec<String>,
    /// Hub host names, when known beforehand.
    pub hubs: Vec<String>,
}

impl Dimensions {
    /// A region's devices at a hub, by their indices, like `eastus to hub-eus`.
    pub(crate) fn placement(&self, region: usize, hub: usize) -> Option<String> {
        self.at_hub(self.regions.get(region)?, hub)
    }

    /// The same, of devices without region that of their tenant; none where a run has neither.
    pub(crate) fn placement_of(&self, region: Option<u8>, tenant: u8, hub: u16) -> Option<String> {
        let tenant = || self.tenants.get(usize::from(tenant));
        let region = region.and_then(|region| self.regions.get(usize::from(region)));
        let whose = region.or_else(tenant)?;
        self.at_hub(whose, hub.into())
    }

    fn at_hub(&self, whose: &str, hub: usize) -> Option<String> {
        let label = self.hubs.get(hub)?.split('.').next()?;
        Some(format!("{whose} to {label}"))
    }
}
