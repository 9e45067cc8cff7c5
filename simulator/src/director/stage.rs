//! The bundled server, as events change it.

use std::sync::Arc;

use fleetstorm_protocol::enrollment::Enrollment;
use fleetstorm_scenarios::Scenario;
use fleetstorm_scenarios::event::Action;
use serde_json::json;

use crate::control::Control;
use crate::fleet::{self, Fleet, Roll};
use crate::service_side::ServiceSide;

/// A server whose service can be changed.
#[derive(Clone)]
pub struct Stage {
    /// Its control endpoint.
    pub control: Control,
    /// Its instance.
    pub id_scope: String,
    /// The instance's enrollments.
    pub service_side: ServiceSide,
    /// Who is enrolled.
    pub fleet: Arc<Fleet>,
}

impl Stage {
    /// Does to the server what an event says.
    ///
    /// # Errors
    /// The server does not answer, or refuses: with its reason.
    pub(super) fn act(&self, action: &Action, scenario: &Scenario) -> std::io::Result<()> {
        let set_hubs = |hub: &Option<String>, state| {
            let hubs = scenario.server.hubs.iter().map(|hub| &hub.name);
            let mut meant = hubs.filter(|name| hub.as_ref().is_none_or(|hub| hub == *name));
            meant.try_for_each(|name| {
                let path = format!("/hubs/{}/state", fleet::hub_host(name));
                self.control
                    .put(&path, &json!({"state": state}).to_string())
            })
        };
        match action {
            Action::HubDown(hub) => set_hubs(hub, "down"),
            Action::HubUp(hub) => set_hubs(hub, "up"),
            Action::RegionDown(region) => self.set_region(region, "down"),
            Action::RegionUp(region) => self.set_region(region, "up"),
            Action::Throttle(rates) => {
                let path = format!("/instances/{}/throttle", self.id_scope);
                let body = serde_json::to_string(rates).map_err(std::io::Error::other)?;
                self.control.put(&path, &body)
            }
            Action::Faults(rules) => self.control.put("/faults", &json!(rules).to_string()),
            Action::Enrollment { cohort, enabled } => {
                let group = self.fleet.group(*cohort, *enabled);
                let group = Enrollment::Group(group.ok_or_else(no_group)?);
                self.service_side.replace([group])
            }
            Action::Roll { cohort, .. } => self.roll(*cohort, Roll::Begin),
            Action::Retire { cohort, .. } => self.roll(*cohort, Roll::Finish),
            Action::PowerCut { .. } | Action::Reprovision(_) | Action::Move { .. } => Ok(()),
        }
    }

    /// Devices are made at any time: not before the service knows of it.
    fn roll(&self, cohort: u16, roll: Roll) -> std::io::Result<()> {
        let rolled = self.fleet.rolled(cohort, roll);
        self.service_side.replace(rolled.ok_or_else(no_proof)?)?;
        self.fleet.roll(cohort, roll);
        Ok(())
    }

    fn set_region(&self, region: &str, state: &str) -> std::io::Result<()> {
        let path = format!("/regions/{region}/state");
        self.control
            .put(&path, &json!({"state": state}).to_string())
    }
}

fn no_group() -> std::io::Error {
    std::io::Error::other("the cohort has no group")
}

fn no_proof() -> std::io::Error {
    std::io::Error::other("the cohort has nothing that can be rolled")
}
