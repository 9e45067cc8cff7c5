//! What instances are told of their server.

use crate::hub::config::HubConfig;
use crate::regions::RegionConfig;

/// What all of them share of its configuration.
#[derive(Debug, Clone, Copy)]
pub struct ServerSettings<'a> {
    /// Versions of their API that are served beside those that are known.
    pub api_versions: &'a [String],
    /// Seeds the processing times.
    pub seed: u64,
    /// Where in the world devices and hubs are.
    pub regions: &'a [RegionConfig],
    /// The hubs that they may link.
    pub hubs: &'a [HubConfig],
}
