//! Custom allocation: a real webhook is called, and whatever it does, its device hears of it and no
//! other device waits.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_reference_server::{Config, InstanceConfig, WebhookConfig};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::certificates::{Authority, Validity};
use crate::dialect::{self, Ask, Caller, Dialect, Response, https};
use crate::hub::http::to_control;
use crate::instance::{Instance, caller, group, quick, stranger, tenant};
use crate::questions::{register, token};
use crate::tls::PATIENCE;
use listener::{Behaviour, Listener, says, says_text};

mod listener;

const HUBS: [&str; 2] = ["hub-1.fleetstorm.test", "hub-2.fleetstorm.test"];
const KEY: u8 = 9;

/// An individual enrollment with a key, whose webhook is at this URL.
fn toaster(id: &str, url: &str) -> Value {
    let key = STANDARD.encode([KEY; 32]);
    json!({
        "registrationId": id,
        "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}},
        "allocationPolicy": "custom",
        "customAllocationDefinition": {"webhookUrl": url, "apiVersion": "2021-10-01"},
    })
}

fn device(id: &str) -> Caller {
    Caller {
        sas: Some(token(id, KEY)),
        ..stranger(id)
    }
}

fn start(enrollments: &[Value], config: Config) -> Instance {
    let mut list = NamedTempFile::new().expect("a file");
    for enrollment in enrollments {
        writeln!(list, "{enrollment}").expect("a line");
    }
    Instance::start(Config {
        instances: vec![InstanceConfig {
            enrollments: Some(list.path().into()),
            ..tenant()
        }],
        ..config
    })
}

fn url(listener: &Listener) -> String {
    format!("http://{}/api/allocate?code=secret-code", listener.address)
}

fn begin(dialect: &Dialect, instance: &Instance, caller: &Caller, ask: &Ask) -> Ask {
    let accepted = (dialect.ask)(instance.server.announcement(), caller, ask);
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    Ask::OperationStatus(accepted.body["operationId"].as_str().expect("an id").into())
}

/// Polls until the operation has ended.
fn end(dialect: &Dialect, instance: &Instance, caller: &Caller, operation: &Ask) -> Response {
    let began = Instant::now();
    loop {
        let answer = (dialect.ask)(instance.server.announcement(), caller, operation);
        if answer.body["status"] != "assigning" {
            assert_eq!(answer.status, 200, "{}", answer.body);
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "it never ends");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn provision(dialect: &Dialect, instance: &Instance, caller: &Caller, ask: &Ask) -> Value {
    let operation = begin(dialect, instance, caller, ask);
    let ended = end(dialect, instance, caller, &operation);
    assert_eq!(
        ended.body["status"],
        ended.body["registrationState"]["status"]
    );
    ended.body["registrationState"].clone()
}

#[test]
fn a_webhook_hears_of_the_device_and_decides_over_every_transport() {
    let webhook = Listener::start(|asked| {
        let payload = &asked.body["deviceRuntimeContext"]["payload"];
        says(
            "200 OK",
            &json!({"iotHubHostName": payload["wants"], "payload": {"heard": payload}}),
        )
    });
    let enrollments: Vec<_> = (0..dialect::ALL.len())
        .map(|number| toaster(&format!("toaster-{number}"), &url(&webhook)))
        .collect();
    let instance = start(&enrollments, quick());
    for (number, dialect) in dialect::ALL.iter().enumerate() {
        let id = format!("toaster-{number}");
        let toaster = device(&id);
        for (round, hub) in [HUBS[1], HUBS[0]].into_iter().enumerate() {
            let ask = Ask::Register(json!({"payload": {"wants": hub}}).to_string().into());
            let state = provision(dialect, &instance, &toaster, &ask);
            assert_eq!(state["assignedHub"], hub, "{}", dialect.transport);
            assert_eq!(state["payload"], json!({"heard": {"wants": hub}}));
            let asked = webhook.asked().pop().expect("it was asked");
            assert!(
                asked
                    .line
                    .starts_with("POST /api/allocate?code=secret-code HTTP/1.1")
            );
            let host = format!("host: {}", webhook.address);
            let json = "content-type: application/json; charset=utf-8".to_owned();
            assert!(
                [host, json]
                    .iter()
                    .all(|header| asked.headers.contains(header))
            );
            let mut body = asked.body;
            let enrollment = body["individualEnrollment"].take();
            assert_eq!(enrollment["registrationId"], id.as_str());
            assert_eq!(enrollment["attestation"], json!({"type": "symmetricKey"}));
            assert_eq!(enrollment["allocationPolicy"], "custom");
            assert_eq!(
                enrollment["customAllocationDefinition"],
                json!({"webhookUrl": format!("http://{}/api/allocate?****", webhook.address), "apiVersion": "2021-10-01"})
            );
            let mut context = json!({
                "registrationId": id,
                "symmetricKey": {},
                "payload": {"wants": hub},
            });
            if round == 1 {
                context["currentIotHubHostName"] = HUBS[1].into();
                context["currentDeviceId"] = id.as_str().into();
            }
            let expected = json!({
                "individualEnrollment": null,
                "deviceRuntimeContext": context,
                "linkedHubs": HUBS,
            });
            assert_eq!(body, expected);
        }
    }
    assert_eq!(webhook.connections(), 1, "one connection serves them all");
}

#[test]
fn a_device_with_an_old_api_version_is_offered_its_own_hub_alone() {
    let webhook = Listener::start(|asked| {
        says(
            "200 OK",
            &json!({"iotHubHostName": asked.body["linkedHubs"][0]}),
        )
    });
    let mut moving = toaster("toaster", &url(&webhook));
    moving["iotHubs"] = json!([HUBS[1], HUBS[0]]);
    for dialect in dialect::ALL {
        let instance = start(std::slice::from_ref(&moving), quick());
        for (api_version, offered) in [
            ("2018-04-01", json!([HUBS[1], HUBS[0]])),
            ("2018-04-01", json!([HUBS[1]])),
            ("2019-03-31", json!([HUBS[1], HUBS[0]])),
        ] {
            let toaster = Caller {
                api_version,
                ..device("toaster")
            };
            provision(&dialect, &instance, &toaster, &register());
            let body = webhook.asked().pop().expect("it was asked").body;
            assert_eq!(body["linkedHubs"], offered, "{}", dialect.transport);
        }
    }
}

#[test]
fn the_webhook_of_a_group_sees_the_certificate_of_the_device() {
    let webhook = Listener::start(|_| says("200 OK", &json!({"iotHubHostName": HUBS[0]})));
    let authority = Authority::new("fans");
    let mut fans = group("fans", &authority, "enabled");
    fans["allocationPolicy"] = "Custom".into();
    fans["iotHubs"] = json!([HUBS[0]]);
    fans["customAllocationDefinition"] =
        json!({"webhookUrl": url(&webhook), "apiVersion": "2021-10-01"});
    let instance = start(&[fans], quick());
    let shown = authority.device("fan-1", Validity::Current);
    let fan = caller("fan-1", &shown);
    let state = provision(&https::DIALECT, &instance, &fan, &register());
    assert_eq!(state["assignedHub"], HUBS[0]);
    assert_eq!(state.get("payload"), None);
    let body = webhook.asked().pop().expect("it was asked").body;
    assert_eq!(body["enrollmentGroup"]["enrollmentGroupId"], "fans");
    assert_eq!(body.get("individualEnrollment"), None);
    assert_eq!(body["linkedHubs"], json!([HUBS[0]]));
    assert_eq!(
        body["deviceRuntimeContext"],
        json!({"registrationId": "fan-1", "x509": {"clientCertificate": STANDARD.encode(&shown.cert[0])}})
    );
}

#[test]
fn whatever_is_wrong_with_an_answer_the_operation_fails_and_says_what() {
    let good = json!({"iotHubHostName": HUBS[0]}).to_string();
    let rows = [
        ("refuses", says_text("400 Bad Request", "no toasters here"), 400_207, "Custom allocation failed with status code: 400"),
        ("breaks", says_text("500 Internal Server Error", &good), 400_207, "status code: 500"),
        ("redirects", Behaviour::Says("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".into()), 400_207, "status code: 307"),
        ("empty", says_text("200 OK", ""), 400_207, "allocation response"),
        ("no-json", says_text("200 OK", "hub-1"), 400_207, "allocation response"),
        ("no-object", says_text("200 OK", "[\"hub-1"), 400_207, "allocation response"),
        ("shape", says_text("200 OK", &format!("{{\"iotHubHostName\":[\"{}\"]}}", "x".repeat(10_000))), 400_207, "allocation response"),
        ("no-hub", says_text("200 OK", "{}"), 400_208, "no iotHubHostName"),
        ("no-twin", says_text("200 OK", &json!({"iotHubHostName": HUBS[0], "initialTwin": {"tags": {"a.b": 1}}}).to_string()), 400_207, "initialTwin: tags: '.' is not allowed"),
        ("null-twin", says_text("200 OK", &json!({"iotHubHostName": HUBS[0], "initialTwin": {"properties": {"desired": {"a": null}}}}).to_string()), 400_207, "initialTwin: desired properties: \"a\" is null"),
        ("stranger", says_text("200 OK", r#"{"iotHubHostName":"elsewhere.test"}"#), 400_208, "\"elsewhere.test\", which is none of the linkedHubs"),
        ("garbage", Behaviour::Says("SSH-2.0-OpenSSH\r\n\r\n".into()), 400_207, "broken"),
        ("long-head", Behaviour::Says(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000))), 400_207, "broken"),
        ("hangs-up", Behaviour::HangsUp, 400_207, "broken"),
        ("breaks-off", Behaviour::Says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n{".into()), 400_207, "within 700 ms"),
        ("never-ends", Behaviour::NeverEnds, 400_207, "too long"),
        ("silent", Behaviour::IsSilent, 400_207, "within 700 ms"),
    ];
    let behaviours = rows.clone();
    let webhook = Listener::start(move |asked| {
        let id = asked.body["deviceRuntimeContext"]["registrationId"].as_str();
        let row = behaviours.iter().find(|row| Some(row.0) == id);
        row.expect("one of them").1.clone()
    });
    let mut enrollments: Vec<_> = rows
        .iter()
        .map(|row| toaster(row.0, &url(&webhook)))
        .collect();
    enrollments.push(toaster("nobody", "http://127.0.0.1:1/"));
    enrollments.push(toaster("nowhere", "http://nowhere.invalid/"));
    enrollments.push(toaster("untrusted", "https://127.0.0.1:1/"));
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("dps.log");
    let instance = start(
        &enrollments,
        Config {
            diagnostic_log: Some(log.clone()),
            webhook: WebhookConfig {
                timeout: Duration::from_millis(700),
                ..WebhookConfig::default()
            },
            ..quick()
        },
    );
    let elsewhere = [
        ("nobody", 400_207, "can't be reached"),
        ("nowhere", 400_207, "can't be reached"),
        ("untrusted", 400_207, "can't be reached"),
    ];
    let expected = rows
        .iter()
        .map(|row| (row.0, row.2, row.3))
        .chain(elsewhere);
    let mut failed = 0;
    for ((id, code, words), dialect) in expected.zip(dialect::ALL.iter().cycle()) {
        let state = provision(dialect, &instance, &device(id), &register());
        let message = state["errorMessage"].as_str().expect("a message");
        assert_eq!(
            (&state["status"], &state["errorCode"]),
            (&json!("failed"), &json!(code)),
            "{id}"
        );
        assert!(message.contains(words), "{id}: {message}");
        assert!(message.len() < 500, "{id}: {message}");
        assert!(!message.contains("secret-code"), "{id}: {message}");
        assert_eq!(state.get("assignedHub"), None);
        failed += 1;
    }
    let counters = instance.server.counters();
    assert_eq!(
        counters.registrations_failed,
        [(400_207, failed - 2), (400_208, 2)].into()
    );
    let metrics = to_control(&instance, "GET /metrics", &[], "").body;
    for (result, count) in [
        ("Refused", 3),
        ("Timeout", 2),
        ("BadAnswer", 9),
        ("Success", 0),
    ] {
        let sample = format!(
            "dps_custom_allocation_calls_total{{provisioning_service_name=\"dps-1.fleetstorm.test\",result=\"{result}\"}} {count}\n"
        );
        assert!(metrics.contains(&sample), "{sample} in {metrics}");
    }
    drop(instance);
    let log = std::fs::read_to_string(&log).expect("a log");
    let calls = log
        .lines()
        .filter(|line| line.contains("\"CustomAllocation\""));
    let described = calls.filter(|line| line.contains("40020"));
    assert_eq!(described.count() as u64, failed, "{log}");
    assert!(!log.contains("secret-code") && !metrics.contains("secret-code"));
}

#[test]
fn a_device_that_failed_registers_anew_once_its_webhook_is_better() {
    let webhook = Listener::start({
        let refusals = std::sync::atomic::AtomicUsize::new(0);
        move |_| match refusals.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => says_text("503 Service Unavailable", ""),
            _ => says("200 OK", &json!({"iotHubHostName": HUBS[0].to_uppercase()})),
        }
    });
    let instance = start(&[toaster("toaster", &url(&webhook))], quick());
    let toaster = device("toaster");
    let failed = provision(&https::DIALECT, &instance, &toaster, &register());
    assert_eq!(failed["status"], "failed");
    let state = provision(&https::DIALECT, &instance, &toaster, &register());
    assert_eq!(state["assignedHub"], HUBS[0]);
    assert_eq!(state.get("errorCode"), None);
    assert_eq!(state["createdDateTimeUtc"], failed["createdDateTimeUtc"]);
}

#[test]
fn a_call_that_a_restart_interrupts_fails_and_a_payload_outlives_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let webhook = Listener::start(|asked| {
        let id = &asked.body["deviceRuntimeContext"]["registrationId"];
        if *id == "slow" {
            return Behaviour::IsSilent;
        }
        says(
            "200 OK",
            &json!({"iotHubHostName": HUBS[1], "payload": {"a": 1}}),
        )
    });
    let enrollments = [
        toaster("slow", &url(&webhook)),
        toaster("quick", &url(&webhook)),
    ];
    let restarted = || {
        let config = Config {
            data_dir: Some(folder.path().into()),
            ..quick()
        };
        start(&enrollments, config)
    };
    let instance = restarted();
    let [slow, quick] = ["slow", "quick"].map(device);
    let interrupted = begin(&https::DIALECT, &instance, &slow, &register());
    let done = begin(&https::DIALECT, &instance, &quick, &register());
    let before = end(&https::DIALECT, &instance, &quick, &done);
    drop(instance);

    let instance = restarted();
    let after = end(&https::DIALECT, &instance, &quick, &done);
    assert_eq!(after.body, before.body);
    assert_eq!(after.body["registrationState"]["payload"], json!({"a": 1}));
    let failed = end(&https::DIALECT, &instance, &slow, &interrupted);
    let state = &failed.body["registrationState"];
    assert_eq!(
        (&state["status"], &state["errorCode"]),
        (&json!("failed"), &json!(400_207))
    );
    begin(&https::DIALECT, &instance, &slow, &register());
}

#[test]
fn nobody_waits_for_anothers_webhook_and_too_many_calls_are_refused() {
    let webhook = Listener::start(|_| Behaviour::IsSilent);
    let names: Vec<_> = (0..5).map(|number| format!("toaster-{number}")).collect();
    let enrollments: Vec<_> = names.iter().map(|id| toaster(id, &url(&webhook))).collect();
    let instance = start(
        &enrollments,
        Config {
            webhook: WebhookConfig {
                timeout: Duration::from_secs(3),
                concurrent: 2,
                waiting: 2,
                ..WebhookConfig::default()
            },
            ..quick()
        },
    );
    let server = instance.server.announcement();
    let mut operations = Vec::new();
    for (number, id) in names.iter().enumerate() {
        if number == 2 {
            // Those that are under way wait no more.
            let began = Instant::now();
            while webhook.asked().len() < 2 {
                assert!(began.elapsed() < PATIENCE, "they are never called");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        if number < 4 {
            operations.push(begin(&https::DIALECT, &instance, &device(id), &register()));
        }
    }
    for dialect in dialect::ALL {
        let refused = (dialect.ask)(server, &device(&names[4]), &register());
        let code = &refused.body["errorCode"];
        assert_eq!(
            (refused.status, code),
            (429, &json!(429_001)),
            "{}",
            dialect.transport
        );
        assert!(refused.retry_after.is_some(), "{}", dialect.transport);
        let began = Instant::now();
        let other = provision(&dialect, &instance, &instance.pump("pump-1"), &register());
        assert_eq!(other["status"], "assigned");
        assert!(began.elapsed() < Duration::from_secs(2), "it waited");
    }
    assert_eq!(webhook.connections(), 2);
    for (id, operation) in names.iter().zip(&operations) {
        let ended = end(&https::DIALECT, &instance, &device(id), operation);
        assert_eq!(ended.body["status"], "failed");
    }
    // Of the two that waited, each was called in its turn.
    assert_eq!(webhook.asked().len(), 4);
}

#[test]
fn over_tls_a_webhook_is_trusted_by_the_configured_authorities_alone() {
    let (ours, others) = (Authority::new("functions"), Authority::new("strangers"));
    let good = |_: &_| says("200 OK", &json!({"iotHubHostName": HUBS[0]}));
    let webhook = Listener::start_secured(ours.server("localhost"), good);
    let url = format!("https://localhost:{}/api", webhook.address.port());
    let misnamed = Listener::start_secured(ours.server("other.test"), good);
    let misnamed = format!("https://localhost:{}/api", misnamed.address.port());
    let trust = |authority: &Authority| {
        let mut file = NamedTempFile::new().expect("a file");
        file.write_all(authority.root_pem().as_bytes())
            .expect("PEM");
        file
    };
    let provisioned = |url: &str, trust: Option<&Path>| {
        let config = Config {
            webhook: WebhookConfig {
                trust: trust.map(Into::into),
                ..WebhookConfig::default()
            },
            ..quick()
        };
        let instance = start(&[toaster("toaster", url)], config);
        provision(&https::DIALECT, &instance, &device("toaster"), &register())
    };
    let (ours, others) = (trust(&ours), trust(&others));
    let state = provisioned(&url, Some(ours.path()));
    assert_eq!(state["assignedHub"], HUBS[0], "{state}");
    for (url, trust, words) in [
        (&url, Some(others.path()), "UnknownIssuer"),
        (&url, None, "webhook.trust"),
        (&misnamed, Some(ours.path()), "not valid for name"),
    ] {
        let state = provisioned(url, trust);
        let message = state["errorMessage"].as_str().expect("it failed");
        assert!(message.contains(words), "{message}");
    }
}
