//! Whose devices are whose: DPS instances behind the one global endpoint.

use std::time::Duration;

use fleetstorm_protocol::quota::Rates;

use crate::server::ProcessingTime;

/// A DPS instance beside the scenario's own, with an id scope, enrollments and quotas to itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Unique in the scenario.
    pub name: String,
    /// As devices name it; the bundled server's choice when `None`.
    pub id_scope: Option<String>,
    /// Host names' first labels of the hubs that it has linked; all of the bundled server when empty.
    pub hubs: Vec<String>,
    /// How often it may be asked, at the bundled server.
    pub throttle: Rates,
    /// How long an assignment takes, there.
    pub processing: ProcessingTime,
    /// `Retry-After` of an unfinished assignment, whole seconds, there.
    pub retry_after: Duration,
}

/// The scenario's own instance, where cohorts are that name no tenant; the tenants come after it.
pub const OWN: u8 = 0;
