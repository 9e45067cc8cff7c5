//! A hub: the registry of its identities, and what else it keeps of its devices.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fleetstorm_protocol::ids::ClientId;

use super::HubRefusal;
use super::access_policy::HubPolicies;
use super::device::Device;
use super::feedback::Feedback;
use super::telemetry::{Received, Telemetry};
use super::twin::SharedViews;
use crate::counters::{LiveCounters, LiveHubCounters};
use crate::shards::Shards;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::kind::Kind;

/// One hub.
pub struct Hub {
    pub(super) host_name: String,
    pub(super) policies: HubPolicies,
    pub(super) views: SharedViews,
    pub(super) telemetry: Telemetry,
    pub(super) feedback: Feedback,
    pub(super) devices: Shards<ClientId, Device>,
    pub(super) store: Store,
    pub(super) tally: Arc<LiveCounters>,
    pub(super) counters: Arc<LiveHubCounters>,
    last_number: AtomicU64,
}

impl Hub {
    /// With its host name, the policies of its service API, and the devices that a store knows, which are
    /// kept there from now on; it keeps so many messages of its devices.
    ///
    /// # Errors
    /// The store can't be read.
    pub(crate) fn new(
        host_name: String,
        policies: HubPolicies,
        kept_messages: usize,
        tally: &Arc<LiveCounters>,
        store: &Store,
    ) -> Result<Self, StoreError> {
        let mut hub = Self {
            counters: tally.hub_named(&host_name),
            tally: Arc::clone(tally),
            host_name,
            policies,
            views: SharedViews::default(),
            telemetry: Telemetry::new(kept_messages),
            feedback: Feedback::default(),
            devices: Shards::new(),
            store: Store::default(),
            last_number: AtomicU64::new(0),
        };
        hub.keep_in(store)?;
        Ok(hub)
    }

    /// One by itself, with policies of its own.
    #[cfg(test)]
    pub(super) fn alone(host_name: &str, kept_messages: usize, store: &Store) -> Self {
        let tally = Arc::new(LiveCounters::new(&[host_name.to_owned()]));
        let policies = HubPolicies::generate();
        Self::new(host_name.to_owned(), policies, kept_messages, &tally, store).expect("readable")
    }

    /// Its host name.
    pub fn host_name(&self) -> &str {
        &self.host_name
    }

    /// The last messages of its devices, the oldest first.
    pub fn recent_messages(&self) -> Vec<Arc<Received>> {
        self.telemetry.last()
    }

    /// Does something with a device.
    pub(super) fn with<Done>(
        &self,
        device: &ClientId,
        act: impl FnOnce(&mut Device) -> Done,
    ) -> Result<Done, HubRefusal> {
        let mut devices = self.devices.of(device);
        let known = devices.get_mut(device);
        let known = known.ok_or_else(|| HubRefusal::unknown(device))?;
        let done = act(known);
        let created = known.twin.created();
        if let Some(traffic) = known.traffic() {
            let ended = traffic.messages.take_ended();
            if !ended.is_empty() {
                self.feedback.tell(device, created, ended);
            }
        }
        Ok(done)
    }

    /// Changes a device; what it is then outlives the process, where there is a store.
    pub(super) fn change<Done>(
        &self,
        device: &ClientId,
        act: impl FnOnce(&mut Device) -> Result<Done, HubRefusal>,
    ) -> Result<Done, HubRefusal> {
        self.with(device, |known| {
            let done = act(known)?;
            self.keep(device, known);
            Ok(done)
        })?
    }

    /// A number that no session or call of it has had.
    pub(super) fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

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

    /// Writes down what a device is now. WebhookOutcome under the lock of its shard.
    pub(super) fn keep(&self, device: &ClientId, known: &Device) {
        self.store.write(|writes| {
            let (kind, scope) = (Kind::Identity, &self.host_name);
            writes.put(kind, scope, device.as_str(), &known.kept());
        });
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
    use crate::hub::assignment::{AssignedIdentity, AssignedTwin, LinkedRegistry as _};
    use crate::hub::authentication::Authentication;
    use crate::store::durability::Durability;
    use fleetstorm_protocol::hub::sas_resource;
    use fleetstorm_protocol::sas::SasToken;
    use fleetstorm_protocol::symmetric_key::SymmetricKey;
    use fleetstorm_protocol::twin::InitialTwin;
    use fleetstorm_protocol::x509::thumbprint;
    use jiff::Timestamp;
    use rustls::pki_types::CertificateDer;
    use serde_json::{Value, json};

    const HUB: &str = "hub-1.fleetstorm.test";
    const NOW: i64 = 1_800_000_000;

    fn hub() -> Arc<Hub> {
        hub_in(&Store::default())
    }

    fn hub_in(store: &Store) -> Arc<Hub> {
        let tally = Arc::new(LiveCounters::new(&[HUB.to_owned()]));
        Arc::new(Hub::new(HUB.into(), policies(), 0, &tally, store).expect("readable"))
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
        let hub = hub();
        let mut initial = InitialTwin::default();
        initial
            .properties
            .desired
            .insert("interval".into(), json!(5));
        let enter = |key: u8, twin: Option<&InitialTwin>| {
            let authentication = Authentication::key(sas_key(key));
            hub.put(&device(), assigned(authentication, twin), now())
        };
        enter(1, Some(&initial)).expect("known hub");
        enter(2, None).expect("known hub");

        let admit = |token: &str| hub.authenticate(&device(), Some(token), &[], now());
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
            hub_in(&store)
        };
        let gone = ClientId::parse("pump-2").expect("valid");
        let mut initial = InitialTwin::default();
        initial.tags.insert("site".into(), json!("north"));
        let before = {
            let hub = open();
            for id in [&device(), &gone] {
                let authentication = Authentication::key(sas_key(1));
                hub.put(id, assigned(authentication, Some(&initial)), now())
                    .expect("known hub");
            }
            let admitted = hub.authenticate(&device(), Some(&token(1)), &[], now());
            let admitted = admitted.expect("its key");
            admitted.is_of_model("dtmi:test:Pump;1").expect("known");
            let reported = admitted.patch_reported(br#"{"level":3}"#, now());
            assert_eq!(reported, Ok(2));
            let condition = crate::hub::identity::Condition::Exists;
            hub.remove_identity(&gone, condition).expect("known");
            hub.twin(&device()).expect("known")
        };
        let hub = open();
        assert_eq!(hub.twin(&device()), Ok(before));
        assert_eq!(hub.twin(&gone).err(), Some(HubRefusal::UnknownDevice));
        let admitted = hub.authenticate(&device(), Some(&token(1)), &[], now());
        assert!(admitted.is_ok());
    }

    #[test]
    fn either_of_two_keys_opens() {
        let hub = hub();
        let authentication = Authentication::Sas {
            primary: sas_key(1),
            secondary: Some(sas_key(2)),
        };
        hub.put(&device(), assigned(authentication, None), now())
            .expect("known hub");
        for (key, opens) in [(1, true), (2, true), (3, false)] {
            let admitted = hub.authenticate(&device(), Some(&token(key)), &[], now());
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
            let hub = hub();
            hub.put(&device(), assigned(authentication, None), now())
                .expect("known hub");
            let admitted = hub.authenticate(&device(), Some(&token), &[], now());
            let expiry = admitted.ok().and_then(|device| device.expiry());
            assert_eq!(expiry, opens.then_some(NOW + 60));
        }
    }

    #[test]
    fn a_certificate_opens_its_own_door_only() {
        let hub = hub();
        let own = CertificateDer::from(vec![1; 100]);
        let authentication = Authentication::certificate(thumbprint(&own));
        hub.put(&device(), assigned(authentication, None), now())
            .expect("known hub");
        let admits = |device: &ClientId, chain: &[CertificateDer<'static>]| {
            hub.authenticate(device, None, chain, now()).err()
        };
        let chain = std::slice::from_ref(&own);
        assert_eq!(admits(&device(), chain), None);
        assert_eq!(
            admits(
                &device(),
                &[CertificateDer::from(vec![2; 100]), own.clone()]
            ),
            Some(HubRefusal::Unauthorized)
        );
        assert_eq!(admits(&device(), &[]), Some(HubRefusal::Unauthorized));
        let stranger = ClientId::parse("pump-2").expect("valid");
        assert_eq!(admits(&stranger, chain), Some(HubRefusal::UnknownDevice));
    }
}
