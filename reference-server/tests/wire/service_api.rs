//! The service API of an instance: enrollments change while devices register.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::quota::Rates;
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use fleetstorm_reference_server::{AccessPolicyConfig, Config, InstanceConfig, Permission};
use rustls::ALL_VERSIONS;
use serde_json::{Value, json};

use crate::certificates::{Authority, Validity, self_signed};
use crate::dialect::{self, Ask};
use crate::hub::http::{Answer, request};
use crate::instance::{Instance, group, quick, stranger, tenant};
use crate::questions::{register, token};
use crate::tls::dial;

const ENDPOINT: &str = "dps-1.fleetstorm.test";
const OWNER: (&str, u8) = ("provisioningserviceowner", 41);
const READER: (&str, u8) = ("reader", 42);

fn office() -> Instance {
    let policy = |(name, key): (&str, u8), permissions: &[Permission]| AccessPolicyConfig {
        name: name.into(),
        key: Some(STANDARD.encode([key; 32])),
        permissions: permissions.into(),
    };
    Instance::start(Config {
        instances: vec![InstanceConfig {
            access_policies: vec![
                policy(OWNER, &Permission::ALL),
                policy(READER, &[Permission::EnrollmentRead]),
            ],
            ..tenant()
        }],
        ..quick()
    })
}

fn signed(resource: &str, (name, key): (&str, u8), expiry: i64) -> String {
    let key = SymmetricKey::from_bytes([key; 32]).expect("a key");
    SasToken::format(resource, expiry, Some(name), |text| key.sign(text))
}

fn send(instance: &Instance, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let server = instance.server.announcement();
    let mut wire = dial(server, server.https, ENDPOINT, None, ALL_VERSIONS);
    let (verb, path) = line.split_once(' ').expect("a request line");
    let line = format!("{verb} {path}?api-version=2021-10-01");
    wire.write_all(&request(&line, headers, body.as_bytes()))
        .expect("the server reads");
    Answer::read(&mut wire)
}

/// As the owner.
fn ask(instance: &Instance, line: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let token = signed(ENDPOINT, OWNER, i64::from(u32::MAX));
    let headers = [&[("Authorization", token.as_str())], headers].concat();
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    send(instance, line, &headers, &body)
}

/// Writes a group of an instance with the usual policies as its owner does, on a condition that is a
/// header.
pub fn put_group(instance: &Instance, id: &str, condition: (&str, &str), document: &str) -> Answer {
    put(
        instance,
        &format!("PUT /enrollmentGroups/{id}"),
        condition,
        document,
    )
}

/// The same of an individual enrollment.
pub fn put_individual(
    instance: &Instance,
    id: &str,
    condition: (&str, &str),
    document: &str,
) -> Answer {
    put(
        instance,
        &format!("PUT /enrollments/{id}"),
        condition,
        document,
    )
}

fn put(instance: &Instance, line: &str, condition: (&str, &str), document: &str) -> Answer {
    let connection = &instance.server.announcement().instances[0].connection_string;
    let part = |name: &str| {
        let mut parts = connection.split(';');
        parts
            .find_map(|part| part.strip_prefix(name))
            .expect("a connection string")
    };
    let key = STANDARD.decode(part("SharedAccessKey=")).expect("a key");
    let key = SymmetricKey::from_bytes(key).expect("a key");
    let name = Some(part("SharedAccessKeyName="));
    let expiry = i64::from(u32::MAX);
    let token = SasToken::format(ENDPOINT, expiry, name, |text| key.sign(text));
    let headers = [("Authorization", token.as_str()), condition];
    send(instance, line, &headers, document)
}

/// Device `fan`, whose key is 16 times 9.
fn fan() -> Value {
    json!({
        "registrationId": "fan",
        "attestation": {"type": "symmetricKey", "symmetricKey": {
            "primaryKey": STANDARD.encode([9; 32]), "secondaryKey": STANDARD.encode([9; 32])}},
    })
}

#[test]
fn a_device_gets_in_while_its_enrollment_says_so() {
    let instance = office();
    let server = instance.server.announcement();
    let device = dialect::Caller {
        sas: Some(token("fan", 9)),
        ..stranger("fan")
    };
    for dialect in dialect::ALL {
        let register = || (dialect.ask)(server, &device, &register());
        assert_eq!(register().status, 401, "nobody enrolled it");
        let created = ask(&instance, "PUT /enrollments/fan", &[], &fan());
        assert_eq!(created.status, 200, "{}", created.body);
        let accepted = register();
        assert_eq!(accepted.status, 202);
        let operation = accepted.body["operationId"].as_str().expect("accepted");
        let ended = (dialect.ask)(server, &device, &Ask::OperationStatus(operation.into()));
        assert_eq!(ended.body["status"], "assigned");

        let shown = ask(&instance, "GET /enrollments/fan", &[], &Value::Null).json();
        assert_eq!(shown["registrationState"]["status"], "assigned");
        let record = ask(&instance, "GET /registrations/fan", &[], &Value::Null);
        let other = [("If-Match", "\"other\"")];
        let kept = ask(&instance, "DELETE /registrations/fan", &other, &Value::Null);
        assert_eq!(kept.status, 412, "that is another state of it");
        assert_eq!(shown["registrationState"], record.json());
        assert_eq!(
            record.json()["assignedHub"],
            ended.body["registrationState"]["assignedHub"]
        );
        assert_eq!(
            ask(&instance, "DELETE /registrations/fan", &[], &Value::Null).status,
            204
        );
        assert_eq!(
            ask(&instance, "GET /registrations/fan", &[], &Value::Null).status,
            404
        );

        let mut disabled = fan();
        disabled["provisioningStatus"] = "disabled".into();
        let tag = created.json()["etag"].as_str().expect("a tag").to_owned();
        let updated = ask(
            &instance,
            "PUT /enrollments/fan",
            &[("If-Match", &tag)],
            &disabled,
        );
        assert_eq!(updated.json()["provisioningStatus"], "disabled");
        assert_eq!(register().body["status"], "disabled");
        let late = ask(
            &instance,
            "PUT /enrollments/fan",
            &[("If-Match", &tag)],
            &fan(),
        );
        assert_eq!(late.status, 412, "it has changed since");
        assert_eq!(
            ask(
                &instance,
                "DELETE /enrollments/fan",
                &[("If-Match", "*")],
                &Value::Null
            )
            .status,
            204
        );
        assert_eq!(
            ask(&instance, "DELETE /enrollments/fan", &[], &Value::Null).status,
            404
        );
    }
}

#[test]
fn what_is_not_signed_by_a_policy_that_may_is_refused() {
    let instance = office();
    let far = i64::from(u32::MAX);
    for (token, line, status) in [
        (None, "GET /enrollments/lock-1", 401),
        (Some("nonsense".into()), "GET /enrollments/lock-1", 401),
        (
            Some(signed("other.test", OWNER, far)),
            "GET /enrollments/lock-1",
            401,
        ),
        (
            Some(signed(ENDPOINT, OWNER, 1)),
            "GET /enrollments/lock-1",
            401,
        ),
        (
            Some(signed(ENDPOINT, (OWNER.0, 7), far)),
            "GET /enrollments/lock-1",
            401,
        ),
        (
            Some(signed(ENDPOINT, ("nobody", 41), far)),
            "GET /enrollments/lock-1",
            401,
        ),
        (
            Some(signed(ENDPOINT, OWNER, far)),
            "GET /enrollments/lock-1",
            200,
        ),
        (
            Some(signed(ENDPOINT, READER, far)),
            "GET /enrollments/lock-1",
            200,
        ),
        (
            Some(signed(ENDPOINT, READER, far)),
            "DELETE /enrollments/lock-1",
            403,
        ),
        (
            Some(signed(ENDPOINT, READER, far)),
            "POST /enrollments/lock-1/attestationmechanism",
            403,
        ),
        (
            Some(signed(ENDPOINT, READER, far)),
            "GET /registrations/lock-1",
            403,
        ),
        (
            Some(signed(ENDPOINT, OWNER, far)),
            "GET /nothing/lock-1",
            404,
        ),
        (
            Some(signed(ENDPOINT, OWNER, far)),
            "PATCH /enrollments/lock-1",
            405,
        ),
    ] {
        let headers: Vec<_> = token
            .as_deref()
            .map(|token| ("Authorization", token))
            .into_iter()
            .collect();
        let answer = send(&instance, line, &headers, "");
        assert_eq!(answer.status, status, "{line}: {}", answer.body);
        assert!(!answer.body.contains("primaryKey"), "{}", answer.body);
    }
}

#[test]
fn the_key_of_a_webhook_is_told_to_who_may_change_it() {
    let office = office();
    for (list, id) in [
        ("enrollments", "registrationId"),
        ("enrollmentGroups", "enrollmentGroupId"),
    ] {
        let enrollment = json!({
            id: "fan-1",
            "attestation": {"type": "symmetricKey"},
            "allocationPolicy": "custom",
            "customAllocationDefinition": {
                "webhookUrl": "http://f.test/api/allocate?code=secret-code",
                "apiVersion": "2021-10-01",
            },
        });
        let line = format!("/{list}/fan-1");
        let put = ask(&office, &format!("PUT {line}"), &[], &enrollment);
        assert_eq!(put.status, 200, "{}", put.body);
        for line in [format!("GET {line}"), format!("POST /{list}/query")] {
            let told = |who| {
                let token = signed(ENDPOINT, who, i64::from(u32::MAX));
                let headers = [("Authorization", token.as_str())];
                let query = r#"{"query":"SELECT * FROM enrollments"}"#;
                let body = if line.starts_with("GET") { "" } else { query };
                let answer = send(&office, &line, &headers, body);
                assert_eq!(answer.status, 200, "{line}: {}", answer.body);
                answer.body
            };
            assert!(told(OWNER).contains("?code=secret-code"), "{line}");
            let masked = told(READER);
            assert!(!masked.contains("secret-code"), "{masked}");
            assert!(
                masked.contains("http://f.test/api/allocate?****"),
                "{masked}"
            );
        }
    }
}

#[test]
fn lists_are_paged_keys_are_fetched_apart_and_bulk_tells_each_failure() {
    let instance = office();
    let mut seen = Vec::new();
    let mut from = String::new();
    loop {
        let mut headers = vec![("x-ms-max-item-count", "2")];
        if !from.is_empty() {
            headers.push(("x-ms-continuation", &from));
        }
        let everything = json!({"query": "SELECT * FROM enrollments"});
        let page = ask(&instance, "POST /enrollments/query", &headers, &everything);
        assert_eq!(page.header("x-ms-item-type"), "Enrollment");
        let items = page.json();
        let items = items.as_array().expect("a list");
        assert!(items.len() <= 2);
        seen.extend(
            items
                .iter()
                .map(|item| item["registrationId"].as_str().expect("an id").to_owned()),
        );
        from = page.header("x-ms-continuation").to_owned();
        if from.is_empty() {
            break;
        }
    }
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            "lock-1", "lock-2", "lock-3", "valve-1", "valve-2", "valve-3", "vault-1"
        ]
    );

    let keys = ask(
        &instance,
        "POST /enrollmentgroups/METERS/attestationmechanism",
        &[],
        &Value::Null,
    );
    let primary = String::from(instance.meters[0].clone());
    assert_eq!(keys.json()["symmetricKey"]["primaryKey"], primary.as_str());
    let group = ask(&instance, "GET /enrollmentGroups/meters", &[], &Value::Null);
    assert!(!group.body.contains(&primary));

    let removed = json!({"mode": "delete", "enrollments": [
        {"registrationId": "lock-2"}, {"registrationId": "lock-9"}]});
    let result = ask(&instance, "POST /enrollments", &[], &removed).json();
    assert_eq!(result["errors"][0]["registrationId"], "lock-9");
    assert_eq!(result["errors"].as_array().map(Vec::len), Some(1));
    let gone = ask(&instance, "GET /enrollments/lock-2", &[], &Value::Null);
    assert_eq!(gone.status, 404, "its id was enough");

    let bulk = json!({"mode": "create", "enrollments": [fan(), {
        "registrationId": "lock-1", "attestation": {"type": "symmetricKey"}}]});
    let result = ask(&instance, "POST /enrollments/", &[], &bulk).json();
    assert_eq!(result["isSuccessful"], false);
    assert_eq!(result["errors"][0]["registrationId"], "lock-1");
    assert_eq!(result["errors"][0]["errorCode"], 409_000);
    assert_eq!(
        ask(&instance, "GET /enrollments/fan", &[], &Value::Null).status,
        200
    );

    let changed = json!({"mode": "update", "enrollments": [fan()]});
    let result = ask(&instance, "POST /enrollments", &[], &changed).json();
    // The C SDK needs the array, Java's throws on null.
    assert_eq!(result, json!({"isSuccessful": true, "errors": []}));
}

/// As the Azure CLI sends them, Go's encoder (which writes names as the fields are called), and C#'s
/// where it is told nothing else.
#[test]
fn documents_are_read_as_the_real_service_reads_them() {
    let instance = office();
    for query in [
        json!({"query": "{'additional_properties': {}, 'query': 'SELECT *'}"}),
        json!({"query": "SELECT * FROM enrollments WHERE x = 1"}),
        json!({"Query": "SELECT *"}),
    ] {
        for line in ["POST /enrollments/query", "POST /enrollmentGroups/query"] {
            let found = ask(&instance, line, &[], &query);
            assert_eq!(found.status, 200, "{line}: {}", found.body);
            assert!(!found.json().as_array().expect("a list").is_empty());
        }
    }
    let refused = ask(
        &instance,
        "POST /enrollments/query",
        &[],
        &json!({"query": 7}),
    );
    assert_eq!(refused.status, 400);
    assert!(
        refused.body.contains("query: invalid type"),
        "{}",
        refused.body
    );

    let written = json!({
        "RegistrationId": "Fan", "Attestation": {"Type": "SymmetricKey", "SymmetricKey": null},
        "ProvisioningStatus": "Disabled", "Capabilities": {"IotEdge": "true"}, "IotHubs": null,
        "ReprovisionPolicy": {"UpdateHubAssignment": "False"},
        "InitialTwin": {"Tags": null, "Properties": {"Desired": {"Status": "7"}}},
    });
    let read = ask(&instance, "PUT /enrollments/fan", &[], &written);
    assert_eq!(read.status, 200, "{}", read.body);
    let read = read.json();
    assert_eq!(read["provisioningStatus"], "disabled");
    assert_eq!(read["capabilities"], json!({"iotEdge": true}));
    assert_eq!(read["reprovisionPolicy"]["updateHubAssignment"], false);
    let twin = json!({"properties": {"desired": {"Status": "7"}}});
    assert_eq!(read["initialTwin"], twin);
    let refused = ask(
        &instance,
        "PUT /enrollments/fan-2",
        &[],
        &json!({
        "registrationId": "fan-2", "attestation": {"type": "symmetricKey"}, "iotHubs": 7}),
    );
    assert!(
        refused.body.contains("iotHubs: invalid type"),
        "{}",
        refused.body
    );
}

#[test]
fn what_no_twin_can_hold_is_refused_when_it_is_enrolled() {
    let instance = office();
    let deep = (1..14).fold(json!(1), |inner, _| json!({ "x": inner }));
    for (bad, problem) in [
        (json!({"a": [1, null]}), "null in an array"),
        (json!({"a": null}), "\"a\" is null"),
        (json!({"$x": 1}), "'$' is not allowed"),
        (json!({"a.b": 1}), "'.' is not allowed"),
        (deep, "deeper than 10"),
        (json!({"a": vec!["x".repeat(4_000); 20]}), "the limit is"),
    ] {
        for twin in [
            json!({"tags": bad}),
            json!({"properties": {"desired": bad}}),
        ] {
            let mut enrollment = fan();
            enrollment["initialTwin"] = twin;
            let refused = ask(&instance, "PUT /enrollments/fan", &[], &enrollment);
            let error = refused.json();
            assert_eq!(error["errorCode"], 400_004, "{}", refused.body);
            let message = error["message"].as_str().expect("words");
            assert!(
                message.starts_with("initialTwin: ") && message.contains(problem),
                "{message}"
            );
            let bulk = json!({"mode": "create", "enrollments": [enrollment]});
            let result = ask(&instance, "POST /enrollments", &[], &bulk).json();
            assert_eq!(result["errors"][0]["errorCode"], 400_004, "{result}");
        }
    }
}

#[test]
fn what_is_there_is_changed_by_who_says_so_and_by_nobody_else() {
    let instance = office();
    let group = json!({"enrollmentGroupId": "fans", "attestation": {"type": "symmetricKey"}});
    for (line, document) in [
        ("PUT /enrollments/fan", fan()),
        ("PUT /enrollmentGroups/fans", group),
    ] {
        let put = |condition: &[(&str, &str)]| ask(&instance, line, condition, &document);
        assert_eq!(put(&[("If-Match", "*")]).status, 404, "{line}");
        let created = put(&[]);
        assert_eq!(created.status, 200, "{line}: {}", created.body);
        let again = put(&[]);
        assert_eq!(again.status, 409, "{line}");
        assert_eq!(again.json()["errorCode"], 409_000);
        let tag = created.json()["etag"].as_str().expect("a tag").to_owned();
        let changed = put(&[("If-Match", &tag)]);
        assert_eq!(changed.status, 200, "{line}: {}", changed.body);
        assert_eq!(put(&[("If-Match", &tag)]).status, 412, "{line}");
        assert_eq!(put(&[("If-Match", "*")]).status, 200, "{line}");
    }
}

#[test]
fn an_api_version_that_nobody_has_published_is_refused_unless_the_configuration_adds_it() {
    let instance = Instance::start(Config {
        api_versions: vec!["2027-03-01-preview".into()],
        ..quick()
    });
    let server = instance.server.announcement();
    for (version, status) in [
        ("garbage", 400),
        ("2099-01-01", 400),
        ("2018%2D04-01", 401),
        ("2026-11-01", 401),
        ("2027-03-01-preview", 401),
    ] {
        let mut wire = dial(server, server.https, ENDPOINT, None, ALL_VERSIONS);
        let line = format!("GET /enrollments/lock-1?api-version={version}");
        wire.write_all(&request(&line, &[], b""))
            .expect("the server reads");
        let answer = Answer::read(&mut wire);
        assert_eq!(answer.status, status, "{version}: {}", answer.body);
        if status == 400 {
            let error = answer.json();
            assert_eq!(error["errorCode"], 400_004);
            let words = format!("Unsupported API version {version}.");
            assert_eq!(error["message"], words);
        }
    }
    let pump = instance.pump("pump-1");
    for dialect in dialect::ALL {
        for (api_version, status) in [("2027-03-01-preview", 202), ("2027-03-02-preview", 400)] {
            let pump = dialect::Caller {
                api_version,
                ..pump.clone()
            };
            let answer = (dialect.ask)(server, &pump, &register());
            assert_eq!(
                answer.status, status,
                "{}: {}",
                dialect.transport, answer.body
            );
        }
    }
}

#[test]
fn the_group_nearest_to_the_device_lets_it_in_whichever_was_entered_first() {
    let instance = office();
    let server = instance.server.announcement();
    let pump = instance.pump("pump-1");
    let intermediate = pump.certificate.as_ref().expect("it has one").cert[1].clone();
    let below = json!({
        "enrollmentGroupId": "hall-1",
        "attestation": {"type": "x509", "x509": {"signingCertificates": {
            "primary": {"certificate": STANDARD.encode(&intermediate)}}}},
    });
    let group_of = || {
        let accepted = (dialect::https::DIALECT.ask)(server, &pump, &register());
        assert_eq!(accepted.status, 202, "{}", accepted.body);
        let record = ask(&instance, "GET /registrations/pump-1", &[], &Value::Null).json();
        let gone = ask(&instance, "DELETE /registrations/pump-1", &[], &Value::Null);
        assert_eq!(gone.status, 204);
        record["x509"]["enrollmentGroupId"].clone()
    };
    assert_eq!(group_of(), "pumps", "the root's");
    let put = ask(&instance, "PUT /enrollmentGroups/hall-1", &[], &below);
    assert_eq!(put.status, 200, "{}", put.body);
    assert_eq!(group_of(), "hall-1");
}

#[test]
fn what_an_enrollment_says_is_kept_or_refused_and_never_dropped() {
    let instance = office();
    let created = ask(&instance, "PUT /enrollments/fan", &[], &fan());
    assert_eq!(created.status, 200, "{}", created.body);
    let with = |member: &str, value: Value| {
        let mut enrollment = fan();
        enrollment[member] = value;
        let over = [("If-Match", "*")];
        ask(&instance, "PUT /enrollments/fan", &over, &enrollment)
    };
    for (member, value) in [
        ("capabilities", json!({"iotEdge": true})),
        ("optionalDeviceInformation", json!({"line": 7})),
        ("iotHubHostName", json!("hub-2.fleetstorm.test")),
        ("deviceId", json!("Fan-1")),
        (
            "customAllocationDefinition",
            json!({"webhookUrl": "https://f.test/api?code=a", "apiVersion": "2021-10-01"}),
        ),
    ] {
        let written = with(member, value.clone());
        assert_eq!(written.json()[member], value, "{}", written.body);
        let read = ask(&instance, "GET /enrollments/fan", &[], &Value::Null);
        assert_eq!(read.json()[member], value);
    }
    for (member, value) in [
        ("credentialPolicyName", json!("issue")),
        ("allocationPolicy", json!("nearest")),
        (
            "customAllocationDefinition",
            json!({"webhookUrl": "ftp://f.test/", "apiVersion": "2021-10-01"}),
        ),
        (
            "customAllocationDefinition",
            json!({"webhookUrl": "https://f.test/", "apiVersion": "2099-01-01"}),
        ),
        (
            "customAllocationDefinition",
            json!({"webhookUrl": "https://f.test/", "apiVersion": "2018-04-01"}),
        ),
        ("iotHubs", json!(["hub-9.test"])),
    ] {
        let refused = with(member, value);
        assert_eq!(refused.status, 400, "{member}");
        assert!(refused.body.contains(member), "{}", refused.body);
    }
}

#[test]
fn a_certificate_stands_in_one_enrollment_and_a_signer_in_one_group() {
    let instance = office();
    let fan = self_signed("fan", Validity::Current);
    let own = |id: &str| {
        json!({
            "registrationId": id,
            "attestation": {"type": "x509", "x509": {"clientCertificates": {
                "primary": {"certificate": STANDARD.encode(&fan.cert[0])}}}},
        })
    };
    let put = |line: &str, document: &Value| ask(&instance, line, &[], document);
    assert_eq!(put("PUT /enrollments/fan", &own("fan")).status, 200);
    let again = [("If-Match", "*")];
    let again = ask(&instance, "PUT /enrollments/fan", &again, &own("fan"));
    assert_eq!(again.status, 200, "{}", again.body);
    let taken = put("PUT /enrollments/fan-2", &own("fan-2"));
    assert_eq!(taken.status, 409, "{}", taken.body);
    assert!(taken.body.contains("fan"), "{}", taken.body);
    assert_eq!(put("DELETE /enrollments/fan", &Value::Null).status, 204);
    assert_eq!(put("PUT /enrollments/fan-2", &own("fan-2")).status, 200);

    let root = Authority::new("hall");
    let put_group = |id: &str| {
        let line = format!("PUT /enrollmentGroups/{id}");
        put(&line, &group(id, &root, "enabled")).status
    };
    assert_eq!(put_group("hall-1"), 200);
    assert_eq!(put_group("hall-2"), 409);
}

#[test]
fn operations_are_throttled_and_logged() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dps.log");
    let policy = AccessPolicyConfig {
        name: OWNER.0.into(),
        key: Some(STANDARD.encode([OWNER.1; 32])),
        permissions: Permission::ALL.into(),
    };
    let instance = Instance::start(Config {
        diagnostic_log: Some(path.clone()),
        instances: vec![InstanceConfig {
            access_policies: vec![policy],
            throttle: Rates {
                operations_per_minute: 2,
                ..Rates::NONE
            },
            ..tenant()
        }],
        ..quick()
    });
    let answers: Vec<_> = (0..6)
        .map(|_| ask(&instance, "PUT /enrollments/fan", &[], &fan()))
        .collect();
    // A minute may end among them, once.
    let throttled: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 429)
        .collect();
    assert!((2..=4).contains(&throttled.len()), "{}", throttled.len());
    let wait: u32 = throttled[0].header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    send(&instance, "GET /enrollments/fan", &[], "");
    drop(instance);

    let log = std::fs::read_to_string(&path).expect("a log");
    let records: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON lines"))
        .collect();
    assert_eq!(records.len(), 7, "{log}");
    let upsert = &records[0];
    for (column, value) in [
        ("Category", "ServiceOperations"),
        ("OperationName", "Upsert"),
        ("OperationVersion", "October2021"),
        ("ResultType", "Success"),
    ] {
        assert_eq!(upsert[column], value);
    }
    let about = r#"{"id":"fan","protocol":"Http","type":"IndividualEnrollment"}"#;
    assert_eq!(upsert["properties_s"], about);
    let signatures: Vec<_> = records
        .iter()
        .map(|one| one["ResultSignature"].clone())
        .collect();
    assert!(signatures.contains(&"429".into()), "{signatures:?}");
    assert_eq!(signatures[6], "401", "who is unsigned is logged, too");
    assert!(!log.contains(&STANDARD.encode([9; 32])), "no key is");
}
