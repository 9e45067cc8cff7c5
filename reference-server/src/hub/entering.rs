//! How DPS enters a device at a hub and takes it out of another: in one step, so that nothing that
//! the device or the service changes meanwhile is lost, and a server that dies in between has it at
//! one of them.

use std::collections::hash_map::Entry;

use fleetstorm_protocol::ids::ClientId;
use fleetstorm_protocol::twin::InitialTwin;
use jiff::Timestamp;

use super::authentication::Authentication;
use super::device::Device;
use super::registry::HubRegistry;
use super::twin::Twin;
use super::{HubRefusal, modules};
use crate::shards::Shards;
use crate::store::Writes;
use crate::store::kind::Kind;

/// A device that is entered.
#[derive(Debug)]
pub struct Entering<'a> {
    /// How it proves itself from now on.
    pub authentication: Authentication,
    /// What becomes of its twin.
    pub twin: TwinFrom<'a>,
    /// Whether it is an IoT Edge device.
    pub iot_edge: bool,
    /// The place that it leaves: a hub among those of the server, and its name there. Its session
    /// there ends, its messages are gone.
    pub left: Option<(usize, &'a ClientId)>,
}

/// Which twin a device has at the hub that it is entered at.
#[derive(Debug)]
pub enum TwinFrom<'a> {
    /// That which it has there; where the hub does not know it, that of the place that it leaves,
    /// else a new one.
    Kept(Option<&'a InitialTwin>),
    /// A new one, whatever is there: a session that is open ends.
    Anew(Option<&'a InitialTwin>),
}

impl HubRegistry {
    /// Creates the identity, or replaces its authentication when the hub knows it: a session that was
    /// opened by what does not hold any more ends. What `alongside`
    /// writes is kept together with that or not at all.
    ///
    /// # Errors
    /// Unknown hub; then the device is where it was.
    pub(crate) fn enter(
        &self,
        hub: &str,
        device: &ClientId,
        entering: Entering<'_>,
        now: Timestamp,
        alongside: impl FnOnce(&mut Writes<'_>),
    ) -> Result<(), HubRefusal> {
        let Entering {
            authentication,
            twin,
            iot_edge,
            left,
        } = entering;
        let (_, home) = self.hub(hub)?;
        let left = left.and_then(|(index, id)| Some((self.at(index)?, id)));
        let (mut devices, mut others) = match left {
            None => (home.devices.of(device), None),
            Some((other, id)) => Shards::of_both((&home.devices, device), (&other.devices, id)),
        };
        let mut gone = Vec::new();
        let taken = left.and_then(|(_, id)| {
            let family = others.as_deref_mut().unwrap_or(&mut devices);
            let taken = family.remove(id)?;
            gone = modules::take_along(family, id, &taken);
            Some(taken)
        });
        let carried = taken.map(|mut known| {
            known.revoke();
            known.twin
        });
        let known = match (devices.entry(device.clone()), twin) {
            (Entry::Occupied(known), TwinFrom::Kept(_)) => {
                let known = known.into_mut();
                known.authentication = authentication;
                known.revision = known.revision.saturating_add(1);
                known.revoke_unless_proven();
                known
            }
            (Entry::Occupied(known), TwinFrom::Anew(initial)) => {
                let known = known.into_mut();
                known.revoke();
                let kin = known.kin.take();
                *known = Device::new(authentication, initial, &home.views, now);
                known.kin = kin;
                known
            }
            (Entry::Vacant(place), TwinFrom::Kept(initial)) => {
                let twin = carried.unwrap_or_else(|| Twin::new(initial, &home.views, now));
                place.insert(Device::with(authentication, twin))
            }
            (Entry::Vacant(place), TwinFrom::Anew(initial)) => {
                place.insert(Device::new(authentication, initial, &home.views, now))
            }
        };
        known.iot_edge = iot_edge;
        home.store.write(|writes| {
            if let Some((other, id)) = left {
                for id in [id].into_iter().chain(&gone) {
                    writes.remove(Kind::Identity, &other.host_name, id.as_str());
                }
            }
            home.put(writes, device, known);
            alongside(writes);
        });
        modules::follow(home, &mut devices, device, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fleetstorm_protocol::symmetric_key::SymmetricKey;
    use serde_json::{Value, json};

    use super::*;
    use crate::counters::Tally;
    use crate::hub::access_policy::HubPolicies;
    use crate::store::Store;
    use crate::store::durability::Durability;

    const WEST: &str = "hub-west.test";
    const EAST: &str = "hub-east.test";

    fn hubs(store: &Store) -> HubRegistry {
        let names = [WEST, EAST].map(String::from);
        let tally = Arc::new(Tally::new(&names));
        let hubs = names.map(|name| (name, HubPolicies::generate()));
        let hubs = HubRegistry::new(hubs.into(), 0, tally);
        hubs.kept_in(store).expect("readable")
    }

    fn id(number: usize) -> ClientId {
        ClientId::parse(&format!("pump-{number}")).expect("an id")
    }

    fn enter(hubs: &HubRegistry, hub: &str, device: &ClientId, left: Option<(usize, &ClientId)>) {
        let mut initial = InitialTwin::default();
        initial.tags.insert("from".into(), json!(hub));
        let entering = Entering {
            authentication: Authentication::key(SymmetricKey::from_bytes([7; 32]).expect("a key")),
            twin: TwinFrom::Kept(Some(&initial)),
            iot_edge: false,
            left,
        };
        hubs.enter(hub, device, entering, Timestamp::UNIX_EPOCH, |_| {})
            .expect("a known hub");
    }

    fn origin(hubs: &HubRegistry, hub: &str, device: &ClientId) -> Option<Value> {
        let (_, twin) = hubs.twin(hub, device).ok()?;
        Some(twin.tags["from"].clone())
    }

    #[test]
    fn a_device_that_moved_is_at_one_hub_with_its_twin_after_a_restart_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::in_folder(folder.path(), Durability::Process).expect("free");
        let moved = hubs(&store);
        enter(&moved, WEST, &id(1), None);
        enter(&moved, EAST, &id(1), Some((0, &id(1))));
        // It has another name from now on.
        enter(&moved, EAST, &id(2), Some((1, &id(1))));
        for hubs in [moved, hubs(&store)] {
            assert_eq!(origin(&hubs, EAST, &id(2)), Some(json!(WEST)));
            assert_eq!(origin(&hubs, WEST, &id(1)), None);
            assert_eq!(origin(&hubs, EAST, &id(1)), None);
        }
    }

    #[test]
    fn devices_that_move_to_and_fro_do_not_block_each_other() {
        let hubs = hubs(&Store::default());
        for number in 0..64 {
            enter(&hubs, [WEST, EAST][number % 2], &id(number), None);
        }
        std::thread::scope(|threads| {
            for start in 0..2 {
                let hubs = &hubs;
                threads.spawn(move || {
                    for round in 0..2_000 {
                        let number = round % 32 * 2 + start;
                        let from = (start + round / 32) % 2;
                        let to = [WEST, EAST][1 - from];
                        enter(hubs, to, &id(number), Some((from, &id(number))));
                    }
                });
            }
        });
        for number in 0..64 {
            let places = [WEST, EAST].map(|hub| origin(&hubs, hub, &id(number)));
            assert_eq!(places.iter().flatten().count(), 1, "{number}: {places:?}");
        }
    }
}
