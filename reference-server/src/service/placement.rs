//! Where a registration leads: which hub, and what becomes of the data of a device that has been at
//! one before (DPS documentation, "Reprovisioning devices").
//!
//! | updateHubAssignment | migrateDeviceData | |
//! |---|---|---|
//! | true, or no policy | true | the hub is chosen anew; the twin moves along |
//! | true | false | the hub is chosen anew; the twin starts anew, also where the hub is the same |
//! | false | any | the device stays where it is |
//!
//! Without a policy, a device that asks with an api-version from before there were any stays where
//! it is, too (same page, "Managing backwards compatibility").

use std::sync::Arc;

use fleetstorm_protocol::enrollment::AllocationPolicy;
use jiff::Timestamp;

use super::allocation;
use super::failure::Failure;
use super::linked_hub::LinkedHub;
use super::operation::{HubAssignment, Registration, Substatus};
use crate::hub::HubRefusal;
use crate::hub::assignment::{AssignedIdentity, AssignedTwin, LinkedRegistry};
use crate::hub::authentication::Authentication;
use crate::regions::Regions;

/// The hubs that are linked to an instance, and who is where.
pub(super) struct Placement {
    pub(super) links: Vec<LinkedHub>,
    pub(super) regions: Regions,
    /// By their places among the hubs of the server.
    pub(super) hubs: Vec<Arc<dyn LinkedRegistry>>,
}

impl Placement {
    /// The hub that a registration leads to.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn allocate(&self, registration: &Registration) -> Result<&LinkedHub, Failure> {
        let settings = &registration.settings;
        let candidate = |index: &usize| self.links.get(*index);
        let chosen = match (settings.policy, registration.allocated()) {
            (AllocationPolicy::Custom, Some(allocated)) => {
                candidate(&allocated.as_ref().map_err(Failure::clone)?.link)
            }
            (AllocationPolicy::Custom, None) => return Err(Failure::WebhookLost),
            (policy, _) => match self.kept_at(registration) {
                Some(link) => candidate(&link),
                None => allocation::choose(
                    policy,
                    &registration.registration_id.canonical(),
                    settings.hubs.iter().filter_map(candidate),
                    &self.regions,
                    registration.region,
                ),
            },
        };
        chosen.ok_or(Failure::NoHub)
    }

    /// The link of the hub that a device may not leave. One that is linked no more can't keep it.
    pub(super) fn kept_at(&self, registration: &Registration) -> Option<usize> {
        let policy = registration.settings.reprovision;
        let stays = policy.map_or(registration.is_settled, |policy| {
            !policy.update_hub_assignment
        });
        let place = registration.previous.as_ref().filter(|_| stays)?;
        self.links.iter().position(|link| link.hub == place.hub)
    }

    /// Has the device at its hub; returns the place that it leaves by that.
    ///
    /// # Errors
    /// The hub does not take it: the device is where it was.
    pub(super) fn place(
        &self,
        registration: &Registration,
        link: &LinkedHub,
        authentication: Authentication,
        now: Timestamp,
    ) -> Result<Option<HubAssignment>, Failure> {
        let hub = self
            .hubs
            .get(link.hub)
            .filter(|hub| hub.host_name().eq_ignore_ascii_case(&link.host_name))
            .ok_or(Failure::HubRefused(HubRefusal::UnknownHub))?;
        let chosen = registration
            .allocated()
            .and_then(|answer| answer.as_ref().ok());
        let initial = chosen
            .and_then(|chosen| chosen.initial_twin.as_ref())
            .or(registration.settings.initial_twin.as_ref());
        let left = leaves(registration, link);
        let twin = if registration.previous.is_some() && resets(registration) {
            AssignedTwin::Anew(initial)
        } else {
            let moved = left.map_or(Ok(None), |place| match self.hubs.get(place.hub) {
                Some(hub) => hub.twin_to_move(&(&place.device_id).into()),
                None => Ok(None),
            });
            AssignedTwin::Kept {
                moved: moved.map_err(Failure::HubRefused)?,
                initial,
            }
        };
        let assigned = AssignedIdentity {
            authentication,
            iot_edge: is_iot_edge(registration),
            twin,
        };
        hub.put(&(&registration.device_id).into(), assigned, now)
            .map_err(Failure::HubRefused)?;
        Ok(left.cloned())
    }

    /// Takes the device out of the place that it has left for another; whether it is out.
    pub(super) fn is_out_of(&self, left: &HubAssignment) -> bool {
        let hub = self.hubs.get(left.hub);
        hub.is_none_or(|hub| hub.remove(&(&left.device_id).into()).is_ok())
    }
}

/// What becomes of the device's data when it gets to a hub.
pub(super) fn outcome(registration: &Registration, link: &LinkedHub) -> Substatus {
    match &registration.previous {
        None => Substatus::InitialAssignment,
        Some(_) if resets(registration) => Substatus::DeviceDataReset,
        Some(_) if leaves(registration, link).is_some() => Substatus::DeviceDataMigrated,
        Some(_) => Substatus::InitialAssignment,
    }
}

fn resets(registration: &Registration) -> bool {
    let policy = registration.settings.reprovision;
    policy.is_some_and(|policy| policy.update_hub_assignment && !policy.migrate_device_data)
}

/// By its enrollment's `capabilities`.
fn is_iot_edge(registration: &Registration) -> bool {
    let capabilities = registration.settings.written.capabilities.as_ref();
    let said = capabilities.and_then(|capabilities| capabilities["iotEdge"].as_bool());
    said.unwrap_or(false)
}

/// The place that the device leaves for a hub.
fn leaves<'a>(registration: &'a Registration, link: &LinkedHub) -> Option<&'a HubAssignment> {
    let is_here =
        |place: &HubAssignment| place.hub == link.hub && place.device_id == registration.device_id;
    registration
        .previous
        .as_ref()
        .filter(|place| !is_here(place))
}

#[cfg(test)]
mod tests;
