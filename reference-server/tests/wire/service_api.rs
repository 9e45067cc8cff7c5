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
use crate::hub::http::{Response, request};
use crate::instance::{Instance, group, quick, stranger, tenant};
use crate::questions::{register, token};
use crate::tls::dial;

mod access;
mod documents;

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

fn send(instance: &Instance, line: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let server = instance.server.announcement();
    let mut wire = dial(server, server.https, ENDPOINT, None, ALL_VERSIONS);
    let (verb, path) = line.split_once(' ').expect("a request line");
    let line = format!("{verb} {path}?api-version=2021-10-01");
    wire.write_all(&request(&line, headers, body.as_bytes()))
        .expect("the server reads");
    Response::read(&mut wire)
}

/// As the owner.
fn ask(instance: &Instance, line: &str, headers: &[(&str, &str)], body: &Value) -> Response {
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
pub fn put_group(
    instance: &Instance,
    id: &str,
    condition: (&str, &str),
    document: &str,
) -> Response {
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
) -> Response {
    put(
        instance,
        &format!("PUT /enrollments/{id}"),
        condition,
        document,
    )
}

fn put(instance: &Instance, line: &str, condition: (&str, &str), document: &str) -> Response {
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
