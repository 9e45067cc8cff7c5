//! Where a registration leads: which hub, and what becomes of the data of a device that has been at
//! one before (DPS documentation, "Reprovisioning devices").
//!
//! | updateHubAssignment | migrateDeviceData | |
//! |---|---|---|
//! | true, or no policy | true | the hub is chosen anew; the twin moves along |
//! | true | false | the hub is chosen anew; the twin starts anew, also where the hub is the same |
//! | false | any | the device stays where it is |

use jiff::Timestamp;

use super::link::Link;
use super::operation::{Place, Registration, Substatus};
use super::{Refusal, Service, allocation};
use crate::hub::identity::Authentication;

impl Service {
    /// The hub that a registration leads to.
    pub(super) fn allocate(&self, registration: &Registration) -> Option<&Link> {
        let settings = &registration.settings;
        let stays = settings
            .reprovision
            .is_some_and(|policy| !policy.update_hub_assignment);
        // A hub that is linked no more can't keep it.
        let at = |place: &Place| self.links.iter().find(|link| link.hub == place.hub);
        let previous = registration.previous.as_ref().filter(|_| stays);
        previous.and_then(at).or_else(|| {
            let candidates = settings.hubs.iter();
            allocation::choose(
                settings.policy,
                &registration.registration_id,
                candidates.filter_map(|index| self.links.get(*index)),
                &self.regions,
                registration.region,
            )
        })
    }

    /// Enters the device at its hub; an identity that it had elsewhere is gone then.
    ///
    /// # Errors
    /// A defect: the hub is not one of the server.
    pub(super) fn place(
        &self,
        registration: &Registration,
        link: &Link,
        authentication: Authentication,
        now: Timestamp,
    ) -> Result<Substatus, Refusal> {
        let settings = &registration.settings;
        let resets = settings
            .reprovision
            .is_some_and(|policy| policy.update_hub_assignment && !policy.migrate_device_data);
        let here = Place {
            hub: link.hub,
            device_id: registration.device_id.clone(),
        };
        let taken = registration
            .previous
            .as_ref()
            .filter(|place| resets || **place != here)
            .map(|place| self.hubs.take(place.hub, &place.device_id));
        let substatus = match &taken {
            None => Substatus::InitialAssignment,
            Some(_) if resets => Substatus::DeviceDataReset,
            Some(_) => Substatus::DeviceDataMigrated,
        };
        self.hubs
            .create_or_update(
                &link.host_name,
                &registration.device_id,
                authentication,
                taken.flatten().filter(|_| !resets),
                settings.initial_twin.as_ref(),
                now,
            )
            .map_err(|_| Refusal::Internal)?;
        Ok(substatus)
    }
}

#[cfg(test)]
mod tests;
