//! Modules: identities of their own below a device (IoT Hub documentation, "Understand and use module
//! twins"). They are filed beside their device, let in only while it is, and go when it goes.

use std::collections::HashMap;

use fleetstorm_protocol::ids::{ClientId, ModuleId};
use jiff::Timestamp;

use super::HubRefusal;
use super::authentication::Authentication;
use super::device::Device;
use super::identity::Identity;
use super::registry::Hub;

/// Modules that a device may have (IoT Hub documentation, "Quotas and throttling").
const MAX_MODULES: usize = 50;
/// Those that an IoT Edge device has from the beginning.
const OF_EDGE: [&str; 2] = ["$edgeAgent", "$edgeHub"];

/// A device and its modules lie in one shard.
pub(super) type Family = HashMap<ClientId, Device>;

/// Whether there may be a module of a device; whether that is let in, for then so are its modules.
///
/// # Errors
/// Its device is not known, or has too many.
pub(super) fn room_for(family: &Family, module: &ClientId) -> Result<bool, HubRefusal> {
    let device = family.get(&module.device());
    let device = device.ok_or(HubRefusal::UnknownDevice)?;
    let is_new = !family.contains_key(module);
    if is_new && device.modules().count() >= MAX_MODULES {
        return Err(HubRefusal::TooManyModules(MAX_MODULES));
    }
    Ok(device.enabled)
}

/// A device was made or changed: its modules are let in as it is, and one of IoT Edge has those that
/// all of them have.
pub(super) fn follow(hub: &Hub, family: &mut Family, device: &ClientId, now: Timestamp) {
    let Some(known) = family.get_mut(device) else {
        return;
    };
    let enabled = known.enabled;
    if known.iot_edge {
        for module in OF_EDGE {
            known.add_module(module);
        }
    }
    for module in ids(device, known) {
        let is_new = !family.contains_key(&module);
        let known = family
            .entry(module.clone())
            .or_insert_with(|| Device::new(Authentication::None, None, &hub.views, now));
        if is_new || known.enabled != enabled {
            known.enabled = enabled;
            known.revoke_unless_proven();
            hub.keep(&module, known);
        }
    }
}

/// Removes an identity and the modules of it, and ends their sessions, where it is known.
pub(super) fn remove(hub: &Hub, family: &mut Family, device: &ClientId) {
    let Some(mut gone) = family.remove(device) else {
        return;
    };
    gone.revoke();
    let modules = ids(device, &gone);
    for module in &modules {
        if let Some(mut known) = family.remove(module) {
            known.revoke();
        }
    }
    hub.forget([device].into_iter().chain(&modules));
}

fn ids(device: &ClientId, known: &Device) -> Vec<ClientId> {
    let ids = known.modules().filter_map(|id| ModuleId::parse(id).ok());
    ids.map(|id| ClientId::of_module(device.device_id(), &id))
        .collect()
}

impl Hub {
    /// The modules of a device, in the order of their names.
    ///
    /// # Errors
    /// Unknown device.
    pub fn modules(&self, device: &ClientId) -> Result<Vec<(ClientId, Identity)>, HubRefusal> {
        let family = self.devices.of(device);
        let known = family.get(device).ok_or(HubRefusal::UnknownDevice)?;
        let modules = ids(device, known).into_iter().filter_map(|module| {
            let identity = Identity::of(family.get(&module)?);
            Some((module, identity))
        });
        Ok(modules.collect())
    }
}

#[cfg(test)]
mod tests {
    use fleetstorm_protocol::symmetric_key::SymmetricKey;

    use super::*;
    use crate::hub::assignment::{AssignedIdentity, AssignedTwin, LinkedRegistry as _};
    use crate::hub::identity::{Condition, WantedIdentity};
    use crate::store::Store;
    use crate::store::durability::Durability;

    fn gate() -> ClientId {
        ClientId::parse("gate-1").expect("an id")
    }

    fn key() -> Authentication {
        Authentication::key(SymmetricKey::from_bytes([7; 32]).expect("a key"))
    }

    /// By DPS.
    fn enter(hub: &Hub) {
        let assigned = AssignedIdentity {
            authentication: key(),
            iot_edge: true,
            twin: AssignedTwin::Kept {
                moved: None,
                initial: None,
            },
        };
        hub.put(&gate(), assigned, Timestamp::UNIX_EPOCH)
            .expect("a known hub");
    }

    fn add(hub: &Hub, module: &str) {
        let wanted = WantedIdentity {
            authentication: key(),
            enabled: true,
            status_reason: None,
            iot_edge: None,
            managed_by: Some("iotEdge".into()),
        };
        let (condition, now) = (Condition::Unnamed, Timestamp::UNIX_EPOCH);
        let id = ClientId::parse(&format!("gate-1/{module}")).expect("an id");
        hub.put_identity(&id, wanted, condition, now).expect("room");
    }

    fn names(hub: &Hub) -> Option<Vec<String>> {
        let modules = hub.modules(&gate()).ok()?;
        let names = modules.iter().filter_map(|(id, _)| id.module_id());
        Some(names.map(str::to_owned).collect())
    }

    #[test]
    fn modules_outlive_the_server_and_go_with_their_device() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::in_folder(folder.path(), Durability::Process).expect("free");
        let open = || Hub::alone("hub.test", 0, &store);
        let first = open();
        enter(&first);
        add(&first, "camera");
        let camera = ClientId::parse("gate-1/camera").expect("an id");
        for hub in [&first, &open()] {
            let expected = ["$edgeAgent", "$edgeHub", "camera"].map(String::from);
            assert_eq!(names(hub), Some(expected.into()));
            let identity = hub.identity(&camera).expect("known");
            assert_eq!(identity.managed_by.as_deref(), Some("iotEdge"));
        }
        first.remove(&gate()).expect("a call away");
        for hub in [&first, &open()] {
            assert_eq!(names(hub), None);
            assert!(hub.identity(&camera).is_err());
        }
        // It comes back, and its modules stay behind for nobody.
        enter(&first);
        let expected = ["$edgeAgent", "$edgeHub"].map(String::from);
        for hub in [&first, &open()] {
            assert_eq!(names(hub), Some(expected.to_vec()));
        }
    }
}
