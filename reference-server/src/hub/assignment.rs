//! What DPS asks of a hub: to have an identity, and to have it no more.
//!
//! DPS keeps its own registrations and the hub its own identities. What DPS asks twice, because
//! it was stopped in between, is as if it was asked once.

use std::collections::hash_map::Entry;

use fleetstorm_protocol::ids::ClientId;
use fleetstorm_protocol::twin::InitialTwin;
use jiff::Timestamp;

use super::authentication::Authentication;
use super::device::Device;
use super::registry::Hub;
use super::twin::Twin;
use super::{HubRefusal, modules};

/// A hub's registry of identities, as far as DPS uses it: a hub of the same server is a call away, others
/// have it as their service API.
pub trait LinkedRegistry: Send + Sync {
    /// Host name of the hub.
    fn host_name(&self) -> &str;

    /// Creates an identity, or updates the one that is there: a session that was opened by what does not
    /// hold any more ends.
    ///
    /// # Errors
    /// The hub does not take it.
    fn put(
        &self,
        device: &ClientId,
        assigned: AssignedIdentity<'_>,
        now: Timestamp,
    ) -> Result<(), HubRefusal>;

    /// The twin of a device that is about to move to another hub; none where it is not known.
    ///
    /// # Errors
    /// The hub can't be asked.
    fn twin_to_move(&self, device: &ClientId) -> Result<Option<MovedTwin>, HubRefusal>;

    /// Removes an identity with its twin, its messages and its modules, and ends its session; one that is
    /// not known is gone already.
    ///
    /// # Errors
    /// The hub can't be asked.
    fn remove(&self, device: &ClientId) -> Result<(), HubRefusal>;
}

/// An identity as DPS wants it.
#[derive(Debug)]
pub struct AssignedIdentity<'a> {
    /// How the device proves itself from now on.
    pub authentication: Authentication,
    /// Whether it is an IoT Edge device.
    pub iot_edge: bool,
    /// What becomes of its twin.
    pub twin: AssignedTwin<'a>,
}

/// Which twin a device has at the hub that it is assigned to.
#[derive(Debug)]
pub enum AssignedTwin<'a> {
    /// That which it has there; where the hub does not know it, that which it brings, else a new one.
    Kept {
        /// From the hub that it leaves.
        moved: Option<MovedTwin>,
        /// For a new one.
        initial: Option<&'a InitialTwin>,
    },
    /// A new one, whatever is there: a session that is open ends.
    Anew(Option<&'a InitialTwin>),
}

/// A twin on its way from hub to hub, with all that its device does not see.
#[derive(Debug, Clone)]
pub struct MovedTwin(Twin);

impl LinkedRegistry for Hub {
    fn host_name(&self) -> &str {
        &self.host_name
    }

    fn put(
        &self,
        device: &ClientId,
        assigned: AssignedIdentity<'_>,
        now: Timestamp,
    ) -> Result<(), HubRefusal> {
        let AssignedIdentity {
            authentication,
            iot_edge,
            twin,
        } = assigned;
        let mut devices = self.devices.of(device);
        let known = match (devices.entry(device.clone()), twin) {
            (Entry::Occupied(known), AssignedTwin::Kept { .. }) => {
                let known = known.into_mut();
                known.authentication = authentication;
                known.revision = known.revision.saturating_add(1);
                known.revoke_unless_proven();
                known
            }
            (Entry::Occupied(known), AssignedTwin::Anew(initial)) => {
                let known = known.into_mut();
                known.revoke();
                let kin = known.kin.take();
                *known = Device::new(authentication, initial, &self.views, now);
                known.kin = kin;
                known
            }
            (Entry::Vacant(place), AssignedTwin::Kept { moved, initial }) => {
                let twin = moved.map(|moved| moved.0);
                let twin = twin.unwrap_or_else(|| Twin::new(initial, &self.views, now));
                place.insert(Device::with(authentication, twin))
            }
            (Entry::Vacant(place), AssignedTwin::Anew(initial)) => {
                place.insert(Device::new(authentication, initial, &self.views, now))
            }
        };
        known.iot_edge = iot_edge;
        self.keep(device, known);
        modules::follow(self, &mut devices, device, now);
        Ok(())
    }

    fn twin_to_move(&self, device: &ClientId) -> Result<Option<MovedTwin>, HubRefusal> {
        let devices = self.devices.of(device);
        let known = devices.get(device);
        Ok(known.map(|known| MovedTwin(known.twin.clone())))
    }

    fn remove(&self, device: &ClientId) -> Result<(), HubRefusal> {
        modules::remove(self, &mut self.devices.of(device), device);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use fleetstorm_protocol::symmetric_key::SymmetricKey;
    use serde_json::{Value, json};

    use super::*;
    use crate::store::Store;
    use crate::store::durability::Durability;

    const WEST: &str = "hub-west.test";
    const EAST: &str = "hub-east.test";

    fn hubs(store: &Store) -> [Hub; 2] {
        [WEST, EAST].map(|name| Hub::alone(name, 0, store))
    }

    fn id(number: usize) -> ClientId {
        ClientId::parse(&format!("pump-{number}")).expect("an id")
    }

    /// As DPS does it.
    fn enter(hub: &Hub, device: &ClientId, left: Option<(&Hub, &ClientId)>) {
        let mut initial = InitialTwin::default();
        initial.tags.insert("from".into(), json!(hub.host_name));
        let moved = left.and_then(|(hub, id)| hub.twin_to_move(id).expect("a known hub"));
        let assigned = AssignedIdentity {
            authentication: Authentication::key(SymmetricKey::from_bytes([7; 32]).expect("a key")),
            iot_edge: false,
            twin: AssignedTwin::Kept {
                moved,
                initial: Some(&initial),
            },
        };
        hub.put(device, assigned, Timestamp::UNIX_EPOCH)
            .expect("a known hub");
        if let Some((hub, id)) = left {
            hub.remove(id).expect("a known hub");
        }
    }

    fn origin(hub: &Hub, device: &ClientId) -> Option<Value> {
        let (_, twin) = hub.twin(device).ok()?;
        Some(twin.tags["from"].clone())
    }

    #[test]
    fn a_device_that_moved_is_at_one_hub_with_its_twin_after_a_restart_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::in_folder(folder.path(), Durability::Process).expect("free");
        let moved = hubs(&store);
        let [west, east] = &moved;
        enter(west, &id(1), None);
        enter(east, &id(1), Some((west, &id(1))));
        // It has another name from now on.
        enter(east, &id(2), Some((east, &id(1))));
        for [west, east] in [&moved, &hubs(&store)] {
            assert_eq!(origin(east, &id(2)), Some(json!(WEST)));
            assert_eq!(origin(west, &id(1)), None);
            assert_eq!(origin(east, &id(1)), None);
        }
    }

    #[test]
    fn what_is_asked_twice_is_as_if_it_was_asked_once() {
        let [west, east] = hubs(&Store::default());
        for _ in 0..2 {
            enter(&west, &id(1), None);
            enter(&east, &id(1), Some((&west, &id(1))));
            assert_eq!(origin(&east, &id(1)), Some(json!(WEST)));
            assert_eq!(origin(&west, &id(1)), None);
            west.remove(&id(1)).expect("gone already");
        }
    }

    #[test]
    fn devices_that_move_to_and_fro_do_not_block_each_other() {
        let hubs = hubs(&Store::default());
        for number in 0..64 {
            enter(&hubs[number % 2], &id(number), None);
        }
        std::thread::scope(|threads| {
            for start in 0..2 {
                let hubs = &hubs;
                threads.spawn(move || {
                    for round in 0..2_000 {
                        let number = round % 32 * 2 + start;
                        let from = (start + round / 32) % 2;
                        enter(
                            &hubs[1 - from],
                            &id(number),
                            Some((&hubs[from], &id(number))),
                        );
                    }
                });
            }
        });
        for number in 0..64 {
            let places = hubs.each_ref().map(|hub| origin(hub, &id(number)));
            assert_eq!(places.iter().flatten().count(), 1, "{number}: {places:?}");
        }
    }
}
