//! What all devices of a run share, and those of a cohort.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_protocol::attestation::TransportKind;
use fleetstorm_protocol::ids::IdScope;
use fleetstorm_reports::Fault;
use fleetstorm_scenarios::{Chance, Cohort, Ports, Release};
use serde_json::{Map, Value};

use super::counters::{DeviceCounters, HubCounters};
use super::geography::Geography;
use super::goodbyes::Goodbyes;
use crate::fleet::Fleet;
use crate::link::LinkError;
use crate::link::dial::Dialer;
use crate::stopwatch::RunClock;

/// How far a device goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Until a hub is assigned; for measuring that half alone.
    Registered,
    /// Until the twin is read.
    Provisioned,
}

/// What all devices of a run share.
pub struct Conditions {
    /// How far devices go.
    pub goal: Goal,
    /// The run's time line.
    pub clock: RunClock,
    /// Who they are.
    pub fleet: Arc<Fleet>,
    /// How they connect.
    pub dialer: Dialer,
    /// How they leave.
    pub goodbyes: Goodbyes,
    /// What they count.
    pub device_counters: Arc<DeviceCounters>,
    /// The instances, by tenant.
    pub id_scopes: Vec<IdScope>,
    /// Host name of the global endpoint.
    pub endpoint: String,
    /// Where the endpoint and the hubs listen.
    pub ports: Ports,
    /// Longest time from actual start to twin read.
    pub device_timeout: Duration,
    /// Where devices and hubs are.
    pub geography: Arc<Geography>,
    /// What each cohort's devices share.
    pub cohorts: Vec<CohortProfile>,
    /// Hub host name to index in the run's dimensions.
    pub hubs: HashMap<String, u16>,
}

/// What the devices of one cohort share.
pub struct CohortProfile {
    /// What the scenario says of them.
    pub cohort: Cohort,
    /// Desired properties of those that were sold.
    pub desired_when_sold: Map<String, Value>,
    /// The chance in their waits.
    pub chance: Chance,
    /// The chance that an event befalls them.
    pub event_chance: Chance,
}

impl Conditions {
    /// Those of a cohort, by the index that its releases carry.
    pub fn profile(&self, cohort: u16) -> &CohortProfile {
        &self.cohorts[usize::from(cohort)]
    }

    /// What devices count of a hub, by its host name.
    pub fn tally_of(&self, hub: &str) -> &HubCounters {
        self.device_counters.hub(self.hubs.get(hub).copied())
    }

    /// A link failed: notes whether this machine is to blame.
    pub fn failed(&self, error: LinkError) {
        if error == LinkError::Broken(Fault::LocalResources) {
            self.device_counters.shortages.add();
        }
    }
}

impl CohortProfile {
    /// That of a cohort, whose sold devices may have desired properties of their own.
    pub fn new(cohort: &Cohort, seed: u64, sold_with: Option<&Map<String, Value>>) -> Self {
        Self {
            desired_when_sold: sold_with.unwrap_or(&cohort.desired).clone(),
            chance: Chance::new(seed, "retry", &cohort.name),
            event_chance: Chance::new(seed, "event", &cohort.name),
            cohort: cohort.clone(),
        }
    }

    /// What a device speaks to its hub.
    pub fn hub_transport(&self, release: Release) -> TransportKind {
        self.cohort
            .hub_transport
            .unwrap_or_else(|| release.transport.at_hub())
    }
}
