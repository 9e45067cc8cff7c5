//! A device that moves from one region to another, and registers again there.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_protocol::attestation::Protocol;
use fleetstorm_protocol::enrollment::{AllocationPolicy, Enrollment};
use fleetstorm_protocol::http::DeviceOperation;
use fleetstorm_protocol::ids::{ClientId, OperationId, RegistrationId};
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::counters::LiveCounters;
use crate::hub::HubRefusal;
use crate::hub::access_policy::HubPolicies;
use crate::hub::assignment::{AssignedIdentity, LinkedRegistry, MovedTwin};
use crate::hub::config::HubConfig;
use crate::hub::hubs::Hubs;
use crate::hub::identity::Condition;
use crate::hub::twin::{TwinChange, TwinPatch};
use crate::regions::RegionConfig;
use crate::service::Service;
use crate::service::access::AccessPolicies;
use crate::service::config::InstanceConfig;
use crate::service::custom::call::Call;
use crate::service::enrollment_list::EnrollmentList;
use crate::service::enrollment_list::condition::Condition as WriteCondition;
use crate::service::linked_hub::LinkedHub;
use crate::service::request::{Origin, RegistrationRequest};
use crate::store::Store;
use crate::store::durability::Durability;

mod custom;

const WEST: &str = "hub-west.test";
const EAST: &str = "hub-east.test";
const IN_WEST: &str = "127.1.0.7";
const IN_EAST: &str = "127.2.0.7";

struct World {
    service: Service,
    hubs: Hubs,
    tally: Arc<LiveCounters>,
    calls: mpsc::Receiver<Call>,
    api_version: Option<&'static str>,
    now: Timestamp,
}

fn key() -> SymmetricKey {
    SymmetricKey::from_bytes([3; 32]).expect("a key")
}

impl World {
    /// With one device, `pump`, whose enrollment has this reprovision policy.
    fn new(reprovision: Value) -> Self {
        Self::with_hubs(reprovision, [WEST, EAST])
    }

    /// The same, with hubs that may not be those that are linked.
    fn with_hubs(reprovision: Value, hubs: [&str; 2]) -> Self {
        Self::kept_in(&Store::default(), reprovision, hubs, |hub| hub)
    }

    /// The same, with what a store knows; DPS reaches its hubs by what `link` makes of them.
    fn kept_in(
        store: &Store,
        reprovision: Value,
        hubs: [&str; 2],
        link: fn(Arc<dyn LinkedRegistry>) -> Arc<dyn LinkedRegistry>,
    ) -> Self {
        let region = |name: &str, other: &str, prefix: &str| RegionConfig {
            name: name.into(),
            prefixes: vec![prefix.parse().expect("a prefix")],
            latency: [(other.to_owned(), Duration::from_millis(85))].into(),
        };
        let hub = |name: &str, region: &str| HubConfig {
            region: Some(region.into()),
            ..HubConfig::named(name)
        };
        let server = Config {
            regions: vec![
                region("west", "east", "127.1.0.0/16"),
                region("east", "west", "127.2.0.0/16"),
            ],
            hubs: vec![hub(WEST, "west"), hub(EAST, "east")],
            ..Config::default()
        };
        let instance = InstanceConfig {
            processing_p50_us: 0,
            processing_p99_us: 0,
            allocation_policy: AllocationPolicy::GeoLatency,
            ..InstanceConfig::default()
        };
        let enrollment = json!({
            "registrationId": "pump",
            "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key()}},
            "initialTwin": {"tags": {"floor": 1}, "properties": {"desired": {"rate": 5}}},
            "reprovisionPolicy": reprovision,
        });
        let list = EnrollmentList::new(
            &LinkedHub::all(server.settings(), &instance),
            instance.allocation_policy,
        );
        let enrollment = Enrollment::from_json(&enrollment.to_string()).expect("an enrollment");
        list.put(&enrollment, WriteCondition::Absent, Timestamp::UNIX_EPOCH)
            .expect("good");
        let names = hubs.map(String::from);
        let tally = Arc::new(LiveCounters::new(&names));
        let hubs = names.map(|name| (name, HubPolicies::generate()));
        let hubs = Hubs::new(hubs.into(), 0, &tally, store).expect("readable");
        let (calls, waiting) = mpsc::channel(4);
        let linked = hubs.iter().map(|hub| link(Arc::clone(hub) as _)).collect();
        let service = Service::new(
            server.settings(),
            &instance,
            (
                list,
                AccessPolicies::of(&instance, store).expect("policies"),
            ),
            linked,
            calls,
            Arc::clone(&tally),
        );
        Self {
            service: service.kept_in(store).expect("readable"),
            hubs,
            tally,
            calls: waiting,
            api_version: None,
            now: "2026-06-01T00:00:00Z".parse().expect("a time"),
        }
    }

    /// Changes its enrollment.
    fn enroll(&self, mut members: Value) {
        members["registrationId"] = "pump".into();
        members["attestation"] =
            json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": key()}});
        let enrollment = Enrollment::from_json(&members.to_string()).expect("an enrollment");
        let list = self.service.enrollments();
        list.put(&enrollment, WriteCondition::Exists, self.now)
            .expect("good");
    }

    fn ask(&self, operation: DeviceOperation, from: &str) -> Value {
        let expiry = self.now.as_second() + 3_600;
        let sas = SasToken::format("0ne00000001/registrations/pump", expiry, None, |text| {
            key().sign(text)
        });
        let request = RegistrationRequest {
            id_scope: "0ne00000001",
            registration_id: &RegistrationId::parse("pump").expect("an id"),
            operation,
            body: b"",
            sas: Some(&sas),
            tpm: None,
            api_version: self.api_version,
            certificates: &[],
            unproven: None,
            origin: Origin {
                protocol: Protocol::Http,
                peer: Some(from.parse::<IpAddr>().expect("an address")),
            },
        };
        let answer = self.service.answer(&request, self.now);
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// Registers from an address; how the operation ends.
    fn end(&self, from: &str) -> Value {
        let accepted = self.ask(DeviceOperation::Register, from);
        let operation = accepted["operationId"].as_str().expect("accepted");
        let operation = OperationId::parse(operation).expect("an id");
        self.ask(DeviceOperation::OperationStatus(operation), from)
    }

    /// Registers from an address; the hub, and the substatus.
    fn register(&self, from: &str) -> (String, String) {
        let ended = self.end(from);
        let text = |key: &str| {
            ended["registrationState"][key]
                .as_str()
                .expect(key)
                .to_owned()
        };
        (text("assignedHub"), text("substatus"))
    }

    /// The service changes a desired property, so that the twin differs from a new one.
    fn change_twin(&self, hub: &str) {
        let patch: TwinPatch =
            serde_json::from_value(json!({"properties": {"desired": {"rate": 9}}}))
                .expect("a patch");
        let hub = self.hubs.named(hub).expect("a hub");
        let changed = hub.change_twin(
            &pump(),
            patch,
            TwinChange::Merge,
            Condition::Unnamed,
            self.now,
        );
        changed.expect("the hub knows it");
    }

    /// Desired `rate` and tag `floor`, as the hub has them.
    fn twin(&self, hub: &str) -> Result<(Value, Value), HubRefusal> {
        let hub = self.hubs.named(hub).ok_or(HubRefusal::UnknownHub)?;
        let (_, twin) = hub.twin(&pump())?;
        Ok((twin.desired["rate"].clone(), twin.tags["floor"].clone()))
    }
}

fn pump() -> ClientId {
    ClientId::parse("pump").expect("an id")
}

#[test]
fn what_becomes_of_a_device_that_moves_is_said_by_its_reprovision_policy() {
    let policy = |update: bool, migrate: bool| json!({"updateHubAssignment": update, "migrateDeviceData": migrate});
    for (reprovision, hub, substatus, rate) in [
        (Value::Null, EAST, "deviceDataMigrated", 9),
        (policy(true, true), EAST, "deviceDataMigrated", 9),
        (policy(true, false), EAST, "deviceDataReset", 5),
        (policy(false, false), WEST, "initialAssignment", 9),
        (policy(false, true), WEST, "initialAssignment", 9),
    ] {
        let world = World::new(reprovision.clone());
        let initial = "initialAssignment".to_owned();
        assert_eq!(world.register(IN_WEST), (WEST.into(), initial));
        world.change_twin(WEST);
        let moved = world.register(IN_EAST);
        assert_eq!(moved, (hub.into(), substatus.into()), "{reprovision}");
        assert_eq!(
            world.twin(hub),
            Ok((json!(rate), json!(1))),
            "{reprovision}"
        );
        let left = if hub == EAST { WEST } else { EAST };
        assert_eq!(
            world.twin(left),
            Err(HubRefusal::UnknownDevice),
            "{reprovision}"
        );
    }
}

#[test]
fn a_device_that_stays_keeps_its_twin_unless_it_is_reset() {
    for (migrate, substatus, rate) in [
        (true, "initialAssignment", 9),
        (false, "deviceDataReset", 5),
    ] {
        let world = World::new(json!({"updateHubAssignment": true, "migrateDeviceData": migrate}));
        world.register(IN_WEST);
        world.change_twin(WEST);
        assert_eq!(world.register(IN_WEST), (WEST.into(), substatus.into()));
        assert_eq!(world.twin(WEST), Ok((json!(rate), json!(1))));
    }
}

#[test]
fn registering_twice_before_the_first_is_done_moves_the_device_once() {
    let world = World::new(Value::Null);
    world.register(IN_WEST);
    world.change_twin(WEST);
    let first = world.ask(DeviceOperation::Register, IN_EAST);
    let second = world.ask(DeviceOperation::Register, IN_EAST);
    assert_eq!(first["operationId"], second["operationId"]);
    assert_eq!(world.register(IN_EAST).1, "deviceDataMigrated");
    assert_eq!(world.twin(EAST), Ok((json!(9), json!(1))));
    assert_eq!(world.twin(WEST), Err(HubRefusal::UnknownDevice));
}

#[test]
fn a_hub_knows_an_iot_edge_device_by_what_its_enrollment_says_now() {
    let world = World::new(Value::Null);
    for (members, iot_edge) in [
        (json!({"capabilities": {"iotEdge": true}}), true),
        (json!({"capabilities": {}}), false),
        (json!({"capabilities": {"iotEdge": true}}), true),
        (json!({}), false),
    ] {
        world.enroll(members);
        world.register(IN_WEST);
        let identity = world
            .hubs
            .named(WEST)
            .expect("a hub")
            .identity(&pump())
            .expect("known");
        assert_eq!(identity.iot_edge, iot_edge);
    }
}

#[test]
fn a_device_that_its_hub_forgot_is_entered_anew() {
    let world = World::new(Value::Null);
    world.register(IN_WEST);
    let removed = world
        .hubs
        .named(WEST)
        .expect("a hub")
        .remove_identity(&pump(), Condition::Exists);
    removed.expect("the hub knows it");
    world.register(IN_EAST);
    assert_eq!(world.twin(EAST), Ok((json!(5), json!(1))));
}

#[test]
fn a_device_with_an_old_api_version_stays_unless_its_enrollment_says_otherwise() {
    let update = |update: bool| json!({"updateHubAssignment": update});
    for (version, reprovision, hub) in [
        (Some("2018-04-01"), Value::Null, WEST),
        (Some("2017-08-31-preview"), Value::Null, WEST),
        (Some("2018-11-01"), Value::Null, EAST),
        (Some("2019-03-31"), Value::Null, EAST),
        (None, Value::Null, EAST),
        (Some("2018-04-01"), update(true), EAST),
        (Some("2019-03-31"), update(false), WEST),
    ] {
        let mut world = World::new(reprovision.clone());
        world.api_version = version;
        assert_eq!(world.register(IN_WEST).0, WEST);
        let (again, _) = world.register(IN_EAST);
        assert_eq!(again, hub, "{version:?}, {reprovision}");
    }
}

#[test]
fn a_hub_that_takes_nobody_ends_the_operation_as_failed_and_nothing_is_lost() {
    let world = World::with_hubs(Value::Null, [WEST, "hub-elsewhere.test"]);
    world.register(IN_WEST);
    world.change_twin(WEST);
    let failed = world.end(IN_EAST);
    let state = &failed["registrationState"];
    assert_eq!(failed["status"], "failed");
    assert_eq!(
        (&state["status"], &state["errorCode"]),
        (&json!("failed"), &json!(400_209))
    );
    assert!(state["errorMessage"].is_string(), "{state}");
    assert_eq!(state["registrationId"], "pump");
    assert_eq!(state.get("assignedHub"), None);
    let known = world.ask(DeviceOperation::RegistrationStatus, IN_EAST);
    assert_eq!(known["status"], "failed", "the record says so, too");
    let record = world.service.registration("pump", world.now);
    assert_eq!(record.expect("there is one")["errorCode"], 400_209);
    assert_eq!(world.twin(WEST), Ok((json!(9), json!(1))), "it is here yet");
    assert_eq!(
        world.tally.read().registrations_failed,
        [(400_209, 1)].into()
    );

    let (hub, substatus) = world.register(IN_WEST);
    assert_eq!((&*hub, &*substatus), (WEST, "initialAssignment"));
    assert_eq!(world.twin(WEST), Ok((json!(9), json!(1))));
}

#[test]
fn who_registers_again_before_the_end_gets_what_the_enrollment_says_by_then() {
    let world = World::new(Value::Null);
    world.ask(DeviceOperation::Register, IN_WEST);
    world.enroll(json!({
        "deviceId": "pump-2",
        "allocationPolicy": "static",
        "iotHubs": [EAST],
    }));
    let ended = world.end(IN_WEST);
    let state = &ended["registrationState"];
    assert_eq!(
        (&state["assignedHub"], &state["deviceId"]),
        (&json!(EAST), &json!("pump-2"))
    );
}

/// A hub that loses what it is asked to remove.
struct Deaf(Arc<dyn LinkedRegistry>);

impl LinkedRegistry for Deaf {
    fn host_name(&self) -> &str {
        self.0.host_name()
    }

    fn put(
        &self,
        device: &ClientId,
        assigned: AssignedIdentity<'_>,
        now: Timestamp,
    ) -> Result<(), HubRefusal> {
        self.0.put(device, assigned, now)
    }

    fn twin_to_move(&self, device: &ClientId) -> Result<Option<MovedTwin>, HubRefusal> {
        self.0.twin_to_move(device)
    }

    fn remove(&self, _: &ClientId) -> Result<(), HubRefusal> {
        Err(HubRefusal::NotKept)
    }
}

#[test]
fn a_device_that_moved_is_out_of_its_first_hub_in_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |link| {
        let store = Store::in_folder(folder.path(), Durability::Process).expect("free");
        World::kept_in(&store, Value::Null, [WEST, EAST], link)
    };
    // As if the server was stopped in between.
    let stopped = open(|hub| Arc::new(Deaf(hub)));
    stopped.register(IN_WEST);
    stopped.change_twin(WEST);
    assert_eq!(stopped.register(IN_EAST).0, EAST);
    assert_eq!(stopped.twin(EAST), Ok((json!(9), json!(1))));
    assert!(stopped.twin(WEST).is_ok(), "it could not be taken out");
    drop(stopped);
    let world = open(|hub| hub);
    assert_eq!(world.twin(WEST), Err(HubRefusal::UnknownDevice));
    assert_eq!(world.twin(EAST), Ok((json!(9), json!(1))));
    let known = world.service.registration("pump", world.now);
    assert_eq!(known.expect("kept")["assignedHub"], EAST);
    // Whoever enters it there again keeps it.
    world.register(IN_WEST);
    drop(world);
    assert!(open(|hub| hub).twin(WEST).is_ok());
}
