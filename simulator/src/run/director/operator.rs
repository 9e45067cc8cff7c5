//! The bundled server, as events change it.

use std::sync::Arc;

use fleetstorm_protocol::enrollment::Enrollment;
use fleetstorm_protocol::ids::IdScope;
use fleetstorm_scenarios::Scenario;
use fleetstorm_scenarios::event::ServiceAction;
use fleetstorm_scenarios::names::hub_host;
use serde_json::json;

use crate::fleet::{Fleet, Roll};
use crate::server::bundled::BundledServer;
use crate::server::control::Control;
use crate::server::service_side::{HubSide, ServiceSide};

/// Operates a server, by its control endpoint and its service APIs.
#[derive(Clone)]
pub struct Operator {
    /// Its process.
    pub server: Arc<BundledServer>,
    /// Its control endpoint.
    pub control: Control,
    /// Its instances, by tenant.
    pub instances: Vec<Instance>,
    /// Its hubs, in the scenario's order.
    pub hubs: Vec<HubSide>,
    /// Who is enrolled.
    pub fleet: Arc<Fleet>,
}

/// One DPS instance of it.
#[derive(Clone)]
pub struct Instance {
    id_scope: String,
    service_side: ServiceSide,
}

impl Instance {
    /// By tenant.
    pub fn of_all(id_scopes: &[IdScope], service_sides: Vec<ServiceSide>) -> Vec<Self> {
        let instances = id_scopes.iter().zip(service_sides);
        let instance = |(id_scope, service_side): (&IdScope, _)| Self {
            id_scope: id_scope.to_string(),
            service_side,
        };
        instances.map(instance).collect()
    }
}

impl Operator {
    /// Does to the server what an event says.
    ///
    /// # Errors
    /// The server does not answer, or refuses: with its reason.
    pub(super) fn act(&self, action: &ServiceAction, scenario: &Scenario) -> std::io::Result<()> {
        let set_hubs = |hub: &Option<String>, state| {
            let hubs = scenario.server.hubs.iter().map(|hub| &hub.name);
            let mut meant = hubs.filter(|name| hub.as_ref().is_none_or(|hub| hub == *name));
            meant.try_for_each(|name| {
                let path = format!("/hubs/{}/state", hub_host(name));
                self.control
                    .put(&path, &json!({"state": state}).to_string())
            })
        };
        match action {
            ServiceAction::HubDown(hub) => set_hubs(hub, "down"),
            ServiceAction::HubUp(hub) => set_hubs(hub, "up"),
            ServiceAction::RegionDown(region) => self.set_region(region, "down"),
            ServiceAction::RegionUp(region) => self.set_region(region, "up"),
            ServiceAction::Throttle { rates, tenant } => {
                let body = serde_json::to_string(rates).map_err(std::io::Error::other)?;
                let instances = (0_u8..).zip(&self.instances);
                let mut meant =
                    instances.filter(|(index, _)| tenant.is_none_or(|tenant| tenant == *index));
                meant.try_for_each(|(_, instance)| {
                    let path = format!("/instances/{}/throttle", instance.id_scope);
                    self.control.put(&path, &body)
                })
            }
            ServiceAction::Faults(rules) => self.control.put("/faults", &json!(rules).to_string()),
            ServiceAction::Enrollment { cohort, enabled } => {
                let group = self.fleet.group(*cohort, *enabled);
                let group = Enrollment::Group(group.ok_or_else(no_group)?);
                self.service_side(scenario, *cohort)?.replace([group])
            }
            ServiceAction::Roll { cohort, .. } => self.roll(scenario, *cohort, Roll::Begin),
            ServiceAction::Retire { cohort, .. } => self.roll(scenario, *cohort, Roll::Finish),
        }
    }

    /// Devices are made at any time: not before the service knows of it.
    fn roll(&self, scenario: &Scenario, cohort: u16, roll: Roll) -> std::io::Result<()> {
        let rolled = self.fleet.rolled(cohort, roll);
        let service_side = self.service_side(scenario, cohort)?;
        service_side.replace(rolled.ok_or_else(no_proof)?)?;
        self.fleet.roll(cohort, roll);
        Ok(())
    }

    /// Sells devices of a cohort. The buyer is ready for them before the seller lets go of them, and the seller's
    /// hubs have forgotten them before they come to the buyer's, which may be the same ones.
    ///
    /// # Errors
    /// The server does not answer, or refuses: with its reason.
    pub(super) fn sell(&self, scenario: &Scenario, cohort: Option<u16>) -> std::io::Result<()> {
        let transfer = cohort.and_then(|cohort| self.fleet.transfer(cohort));
        let transfer = transfer.ok_or_else(|| std::io::Error::other("nobody sells the cohort"))?;
        self.instance(transfer.buyer())?.add(transfer.enrolled())?;
        let registration_ids: Vec<String> = transfer.registration_ids().collect();
        let seller = self.instance(transfer.seller())?;
        let shut_out = transfer.shut_out();
        transfer.done();
        match shut_out {
            Some(enrollments) => seller.add(enrollments)?,
            None => seller.remove(&registration_ids)?,
        }
        let linked = scenario
            .tenant(transfer.seller())
            .map(|tenant| &tenant.hubs);
        let linked = linked.filter(|hubs| !hubs.is_empty());
        let hubs = scenario.server.hubs.iter().zip(&self.hubs);
        let mut of_seller =
            hubs.filter(|(hub, _)| linked.is_none_or(|linked| linked.contains(&hub.name)));
        // The device ids of this fleet are its registration ids.
        of_seller.try_for_each(|(_, hub)| hub.deregister(&registration_ids))
    }

    /// Of the instance that a cohort is enrolled at.
    fn service_side(&self, scenario: &Scenario, cohort: u16) -> std::io::Result<&ServiceSide> {
        let cohort = scenario.cohorts.get(usize::from(cohort));
        cohort.map_or_else(|| Err(no_instance()), |cohort| self.instance(cohort.tenant))
    }

    /// Of the instance of this index.
    fn instance(&self, index: u8) -> std::io::Result<&ServiceSide> {
        let instance = self.instances.get(usize::from(index));
        let instance = instance.ok_or_else(no_instance)?;
        Ok(&instance.service_side)
    }

    fn set_region(&self, region: &str, state: &str) -> std::io::Result<()> {
        let path = format!("/regions/{region}/state");
        self.control
            .put(&path, &json!({"state": state}).to_string())
    }
}

fn no_instance() -> std::io::Error {
    std::io::Error::other("there is no such instance")
}

fn no_group() -> std::io::Error {
    std::io::Error::other("the cohort has no group")
}

fn no_proof() -> std::io::Error {
    std::io::Error::other("the cohort has nothing that can be rolled")
}
