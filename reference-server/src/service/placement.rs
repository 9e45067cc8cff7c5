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

use fleetstorm_protocol::enrollment::AllocationPolicy;
use jiff::Timestamp;

use super::failure::Failure;
use super::link::Link;
use super::operation::{Place, Registration, Substatus};
use super::{Service, allocation};
use crate::hub::identity::Authentication;
use crate::hub::registry::TwinFrom;

impl Service {
    /// The hub that a registration leads to.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn allocate(&self, registration: &Registration) -> Result<&Link, Failure> {
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
                    &registration.registration_id,
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

    /// Enters the device at its hub, then takes it out of the one that it was at: where the first
    /// does not come about, nothing is lost.
    ///
    /// # Errors
    /// The hub does not take it.
    pub(super) fn place(
        &self,
        registration: &Registration,
        link: &Link,
        authentication: Authentication,
        now: Timestamp,
    ) -> Result<Substatus, Failure> {
        let settings = &registration.settings;
        let resets = settings
            .reprovision
            .is_some_and(|policy| policy.update_hub_assignment && !policy.migrate_device_data);
        let here = Place {
            hub: link.hub,
            device_id: registration.device_id.clone(),
        };
        let previous = registration.previous.as_ref();
        let left = previous.filter(|place| **place != here);
        let substatus = match previous {
            Some(_) if resets => Substatus::DeviceDataReset,
            _ if left.is_some() => Substatus::DeviceDataMigrated,
            _ => Substatus::InitialAssignment,
        };
        let chosen = registration
            .allocated()
            .and_then(|answer| answer.as_ref().ok());
        let initial = chosen
            .and_then(|chosen| chosen.initial_twin.as_ref())
            .or(settings.initial_twin.as_ref());
        let twin = match left {
            _ if resets && previous.is_some() => TwinFrom::Anew(initial),
            Some(place) => self
                .hubs
                .carried(place.hub, &place.device_id)
                .map_or(TwinFrom::Here(initial), TwinFrom::Elsewhere),
            None => TwinFrom::Here(initial),
        };
        let device = &registration.device_id;
        self.hubs
            .create_or_update(&link.host_name, device, authentication, twin, now)
            .map_err(Failure::HubRefused)?;
        if let Some(place) = left {
            self.hubs.withdraw(place.hub, &place.device_id);
        }
        Ok(substatus)
    }
}

#[cfg(test)]
mod tests;
