//! The hubs and their identity registries: all that DPS may ask of a hub, so that a hub can
//! live in a process of its own.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;

use fleetstorm_protocol::hub::Message;
use fleetstorm_protocol::ids::ClientId;
use jiff::Timestamp;

use super::HubRefusal;
use super::access_policy::HubPolicies;
use super::device::Device;
use super::feedback::Feedback;
use super::telemetry::{Received, Telemetry};
use super::twin::SharedViews;
use crate::counters::{HubTally, Tally};
use crate::shards::Shards;
use crate::store::error::StoreError;
use crate::store::kind::Kind;
use crate::store::{Store, Writes};

/// The hubs of a server.
pub struct HubRegistry {
    hubs: Vec<Hub>,
    pub(super) tally: Arc<Tally>,
    last_number: AtomicU64,
}

pub(super) struct Hub {
    pub(super) host_name: String,
    pub(super) policies: HubPolicies,
    pub(super) views: SharedViews,
    pub(super) telemetry: Telemetry,
    pub(super) feedback: Feedback,
    pub(super) devices: Shards<ClientId, Device>,
    pub(super) store: Store,
}

impl HubRegistry {
    /// Hubs without devices, each with its host name and the policies of its service API; each keeps
    /// so many messages of its devices.
    pub(crate) fn new(
        hubs: Vec<(String, HubPolicies)>,
        kept_messages: usize,
        tally: Arc<Tally>,
    ) -> Self {
        let hub = |(host_name, policies)| Hub {
            host_name,
            policies,
            views: SharedViews::default(),
            telemetry: Telemetry::new(kept_messages),
            feedback: Feedback::default(),
            devices: Shards::new(),
            store: Store::default(),
        };
        Self {
            hubs: hubs.into_iter().map(hub).collect(),
            tally,
            last_number: AtomicU64::new(0),
        }
    }

    /// With the devices that a store knows, and from now on kept there. What it knows of hubs that
    /// are not there stays in it.
    ///
    /// # Errors
    /// The store can't be read.
    pub(crate) fn kept_in(mut self, store: &Store) -> Result<Self, StoreError> {
        std::thread::scope(|threads| {
            let hubs = self.hubs.iter_mut();
            let loads: Vec<_> = hubs
                .map(|hub| threads.spawn(|| hub.keep_in(store)))
                .collect();
            let mut ends = loads.into_iter().map(ScopedJoinHandle::join);
            ends.try_for_each(|end| end.unwrap_or_else(|panic| resume_unwind(panic)))
        })?;
        Ok(self)
    }

    /// Host names, in order.
    pub fn host_names(&self) -> impl Iterator<Item = &str> {
        self.hubs.iter().map(|hub| hub.host_name.as_str())
    }

    /// The host name of the hub at `index`.
    pub fn host_name(&self, index: usize) -> Option<&str> {
        self.hubs.get(index).map(|hub| hub.host_name.as_str())
    }

    /// The last messages of a hub's devices, the oldest first.
    ///
    /// # Errors
    /// Unknown hub.
    pub fn recent_messages(&self, hub: &str) -> Result<Vec<Arc<Received>>, HubRefusal> {
        let (_, hub) = self.hub(hub)?;
        Ok(hub.telemetry.last())
    }

    /// A hub by name, whatever its case.
    pub(super) fn hub(&self, host_name: &str) -> Result<(usize, &Hub), HubRefusal> {
        let mut hubs = self.hubs.iter().enumerate();
        hubs.find(|(_, hub)| hub.host_name.eq_ignore_ascii_case(host_name))
            .ok_or(HubRefusal::UnknownHub)
    }

    /// The hub at `index`.
    pub(super) fn at(&self, index: usize) -> Option<&Hub> {
        self.hubs.get(index)
    }

    /// Does something with a device of the hub at `index`.
    pub(super) fn with<Done>(
        &self,
        index: usize,
        device: &ClientId,
        act: impl FnOnce(&mut Device) -> Done,
    ) -> Result<Done, HubRefusal> {
        let hub = self.hubs.get(index).ok_or(HubRefusal::UnknownHub)?;
        let mut devices = hub.devices.of(device);
        let known = devices.get_mut(device);
        let known = known.ok_or_else(|| HubRefusal::unknown(device))?;
        let done = act(known);
        let created = known.twin.created();
        if let Some(traffic) = known.traffic() {
            let ended = traffic.messages.take_ended();
            if !ended.is_empty() {
                hub.feedback.tell(device, created, ended);
            }
        }
        Ok(done)
    }

    /// Changes a device of the hub at `index`; what it is then outlives the process, where there
    /// is a store.
    pub(super) fn change<Done>(
        &self,
        index: usize,
        device: &ClientId,
        act: impl FnOnce(&mut Device) -> Result<Done, HubRefusal>,
    ) -> Result<Done, HubRefusal> {
        let hub = self.hubs.get(index).ok_or(HubRefusal::UnknownHub)?;
        self.with(index, device, |known| {
            let done = act(known)?;
            hub.keep(device, known);
            Ok(done)
        })?
    }

    /// Keeps a message of a device of the hub at `index`.
    pub(super) fn keep(&self, index: usize, device: &ClientId, message: &Message, now: Timestamp) {
        if let Some(hub) = self.hubs.get(index) {
            hub.telemetry.keep(device, message, now);
        }
    }

    /// What is counted of the hub at `index`.
    pub(super) fn tally(&self, index: usize) -> Option<&HubTally> {
        self.tally.hub(index)
    }

    /// A number that no session or call has had.
    pub(super) fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Hub {
    fn keep_in(&mut self, store: &Store) -> Result<(), StoreError> {
        let mut modules = Vec::new();
        store.each(Kind::Identity, &self.host_name, |device, kept| {
            let id = ClientId::parse(device).map_err(|e| e.to_string())?;
            let known = Device::from_kept(kept, &self.views)?;
            if id.is_module() {
                modules.push(id.clone());
            }
            self.devices.of(&id).insert(id.clone(), known);
            Ok(())
        })?;
        for module in modules {
            let mut family = self.devices.of(&module);
            if let (Some(device), Some(id)) = (family.get_mut(&module.device()), module.module_id())
            {
                device.add_module(id);
            }
        }
        self.store = store.clone();
        Ok(())
    }

    /// Writes down what a device is now. Called under the lock of its shard.
    pub(super) fn keep(&self, device: &ClientId, known: &Device) {
        self.store.write(|writes| {
            self.put(writes, device, known);
        });
    }

    /// The same together with other changes.
    pub(super) fn put(&self, writes: &mut Writes<'_>, device: &ClientId, known: &Device) {
        let (kind, scope) = (Kind::Identity, &self.host_name);
        writes.put(kind, scope, device.as_str(), &known.kept());
    }

    /// Writes down that these are gone; under the same lock.
    pub(super) fn forget<'a>(&self, gone: impl Iterator<Item = &'a ClientId>) {
        let (kind, scope) = (Kind::Identity, &self.host_name);
        self.store.write(|writes| {
            for client in gone {
                writes.remove(kind, scope, client.as_str());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::assignment::{AssignedIdentity, AssignedTwin};
    use crate::hub::authentication::Authentication;
    use crate::store::durability::Durability;
    use fleetstorm_protocol::hub::sas_resource;
    use fleetstorm_protocol::sas::SasToken;
    use fleetstorm_protocol::symmetric_key::SymmetricKey;
    use fleetstorm_protocol::twin::InitialTwin;
    use fleetstorm_protocol::x509::thumbprint;
    use rustls::pki_types::CertificateDer;
    use serde_json::{Value, json};

    const HUB: &str = "hub-1.fleetstorm.test";
    const NOW: i64 = 1_800_000_000;

    fn registry() -> Arc<HubRegistry> {
        let hubs = [HUB.to_owned()];
        let tally = Arc::new(Tally::new(&hubs));
        let hubs = hubs.map(|hub| (hub, policies()));
        Arc::new(HubRegistry::new(hubs.into(), 0, tally))
    }

    fn policies() -> HubPolicies {
        HubPolicies::of_owner(sas_key(9))
    }

    fn device() -> ClientId {
        ClientId::parse("pump-1").expect("valid")
    }

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).expect("in range")
    }

    fn sas_key(byte: u8) -> SymmetricKey {
        SymmetricKey::from_bytes([byte; 32]).expect("a key")
    }

    fn token(key: u8) -> String {
        let sign = |text: &[u8]| sas_key(key).sign(text);
        SasToken::format(&sas_resource(HUB, &device()), NOW + 3600, None, sign)
    }

    fn assigned(
        authentication: Authentication,
        initial: Option<&InitialTwin>,
    ) -> AssignedIdentity<'_> {
        AssignedIdentity {
            authentication,
            iot_edge: false,
            twin: AssignedTwin::Kept {
                moved: None,
                initial,
            },
        }
    }

    #[test]
    fn a_twin_survives_a_change_of_key() {
        let registry = registry();
        let mut initial = InitialTwin::default();
        initial
            .properties
            .desired
            .insert("interval".into(), json!(5));
        let enter = |key: u8, twin: Option<&InitialTwin>| {
            let authentication = Authentication::key(sas_key(key));
            registry.assign(HUB, &device(), assigned(authentication, twin), now())
        };
        enter(1, Some(&initial)).expect("known hub");
        enter(2, None).expect("known hub");

        let admit = |token: &str| registry.authenticate(HUB, &device(), Some(token), &[], now());
        assert_eq!(admit(&token(1)).err(), Some(HubRefusal::Unauthorized));
        assert_eq!(admit("nonsense").err(), Some(HubRefusal::Unauthorized));
        let admitted = admit(&token(2)).expect("the new key");
        assert_eq!(admitted.expiry(), Some(NOW + 3600));
        let twin: Value =
            serde_json::from_slice(&admitted.read_twin().expect("known")).expect("JSON");
        assert_eq!(
            twin,
            json!({"desired": {"interval": 5, "$version": 1}, "reported": {"$version": 1}})
        );
    }

    #[test]
    fn devices_outlive_the_server_where_there_is_a_store() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || {
            let store = Store::in_folder(folder.path(), Durability::Process).expect("free");
            let registry = Arc::into_inner(registry()).expect("one");
            Arc::new(registry.kept_in(&store).expect("readable"))
        };
        let gone = ClientId::parse("pump-2").expect("valid");
        let mut initial = InitialTwin::default();
        initial.tags.insert("site".into(), json!("north"));
        let before = {
            let registry = open();
            for id in [&device(), &gone] {
                let authentication = Authentication::key(sas_key(1));
                registry
                    .assign(HUB, id, assigned(authentication, Some(&initial)), now())
                    .expect("known hub");
            }
            let admitted = registry.authenticate(HUB, &device(), Some(&token(1)), &[], now());
            let admitted = admitted.expect("its key");
            admitted.is_of_model("dtmi:test:Pump;1").expect("known");
            let reported = admitted.patch_reported(br#"{"level":3}"#, now());
            assert_eq!(reported, Ok(2));
            let condition = crate::hub::identity::Condition::Exists;
            registry
                .remove_identity(HUB, &gone, condition)
                .expect("known");
            registry.twin(HUB, &device()).expect("known")
        };
        let registry = open();
        assert_eq!(registry.twin(HUB, &device()), Ok(before));
        assert_eq!(
            registry.twin(HUB, &gone).err(),
            Some(HubRefusal::UnknownDevice)
        );
        let admitted = registry.authenticate(HUB, &device(), Some(&token(1)), &[], now());
        assert!(admitted.is_ok());
    }

    #[test]
    fn either_of_two_keys_opens() {
        let registry = registry();
        let authentication = Authentication::Sas {
            primary: sas_key(1),
            secondary: Some(sas_key(2)),
        };
        registry
            .assign(HUB, &device(), assigned(authentication, None), now())
            .expect("known hub");
        for (key, opens) in [(1, true), (2, true), (3, false)] {
            let admitted = registry.authenticate(HUB, &device(), Some(&token(key)), &[], now());
            assert_eq!(admitted.is_ok(), opens, "{key}");
        }
    }

    #[test]
    fn the_policys_token_opens_for_devices_with_keys_and_for_no_others() {
        let sign = |text: &[u8]| sas_key(9).sign(text);
        let token = SasToken::format(HUB, NOW + 60, Some("iothubowner"), sign);
        for (authentication, opens) in [
            (Authentication::key(sas_key(1)), true),
            (Authentication::certificate([1; 32]), false),
        ] {
            let registry = registry();
            registry
                .assign(HUB, &device(), assigned(authentication, None), now())
                .expect("known hub");
            let admitted = registry.authenticate(HUB, &device(), Some(&token), &[], now());
            let expiry = admitted.ok().and_then(|device| device.expiry());
            assert_eq!(expiry, opens.then_some(NOW + 60));
        }
    }

    #[test]
    fn a_certificate_opens_its_own_door_only() {
        let registry = registry();
        let own = CertificateDer::from(vec![1; 100]);
        let authentication = Authentication::certificate(thumbprint(&own));
        registry
            .assign(HUB, &device(), assigned(authentication, None), now())
            .expect("known hub");
        let admits = |hub: &str, device: &ClientId, chain: &[CertificateDer<'static>]| {
            registry.authenticate(hub, device, None, chain, now()).err()
        };
        let chain = std::slice::from_ref(&own);
        assert_eq!(admits("HUB-1.fleetstorm.test", &device(), chain), None);
        assert_eq!(
            admits(
                HUB,
                &device(),
                &[CertificateDer::from(vec![2; 100]), own.clone()]
            ),
            Some(HubRefusal::Unauthorized)
        );
        assert_eq!(admits(HUB, &device(), &[]), Some(HubRefusal::Unauthorized));
        assert_eq!(
            admits("hub-2.fleetstorm.test", &device(), chain),
            Some(HubRefusal::UnknownHub)
        );
        let stranger = ClientId::parse("pump-2").expect("valid");
        assert_eq!(
            admits(HUB, &stranger, chain),
            Some(HubRefusal::UnknownDevice)
        );
    }
}
