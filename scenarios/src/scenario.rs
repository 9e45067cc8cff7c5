//! A valid scenario. Only [`parse`](crate::load::parse) and [`load`](crate::load::load) make one.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use fleetstorm_reports::Threshold;
use fleetstorm_reports::exact::Decimal;
use fleetstorm_reports::slo::Slo;

use crate::cohort::Cohort;
use crate::event::Event;
use crate::ports::Ports;
use crate::region::Region;
use crate::server::ServerSettings;
use crate::tenant::Tenant;

/// What to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Names the run and its report folder.
    pub name: String,
    /// Every identity and random choice derives from it.
    pub seed: u64,
    /// So many seconds of what it plans pass in one.
    pub time_scale: f64,
    /// Another endpoint; the bundled server when `None`.
    pub target: Option<Target>,
    /// The bundled server.
    pub server: ServerSettings,
    /// Devices alike; at least one.
    pub cohorts: Vec<Cohort>,
    /// What happens while they live, as written.
    pub events: Vec<Event>,
    /// Where devices and hubs are.
    pub regions: Vec<Region>,
    /// DPS instances beside the scenario's own.
    pub tenants: Vec<Tenant>,
    /// Longest time from actual start to twin read; then the device gives up.
    pub device_timeout: Duration,
    /// Most devices under way at once; a release beyond it is dropped and counted.
    pub max_in_flight: u32,
    /// Most devices that stay with their hubs at once; one beyond it leaves, and is counted.
    pub max_held: u32,
    /// Share of the devices due that may be dropped, or start late, before the run proves nothing.
    pub max_dropped: Decimal,
    /// What must hold.
    pub thresholds: Vec<Threshold>,
    /// Service level objectives.
    pub slos: Vec<Slo>,
}

impl Scenario {
    /// The tenant of an instance's index; none for the scenario's own.
    pub fn tenant(&self, instance: u8) -> Option<&Tenant> {
        self.tenants.get(usize::from(instance).checked_sub(1)?)
    }
}

/// An endpoint that fleetstorm did not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host name, like `global.azure-devices-provisioning.net`.
    pub endpoint: String,
    /// Id scope of the instance.
    pub id_scope: String,
    /// PEM file with the CAs to trust instead of the system's; relative to the working directory.
    pub ca: Option<PathBuf>,
    /// Connect here whatever the names resolve to (like curl's `--connect-to`).
    pub connect_to: Option<IpAddr>,
    /// Where it and its hubs listen.
    pub ports: Ports,
}
