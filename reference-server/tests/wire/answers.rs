//! One table of questions, asked over every transport: the same answers.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fleetstorm_protocol::attestation::TransportKind;
use fleetstorm_protocol::quota::Rates;
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use fleetstorm_reference_server::{Announcement, Config, InstanceConfig};
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

use crate::dialect::{self, Ask, Caller, Dialect, Response, https};
use crate::hub::http::{as_anybody, as_service};
use crate::hub::{HUB, yard};
use crate::instance::{Instance, caller, quick, stranger, tenant};
use crate::questions::Expected::{self, Accepted, Disabled, Refused};
use crate::questions::symmetric_keys::keyed;
use crate::questions::{register, rows, sas, token, tpm_body};
use crate::software_tpm::SoftwareTpm;
use crate::tls::dial;

#[test]
fn every_transport_answers_every_question_alike() {
    let instance = Instance::start(quick());
    let server = instance.server.announcement();
    let mut refusals = 0;
    for row in rows(&instance) {
        let heard = dialect::ALL.map(|dialect| {
            let answer = (dialect.ask)(server, &row.caller, &row.ask);
            let question = format!("{} over {}", row.question, dialect.transport);
            check(&answer, &row.expected, &question);
            (dialect.transport, without_chance(answer))
        });
        for (transport, answer) in &heard {
            assert_eq!(*answer, heard[0].1, "{} over {transport}", row.question);
        }
        refusals += u64::from(matches!(row.expected, Refused(_))) * heard.len() as u64;
    }
    let counted: u64 = instance.server.counters().refusals.values().sum();
    assert_eq!(counted, refusals, "the server counts each refusal once");
}

fn check(answer: &Response, expected: &Expected, question: &str) {
    let Response {
        status,
        retry_after,
        body,
    } = answer;
    match expected {
        Accepted => {
            assert_eq!(
                (*status, *retry_after),
                (202, Some(3)),
                "{question}: {body}"
            );
            assert_eq!(body["status"], "assigning", "{question}");
            assert!(body["operationId"].is_string(), "{question}: {body}");
            assert_eq!(
                body.as_object().map(serde_json::Map::len),
                Some(2),
                "{question}: {body}"
            );
        }
        Disabled => {
            assert_eq!((*status, *retry_after), (200, None), "{question}: {body}");
            assert_eq!(body["status"], "disabled", "{question}");
            // Some SDKs read it without asking whether it is there.
            assert_eq!(
                body["registrationState"]["status"], "disabled",
                "{question}"
            );
        }
        Refused(code) => {
            assert_eq!(body["errorCode"], *code, "{question}: {body}");
            assert_eq!(
                (u32::from(*status), *retry_after),
                (code / 1000, None),
                "{question}"
            );
            assert_eq!(text(body, "trackingId").len(), 36, "{question}: {body}");
            assert!(!text(body, "message").is_empty(), "{question}: {body}");
            let time = text(body, "timestampUtc");
            assert!(
                time.len() == 28 && time.ends_with('Z'),
                "{question}: {time}"
            );
            assert_eq!(
                body.as_object().map(serde_json::Map::len),
                Some(4),
                "{question}: {body}"
            );
        }
    }
}

fn text<'a>(body: &'a Value, member: &str) -> &'a str {
    body[member].as_str().unwrap_or_default()
}

/// The answer without what differs from one answer to the next.
fn without_chance(mut answer: Response) -> Response {
    for part in ["", "/registrationState"] {
        let Some(Value::Object(members)) = answer.body.pointer_mut(part) else {
            continue;
        };
        for member in [
            "trackingId",
            "timestampUtc",
            "operationId",
            "createdDateTimeUtc",
            "lastUpdatedDateTimeUtc",
            "etag",
        ] {
            members.remove(member);
        }
    }
    answer
}

#[test]
fn a_registration_ends_alike_whatever_carries_it() {
    let instance = Instance::start(quick());
    let keyed = |id: &str, key: &SymmetricKey| keyed(id, id, key, i64::from(u32::MAX));
    let cases = [
        (
            instance.pump("pump-1"),
            json!({"x509": {"enrollmentGroupId": "pumps"}}),
        ),
        (caller("valve-1", &instance.valve), json!({"x509": {}})),
        (
            keyed("meter-1", &instance.meters[0].derive("meter-1")),
            json!({"symmetricKey": {"enrollmentGroupId": "meters"}}),
        ),
        (keyed("lock-1", &instance.locks[1]), json!({})),
    ];
    for (caller, attested) in cases {
        let ended =
            dialect::ALL.map(|dialect| without_chance(registered(&instance, &dialect, &caller)));
        let id = caller.registration_id.as_str();
        for answer in &ended {
            assert_eq!(answer, &ended[0]);
            assert_eq!((answer.status, answer.retry_after), (200, None));
            let state = &answer.body["registrationState"];
            let hub = text(state, "assignedHub").to_owned();
            assert!(
                instance.server.announcement().hubs.contains(&hub),
                "{state}"
            );
            let mut expected = json!({
                "registrationId": id, "deviceId": id, "assignedHub": hub,
                "status": "assigned", "substatus": "initialAssignment",
            });
            let members = expected.as_object_mut().expect("an object");
            members.extend(attested.as_object().cloned().expect("an object"));
            assert_eq!(*state, expected);
        }
    }
}

/// Registers, and asks once how it stands: without processing time, it is done.
fn registered(instance: &Instance, dialect: &Dialect, caller: &Caller) -> Response {
    let server = instance.server.announcement();
    let accepted = (dialect.ask)(server, caller, &register());
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let operation = text(&accepted.body, "operationId").to_owned();
    (dialect.ask)(server, caller, &Ask::OperationStatus(operation))
}

#[test]
fn a_device_that_never_asks_how_it_stands_is_at_its_hub_all_the_same() {
    let instance = yard();
    for (number, dialect) in dialect::ALL.iter().enumerate() {
        let name = format!("pump-{number}");
        let pump = instance.pump(&name);
        let accepted = (dialect.ask)(instance.server.announcement(), &pump, &register());
        assert_eq!(accepted.status, 202, "{}", accepted.body);
        let is_known = || {
            let line = format!("GET /devices/{name}?api-version=2021-04-12");
            as_service(&instance, &line, &[], "").status == 200
        };
        let until = Instant::now() + Duration::from_secs(10);
        while !is_known() {
            assert!(Instant::now() < until, "{name} is not there");
        }
    }
}

#[test]
fn an_operation_started_over_one_transport_is_told_over_another() {
    let instance = Instance::start(quick());
    let (server, pump) = (instance.server.announcement(), instance.pump("pump-1"));
    for (from, to) in [(0, 1), (1, 3), (2, 0), (3, 4), (4, 2)] {
        let accepted = (dialect::ALL[from].ask)(server, &pump, &register());
        let operation = Ask::OperationStatus(text(&accepted.body, "operationId").to_owned());
        let told = (dialect::ALL[to].ask)(server, &pump, &operation);
        assert_eq!(told.body["status"], "assigned");
    }
}

#[test]
fn both_versions_of_tls_carry_certificates() {
    let instance = Instance::start(quick());
    let (server, pump) = (instance.server.announcement(), instance.pump("pump-1"));
    let host = &server.global_endpoint;
    for version in [&TLS12, &TLS13] {
        let certificate = pump.certificate.as_ref();
        let mut wire = dial(server, server.https, host, certificate, &[version]);
        let request = https::request(host, &pump, &register());
        wire.write_all(&request).expect("the server reads");
        assert_eq!(https::read_answer(&mut wire).status, 202, "{version:?}");
    }
}

#[test]
fn many_askers_for_one_device_hear_one_story() {
    let instance = Instance::start(Config {
        threads: 2,
        ..quick()
    });
    let (server, pump) = (instance.server.announcement(), instance.pump("pump-1"));
    let stories = Mutex::new(BTreeSet::new());
    let accepted = AtomicU64::new(0);
    thread::scope(|scope| {
        for dialect in dialect::ALL.iter().chain(&dialect::ALL) {
            scope.spawn(|| {
                for _ in 0..8 {
                    let answer = (dialect.ask)(server, &pump, &register());
                    assert_eq!(answer.status, 202, "{}", answer.body);
                    accepted.fetch_add(1, Ordering::SeqCst);
                    let operation = text(&answer.body, "operationId").to_owned();
                    let told = (dialect.ask)(server, &pump, &Ask::OperationStatus(operation));
                    // Somebody may have started a newer operation since.
                    if told.body["errorCode"] == 404_203 {
                        continue;
                    }
                    let state = &told.body["registrationState"];
                    let story = ["status", "assignedHub", "deviceId", "createdDateTimeUtc"];
                    let story = story.map(|part| text(state, part).to_owned());
                    stories.lock().expect("no panic").insert(story);
                }
            });
        }
    });
    let stories = stories.into_inner().expect("no panic");
    assert_eq!(stories.len(), 1, "{stories:?}");
    let counters = instance.server.counters();
    assert_eq!(counters.registrations_accepted, accepted.into_inner());
}

#[test]
fn a_tpm_proves_itself_by_its_challenge_and_by_nothing_else() {
    let instance = Instance::start(quick());
    let server = instance.server.announcement();
    let vault = stranger("vault-1");
    let body = Ask::Register(tpm_body(&instance));
    for dialect in dialect::ALL
        .iter()
        .filter(|dialect| dialect.transport == TransportKind::Https)
    {
        let ask = |caller: &Caller| (dialect.ask)(server, caller, &body);
        let challenge = ask(&vault);
        assert_eq!((challenge.status, challenge.retry_after), (401, None));
        // C takes an answer with a status for something else.
        let members: Vec<_> = challenge
            .body
            .as_object()
            .expect("an object")
            .keys()
            .collect();
        assert_eq!(members, ["authenticationKey", "keyName", "message"]);
        assert_eq!(challenge.body["keyName"], "registration");
        let key = instance
            .tpm
            .activate(text(&challenge.body, "authenticationKey"))
            .expect("a challenge for this TPM");
        for (wrong, sas) in [
            ("another key", token("vault-1", 7)),
            ("another device's name", sas("vault-2", &key)),
            ("no token", "SharedAccessSignature sr=".into()),
            ("a token of no key", "SharedAccessSignature sr=0ne00000001%2Fregistrations%2Fvault-1&sig=AAAA&se=4294967295".into()),
        ] {
            let caller = Caller { sas: Some(sas), ..vault.clone() };
            check(&ask(&caller), &Refused(401_000), wrong);
        }
        let proven = Caller {
            sas: Some(sas("vault-1", &key)),
            ..vault.clone()
        };
        let accepted = ask(&proven);
        check(&accepted, &Accepted, "the challenge's key");
        let operation = Ask::OperationStatus(text(&accepted.body, "operationId").to_owned());
        check(
            &(dialect.ask)(server, &vault, &operation),
            &Refused(401_000),
            "a poll without proof",
        );
        let assigned = (dialect.ask)(server, &proven, &operation);
        assert_eq!(assigned.body["status"], "assigned", "{}", assigned.body);
        let hub_key = assigned.body["registrationState"]["tpm"]["authenticationKey"].as_str();
        let hub_key = instance.tpm.activate(hub_key.expect("a hub key"));
        assert!(hub_key.is_ok(), "wrapped for this TPM");
    }
}

/// IoT Edge's identity service presents its TPM once, lower-cases the audience of its token, which
/// holds for half a minute, and takes nothing but 202.
#[test]
fn a_tpm_of_iot_edge_is_presented_once() {
    let instance = yard();
    let server = instance.server.announcement();
    let vault = Caller {
        api_version: "2021-06-01",
        ..stranger("Vault-1")
    };
    let ask = |caller: &Caller, body: &Value| {
        let body = Ask::Register(body.to_string().into_bytes());
        (dialect::https::DIALECT.ask)(server, caller, &body)
    };
    let presented = json!({"registrationId": "Vault-1", "tpm": instance.tpm.presented()});
    let challenge = ask(&vault, &presented);
    assert_eq!(challenge.status, 401);
    let blob = text(&challenge.body, "authenticationKey");
    let key = instance.tpm.activate(blob).expect("for this TPM");
    let vault = Caller {
        sas: Some(sas("vault-1", &key)),
        ..vault
    };
    let accepted = ask(&vault, &json!({"registrationId": "Vault-1"}));
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let operation = Ask::OperationStatus(text(&accepted.body, "operationId").to_owned());
    let assigned = (dialect::https::DIALECT.ask)(server, &vault, &operation);
    assert_eq!(assigned.body["status"], "assigned", "{}", assigned.body);
    // Whose storage root key it is, the proof does not say: the TPM keeps the key that it has.
    assert!(assigned.body["registrationState"]["tpm"].is_null());
    let resource = format!("{HUB}/devices/Vault-1");
    let token = SasToken::format(&resource, u32::MAX.into(), None, |text| key.sign(text));
    let asked = [("Authorization", token.as_str())];
    let line = "GET /devices/Vault-1/messages/devicebound?api-version=2020-03-13";
    let answer = as_anybody(&instance, line, &asked, "");
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// As private endpoints need it.
#[test]
fn devices_are_served_at_their_instances_own_name() {
    let instance = Instance::start(quick());
    let server = instance.server.announcement().clone();
    let own = Announcement {
        global_endpoint: server.instances[0].service_endpoint.clone(),
        ..server
    };
    for dialect in dialect::ALL {
        let pump = instance.pump("pump-1");
        let accepted = (dialect.ask)(&own, &pump, &register());
        assert_eq!(
            accepted.status, 202,
            "{}: {}",
            dialect.transport, accepted.body
        );
        let operation = Ask::OperationStatus(text(&accepted.body, "operationId").to_owned());
        let assigned = (dialect.ask)(&own, &pump, &operation);
        assert_eq!(assigned.body["status"], "assigned", "{}", dialect.transport);
    }
}

#[test]
fn a_tpm_with_other_keys_than_the_enrolled_ones_gets_no_challenge() {
    let instance = Instance::start(quick());
    let other = SoftwareTpm::new();
    let mut presented = other.presented();
    let body = |tpm: &Value| Ask::Register(json!({"tpm": tpm}).to_string().into_bytes());
    for dialect in dialect::ALL {
        let ask =
            |body: &Ask| (dialect.ask)(instance.server.announcement(), &stranger("vault-1"), body);
        check(
            &ask(&body(&presented)),
            &Refused(401_000),
            "another endorsement key",
        );
    }
    presented["endorsementKey"] = json!("AAAA");
    for dialect in dialect::ALL {
        let ask =
            |body: &Ask| (dialect.ask)(instance.server.announcement(), &stranger("vault-1"), body);
        check(
            &ask(&body(&presented)),
            &Refused(400_004),
            "a key that is none",
        );
    }
}

#[test]
fn who_asks_too_often_is_told_how_long_to_wait() {
    let instance = Instance::start(Config {
        instances: vec![InstanceConfig {
            throttle: Rates {
                registrations_per_minute: 1,
                polls_per_ten_seconds: 1,
                ..Rates::NONE
            },
            ..tenant()
        }],
        ..quick()
    });
    let (server, pump) = (instance.server.announcement(), instance.pump("pump-1"));
    let accepted = (dialect::ALL[0].ask)(server, &pump, &register());
    let operation = Ask::OperationStatus(text(&accepted.body, "operationId").to_owned());
    for dialect in dialect::ALL {
        for (ask, longest) in [(&register(), 60), (&operation, 10)] {
            let mut answer = (dialect.ask)(server, &pump, ask);
            // The first of a span of time is taken.
            if answer.status != 429 {
                answer = (dialect.ask)(server, &pump, ask);
            }
            let Response {
                status,
                retry_after,
                body,
            } = answer;
            let question = format!("{ask:?} over {}", dialect.transport);
            assert_eq!(
                (status, &body["errorCode"]),
                (429, &json!(429_001)),
                "{question}: {body}"
            );
            let wait = retry_after.expect(&question);
            assert!((1..=longest).contains(&wait), "{question}: {wait} s");
        }
    }
}
