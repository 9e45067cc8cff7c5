//! A valid scenario. Only [`parse`](crate::load::parse) and [`load`](crate::load::load) make one.

use std::time::Duration;

use fleetstorm_reports::Threshold;
use fleetstorm_reports::exact::Decimal;
use fleetstorm_reports::render::format::Format;
use fleetstorm_reports::slo::Slo;

use crate::cohort::Cohort;
use crate::event::refs::Refs;
use crate::event::{Action, DeviceAction, Event, Sale};
use crate::region::{LinkProperty, Region};
use crate::server::ServerSettings;
use crate::target::Target;
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
    /// What else is written to the report folder.
    pub outputs: Vec<Format>,
}

impl Scenario {
    /// The tenant of an instance's index; none for the scenario's own.
    pub fn tenant(&self, instance: u8) -> Option<&Tenant> {
        self.tenants.get(usize::from(instance).checked_sub(1)?)
    }

    /// The sale of the devices of a cohort, by its index, if an event sells any.
    pub fn sale_of(&self, cohort: u16) -> Option<Sale<'_>> {
        let mut events = (0_u16..).zip(&self.events);
        events.find_map(|(event, happens)| match &happens.action {
            Action::Devices(sold, DeviceAction::ChangeOwner { to, desired })
                if sold.cohort == Some(cohort) =>
            {
                Some(Sale {
                    event,
                    sold: *sold,
                    buyer: *to,
                    desired: desired.as_ref(),
                })
            }
            _ => None,
        })
    }

    /// What events change about the lines of a region, by its index, in the file's order.
    pub fn line_changes(&self, region: u8) -> impl Iterator<Item = &[LinkProperty]> {
        let actions = self.events.iter().map(|event| &event.action);
        actions.filter_map(move |action| match action {
            Action::Line(change) if change.region == region => Some(change.properties.as_slice()),
            _ => None,
        })
    }

    /// What an event does, and to whom, in words.
    pub fn in_words(&self, action: &Action) -> String {
        action.in_words(&Refs {
            hubs: Some(&self.server.hubs),
            cohorts: Some(&self.cohorts),
            regions: Some(&self.regions),
            tenants: Some(&self.tenants),
        })
    }
}
