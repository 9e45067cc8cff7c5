//! What time and history do to the answers; what each request is answered with over
//! every transport is asked in `tests/wire`.

use std::time::Duration;

use fleetstorm_protocol::attestation::Protocol;
use fleetstorm_protocol::enrollment::Enrollment;
use fleetstorm_protocol::ids::ClientId;
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use fleetstorm_protocol::tpm::IdentityKey;
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use super::enrollment_list::condition::Condition;
use super::registrations::MAX_REGISTRATIONS;
use super::request::Origin;
use super::*;
use crate::config::Config;
use crate::hub::access_policy::HubPolicies;
use crate::hub::hubs::Hubs;
use crate::store::Store;
use software_tpm::SoftwareTpm;

mod challenges;
mod in_time;
mod restart;

#[path = "../../tests/wire/software_tpm.rs"]
mod software_tpm;

/// What an assignment takes here, to the microsecond.
const PROCESSING: Duration = Duration::from_secs(10);

/// A service with two enrollments, at a time that the test moves.
struct Told {
    service: Service,
    hubs: Hubs,
    tally: Arc<LiveCounters>,
    now: Timestamp,
    pump: CertificateDer<'static>,
    renewed_pump: CertificateDer<'static>,
    tpm: SoftwareTpm,
}

impl Told {
    fn new() -> Self {
        Self::kept_in(&Store::default())
    }

    /// With what a store knows.
    fn kept_in(store: &Store) -> Self {
        let server = Config::default();
        let config = InstanceConfig {
            processing_p50_us: PROCESSING.as_micros() as u64,
            processing_p99_us: PROCESSING.as_micros() as u64,
            ..InstanceConfig::default()
        };
        let (pump, renewed_pump) = (certificate("pump"), certificate("pump"));
        let tpm = SoftwareTpm::new();
        let pem = |der: &CertificateDer<'_>| {
            use base64::Engine;
            json!({"certificate": base64::engine::general_purpose::STANDARD.encode(der)})
        };
        let enrollments = [
            json!({"registrationId": "pump", "attestation": {"type": "x509", "x509": {
                "clientCertificates": {"primary": pem(&pump), "secondary": pem(&renewed_pump)}}}}),
            json!({"registrationId": "lock", "attestation": {"type": "symmetricKey", "symmetricKey": {
                "primaryKey": lock_key(1), "secondaryKey": lock_key(2)}}}),
            json!({"registrationId": "vault", "attestation": {"type": "tpm", "tpm": {
                "endorsementKey": tpm.endorsement_key()}}}),
        ];
        let list = EnrollmentList::new(
            &LinkedHub::all(server.settings(), &config),
            config.allocation_policy,
        );
        let list = list.kept_in(store, &config.id_scope).expect("readable");
        for enrollment in enrollments {
            let enrollment = Enrollment::from_json(&enrollment.to_string()).expect("an enrollment");
            if list.has_heard_of(&enrollment).expect("readable") {
                continue;
            }
            list.put(&enrollment, Condition::Absent, Timestamp::UNIX_EPOCH)
                .expect("good");
        }
        let names: Vec<_> = server
            .hubs
            .iter()
            .map(|hub| hub.host_name.clone())
            .collect();
        let tally = Arc::new(LiveCounters::new(&names));
        let hubs = names
            .into_iter()
            .map(|name| (name, HubPolicies::generate()));
        let hubs = Hubs::new(hubs.collect(), 0, &tally, store).expect("readable");
        let service = Service::new(
            server.settings(),
            &config,
            (list, AccessPolicies::of(&config, store).expect("policies")),
            hubs.iter().map(|hub| Arc::clone(hub) as _).collect(),
            tokio::sync::mpsc::channel(1).0,
            Arc::clone(&tally),
        );
        Self {
            service: service.kept_in(store).expect("readable"),
            hubs,
            tally,
            now: "2026-06-01T00:00:00Z".parse().expect("a time"),
            pump,
            renewed_pump,
            tpm,
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// By certificate.
    fn pump(&self, operation: DeviceOperation, shown: &CertificateDer<'static>) -> (u16, Value) {
        let certificates = std::slice::from_ref(shown);
        self.ask("pump", operation, b"", None, certificates)
    }

    /// By TPM.
    fn vault(&self, operation: DeviceOperation, sas: Option<&str>) -> (u16, Value) {
        let body = json!({"tpm": self.tpm.presented()}).to_string();
        self.ask("vault", operation, body.as_bytes(), sas, &[])
    }

    fn ask(
        &self,
        id: &str,
        operation: DeviceOperation,
        body: &[u8],
        sas: Option<&str>,
        certificates: &[CertificateDer<'static>],
    ) -> (u16, Value) {
        let request = RegistrationRequest {
            id_scope: "0NE00000001",
            registration_id: &RegistrationId::parse(id).expect("an id"),
            operation,
            body,
            sas,
            tpm: None,
            api_version: None,
            certificates,
            unproven: None,
            origin: Origin {
                protocol: Protocol::Http,
                peer: None,
            },
        };
        let answer = self.service.answer(&request, self.now);
        let body = serde_json::from_slice(&answer.body).expect("JSON");
        (answer.status, body)
    }

    /// A challenge, and the key in it.
    fn challenge(&self) -> IdentityKey {
        let (status, body) = self.vault(DeviceOperation::Register, None);
        assert_eq!(status, 401);
        let blob = body["authenticationKey"].as_str().expect("a blob");
        self.tpm.activate(blob).expect("for this TPM")
    }

    /// A token that holds for `life` from now.
    fn sas(&self, key: &IdentityKey, life: Duration) -> String {
        let resource = "0ne00000001/registrations/vault";
        let expiry = (self.now + life).as_second();
        SasToken::format(resource, expiry, Some("registration"), |text| {
            key.sign(text)
        })
    }
}

/// One of the keys of enrollment `lock`; others are nobody's.
fn lock_key(byte: u8) -> SymmetricKey {
    SymmetricKey::from_bytes([byte; 32]).expect("a key")
}

const HOUR: Duration = Duration::from_secs(3600);

fn certificate(name: &str) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    certificate.der().clone()
}

fn operation(body: &Value) -> DeviceOperation {
    let id = body["operationId"].as_str().expect("an operation");
    DeviceOperation::OperationStatus(OperationId::parse(id).expect("an id"))
}

#[test]
fn an_assignment_is_told_when_its_time_is_over_and_not_before() {
    let mut told = Told::new();
    let (_, accepted) = told.pump(DeviceOperation::Register, &told.pump);
    for (after, status, word) in [
        (0, 202, "assigning"),
        (9, 202, "assigning"),
        (1, 200, "assigned"),
        (3600, 200, "assigned"),
    ] {
        told.pass(Duration::from_secs(after));
        let (answered, body) = told.pump(operation(&accepted), &told.pump);
        assert_eq!(answered, status, "{body}");
        assert_eq!(
            (&body["status"], &body["registrationState"]["status"]),
            (&json!(word), &json!(word))
        );
    }
    let (status, state) = told.pump(DeviceOperation::RegistrationStatus, &told.pump);
    assert_eq!((status, &state["status"]), (200, &json!("assigned")));
    assert_eq!(state["createdDateTimeUtc"], "2026-06-01T00:00:00.0000000Z");
    assert_eq!(
        state["lastUpdatedDateTimeUtc"], "2026-06-01T00:00:10.0000000Z",
        "when it was done, not when it was asked"
    );
    assert_eq!(
        told.tally.read().registrations_assigned,
        1,
        "however often it is told"
    );
}

#[test]
fn who_registers_again_before_the_end_gets_the_same_operation() {
    let mut told = Told::new();
    let (_, first) = told.pump(DeviceOperation::Register, &told.pump);
    told.pass(PROCESSING / 2);
    let (_, second) = told.pump(DeviceOperation::Register, &told.pump);
    assert_eq!(first["operationId"], second["operationId"]);
    told.pass(PROCESSING / 2);
    let (status, _) = told.pump(operation(&first), &told.pump);
    assert_eq!(status, 200, "asking again does not start the time again");
    let (_, third) = told.pump(DeviceOperation::Register, &told.pump);
    assert_ne!(first["operationId"], third["operationId"]);
    let (status, body) = told.pump(operation(&first), &told.pump);
    assert_eq!(
        (status, &body["errorCode"]),
        (404, &json!(404_203)),
        "the newest operation is the one there is"
    );
    told.pass(PROCESSING);
    let (_, again) = told.pump(operation(&third), &told.pump);
    assert_eq!(
        again["registrationState"]["createdDateTimeUtc"], "2026-06-01T00:00:00.0000000Z",
        "the first time counts"
    );
}

#[test]
fn a_registration_belongs_to_the_certificate_that_registered_last() {
    let told = Told::new();
    let (_, accepted) = told.pump(DeviceOperation::Register, &told.pump);
    let refused = |shown| {
        let (_, body) = told.pump(operation(&accepted), shown);
        body["errorCode"] == json!(401_002)
    };
    assert!(
        refused(&told.renewed_pump),
        "enrolled, but not the one that asked"
    );
    let (_, renewed) = told.pump(DeviceOperation::Register, &told.renewed_pump);
    assert_eq!(renewed["operationId"], accepted["operationId"]);
    assert!(refused(&told.pump));
    assert!(!refused(&told.renewed_pump));
}

#[test]
fn certificates_hold_within_their_dates_only() {
    for (time, status) in [
        ("2025-12-31T23:59:59Z", 401),
        ("2026-01-01T00:00:00Z", 202),
        ("2027-01-01T00:00:00Z", 202),
        ("2027-01-01T00:00:01Z", 401),
    ] {
        let told = Told {
            now: time.parse().expect("a time"),
            ..Told::new()
        };
        assert_eq!(
            told.pump(DeviceOperation::Register, &told.pump).0,
            status,
            "{time}"
        );
    }
}

#[test]
fn tokens_expire_with_five_minutes_of_grace() {
    let mut told = Told::new();
    let sas = told.sas(&told.challenge(), Duration::ZERO);
    told.pass(Duration::from_secs(300));
    let (status, accepted) = told.vault(DeviceOperation::Register, Some(&sas));
    assert_eq!(status, 202);
    told.pass(Duration::from_secs(1));
    let (status, body) = told.vault(operation(&accepted), Some(&sas));
    assert_eq!((status, &body["errorCode"]), (401, &json!(401_000)));
}

#[test]
fn the_hub_knows_both_keys_of_a_device() {
    let mut told = Told::new();
    let token = |resource: &str, byte: u8| {
        let expiry = (told.now + HOUR).as_second();
        SasToken::format(resource, expiry, None, |text| lock_key(byte).sign(text))
    };
    let sas = token("0ne00000001/registrations/lock", 2);
    let (_, accepted) = told.ask("lock", DeviceOperation::Register, b"", Some(&sas), &[]);
    let at_hub = |hub: &str| [1, 2, 3].map(|byte| token(&format!("{hub}/devices/lock"), byte));
    let tokens: Vec<_> = Config::default()
        .hubs
        .iter()
        .map(|hub| at_hub(&hub.host_name))
        .collect();
    told.pass(PROCESSING);
    let (_, body) = told.ask("lock", operation(&accepted), b"", Some(&sas), &[]);
    let hub = body["registrationState"]["assignedHub"].as_str();
    let hub = hub.expect("a hub");
    let mut hubs = Config::default().hubs.into_iter();
    let index = hubs.position(|known| known.host_name == hub);
    let device = ClientId::parse("lock").expect("an id");
    let admitted = tokens[index.expect("a linked hub")]
        .each_ref()
        .map(|token| {
            let door = told.hubs.named(hub).expect("a hub").authenticate(
                &device,
                Some(token),
                &[],
                told.now,
            );
            door.is_ok()
        });
    assert_eq!(admitted, [true, true, false]);
}

#[test]
fn a_device_is_the_same_one_however_its_id_is_spelt() {
    let mut told = Told::new();
    let register = |told: &Told, id: &str| {
        let expiry = (told.now + HOUR).as_second();
        let resource = format!("0ne00000001/registrations/{id}");
        let sas = SasToken::format(&resource, expiry, None, |text| lock_key(1).sign(text));
        let (status, accepted) = told.ask(id, DeviceOperation::Register, b"", Some(&sas), &[]);
        assert_eq!(status, 202, "{accepted}");
        (sas, operation(&accepted))
    };
    let mut places = Vec::new();
    for spelt in ["Lock", "lock", "LOCK", "lOcK"] {
        let (sas, operation) = register(&told, spelt);
        // Again, before it is done.
        let (_, same) = register(&told, &spelt.to_lowercase());
        assert_eq!(same, operation);
        told.pass(PROCESSING);
        let (status, body) = told.ask(spelt, operation, b"", Some(&sas), &[]);
        assert_eq!(status, 200, "{body}");
        let state = &body["registrationState"];
        places.push(
            [
                &state["registrationId"],
                &state["deviceId"],
                &state["assignedHub"],
            ]
            .map(Value::clone),
        );
    }
    assert_eq!(&places[0][..2], ["Lock", "Lock"], "as it was spelt first");
    assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
    assert_eq!(told.service.registrations.count(), 1);
    let hub = places[0][2].as_str().expect("a hub");
    let entered = told
        .hubs
        .named(hub)
        .expect("a hub")
        .identity(&ClientId::parse("Lock").expect("an id"));
    assert!(entered.is_ok());
}

#[test]
fn look_ups_of_what_never_registered_find_nothing() {
    let told = Told::new();
    let (_, body) = told.pump(DeviceOperation::RegistrationStatus, &told.pump);
    assert_eq!(body["errorCode"], 404_201);
    let none = DeviceOperation::OperationStatus(OperationId::parse("5.0.0").expect("an id"));
    let (_, body) = told.pump(none, &told.pump);
    assert_eq!(body["errorCode"], 404_203);
}

#[test]
fn a_device_counts_once_however_often_it_registers_and_not_once_it_is_forgotten() {
    let mut told = Told::new();
    let pump = told.pump.clone();
    let counted = |told: &Told| told.service.registrations.count();
    for _ in 0..3 {
        told.pump(DeviceOperation::Register, &pump);
        told.pass(PROCESSING);
        assert_eq!(counted(&told), 1);
    }
    assert_eq!(
        told.service.remove_registration("PUMP", Condition::None),
        Ok(())
    );
    assert_eq!(counted(&told), 0);
    told.service.registrations.set_count(MAX_REGISTRATIONS);
    let (status, body) = told.pump(DeviceOperation::Register, &pump);
    assert_eq!((status, &body["errorCode"]), (403, &json!(403_002)));
    assert_eq!(counted(&told), MAX_REGISTRATIONS);
}

#[test]
fn a_look_up_is_read_like_a_register_and_is_no_place_for_a_certification_request() {
    let told = Told::new();
    told.pump(DeviceOperation::Register, &told.pump);
    let certificates = std::slice::from_ref(&told.pump);
    for (body, expected) in [
        (&br#"{"csr":"MII="}"#[..], 400),
        (b"{}", 200),
        (b"", 200),
        (br#"{"registrationId":"PUMP"}"#, 200),
        (br#"{"registrationId":"valve"}"#, 400),
        (br#"{"modelId":"dtmi:a;1"}"#, 400),
        (b"{", 400),
    ] {
        let status = DeviceOperation::RegistrationStatus;
        let (status, answer) = told.ask("pump", status, body, None, certificates);
        assert_eq!(status, expected, "{answer}");
    }
}
