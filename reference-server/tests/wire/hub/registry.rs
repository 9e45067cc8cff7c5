//! All identities of a hub, as its service sees and changes them.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde_json::{Value, json};

use super::amqp_device::AmqpDevice;
use super::device::Device;
use super::http::{Response, as_anybody, as_device, as_service, policy_token};
use super::{POLICY_KEY, provisioned, yard};
use crate::instance::Instance;

const V: &str = "api-version=2021-04-12";

fn ask(yard: &Instance, line: &str, body: &Value) -> Response {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mark = if line.contains('?') { '&' } else { '?' };
    as_service(yard, &format!("{line}{mark}{V}"), &[], &body)
}

fn listed(yard: &Instance, line: &str) -> Vec<String> {
    let list = ask(yard, line, &Value::Null).json();
    let list = list.as_array().expect("a list");
    let name = |identity: &Value| identity["deviceId"].as_str().expect("a name").to_owned();
    list.iter().map(name).collect()
}

#[test]
fn all_identities_are_listed_and_counted() {
    let yard = yard();
    for name in ["pump-2", "pump-1", "pump-3"] {
        provisioned(&yard, name);
    }
    let _pump = Device::connect(&yard, &provisioned(&yard, "pump-1"));
    assert_eq!(
        listed(&yard, "GET /devices"),
        ["pump-1", "pump-2", "pump-3"]
    );
    assert_eq!(listed(&yard, "GET /devices?top=2").len(), 2);
    let wanted = json!({"status": "disabled", "capabilities": {"iotEdge": true}});
    let created = ask(&yard, "PUT /devices/gateway", &wanted).json();
    assert_eq!(created["capabilities"], json!({"iotEdge": true}));
    let counted = ask(&yard, "GET /statistics/devices", &Value::Null).json();
    assert_eq!(
        counted,
        json!({"totalDeviceCount": 4, "enabledDeviceCount": 3, "disabledDeviceCount": 1})
    );
    let connected = ask(&yard, "GET /statistics/service", &Value::Null).json();
    assert_eq!(connected, json!({"connectedDeviceCount": 1}));
    for line in ["GET /devices", "POST /devices", "GET /statistics/devices"] {
        let refused = as_anybody(&yard, &format!("{line}?{V}"), &[], "[]");
        assert_eq!(refused.status, 401, "{line}");
    }
}

#[test]
fn a_bulk_operation_does_what_it_can_and_tells_what_it_can_not() {
    let yard = yard();
    let bulk = |items: Value| ask(&yard, "POST /devices", &items);
    let created = bulk(json!([
        {"id": "valve-1", "importMode": "create", "tags": {"hall": 1},
         "properties": {"desired": {"rate": 5}}},
        {"id": "valve-2", "importMode": "create", "tags": {"a.b": 1}},
        {"id": "valve-3", "capabilities": {"iotEdge": true}},
    ]));
    assert_eq!(created.status, 200, "{}", created.body);
    let result = created.json();
    assert_eq!(result["isSuccessful"], true);
    let warning = &result["warnings"][0];
    assert_eq!(
        (&warning["deviceId"], &warning["warningCode"]),
        (&json!("valve-2"), &json!("DeviceRegisteredWithoutTwin"))
    );
    let twin = ask(&yard, "GET /twins/valve-1", &Value::Null).json();
    assert_eq!(twin["tags"], json!({"hall": 1}));
    assert_eq!(twin["properties"]["desired"]["rate"], 5);
    let (old, new) = (json!("AAAAAAAAAAk="), json!("AAAAAAAAAAE="));
    let mixed = bulk(json!([
        {"id": "valve-1", "importMode": "create"},
        {"id": "valve-9", "importMode": "Update"},
        {"id": "valve-2", "importMode": "updateIfMatchETag", "eTag": old},
        {"id": "valve-2", "importMode": "UpdateIfMatchETag", "etag": new, "status": "disabled"},
        {"id": "valve-3", "importMode": "DeleteIfMatchETag"},
        {"id": "valve-3", "importMode": "retire"},
        {"id": "a b", "importMode": "create"},
        {"id": "valve-3", "moduleId": "m", "importMode": "update"},
        {},
        {"id": "valve-1", "importMode": "updateTwin", "tags": {"hall": 2}},
        {"id": "valve-3", "importMode": "delete"},
    ]));
    assert_eq!(
        (mixed.status, mixed.header("iothub-errorcode")),
        (400, "BulkRegistryOperationFailure")
    );
    let result = mixed.json();
    assert_eq!(result["isSuccessful"], false);
    let errors = result["errors"].as_array().expect("errors");
    let told: Vec<_> = errors
        .iter()
        .map(|error| (error["deviceId"].as_str(), error["errorCode"].as_str()))
        .map(|(device, code)| (device.unwrap_or("?"), code.unwrap_or("?")))
        .collect();
    assert_eq!(
        told,
        [
            ("valve-1", "DeviceAlreadyExists"),
            ("valve-9", "DeviceNotFound"),
            ("valve-2", "PreconditionFailed"),
            ("valve-3", "ArgumentInvalid"),
            ("valve-3", "ArgumentInvalid"),
            ("a b", "ArgumentInvalid"),
            ("valve-3", "ModuleNotFound"),
            ("?", "ArgumentInvalid"),
        ]
    );
    assert_eq!(listed(&yard, "GET /devices"), ["valve-1", "valve-2"]);
    let changed = ask(&yard, "GET /devices/valve-2", &Value::Null).json();
    assert_eq!(changed["status"], "disabled");
    let twin = ask(&yard, "GET /twins/valve-1", &Value::Null).json();
    assert_eq!(twin["tags"], json!({"hall": 2}));

    let many: Vec<_> = (0..101)
        .map(|number| json!({"id": format!("d-{number}")}))
        .collect();
    let refused = bulk(many.into());
    assert_eq!(
        (refused.status, refused.header("iothub-errorcode")),
        (413, "TooManyDevices")
    );
    assert_eq!(bulk(json!({"id": "valve-1"})).status, 400);
}

/// The Azure CLI sends seconds as text; C# and Go write names as their fields are called.
#[test]
fn documents_are_read_as_the_real_hub_reads_them() {
    let yard = yard();
    let written =
        json!({"DeviceId": "fan", "Status": "Disabled", "Capabilities": {"IotEdge": "true"}});
    let created = ask(&yard, "PUT /devices/fan", &written);
    assert_eq!(created.status, 200, "{}", created.body);
    let created = created.json();
    assert_eq!(created["status"], "disabled");
    assert_eq!(created["capabilities"], json!({"iotEdge": true}));
    let twin = json!({"Tags": {"Hall": 1}, "Properties": {"Desired": {"Status": "7"}}});
    let twin = ask(&yard, "PATCH /twins/fan", &twin).json();
    assert_eq!(twin["tags"], json!({"Hall": 1}));
    assert_eq!(twin["properties"]["desired"]["Status"], "7");
    let query = json!({"Query": "SELECT * FROM devices"});
    let found = ask(&yard, "POST /devices/query", &query).json();
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    for (seconds, status) in [("30", 404), ("301", 400), ("soon", 400)] {
        let call =
            json!({"MethodName": "stop", "responseTimeoutInSeconds": seconds, "payload": null});
        let called = ask(&yard, "POST /twins/fan/methods", &call);
        assert_eq!(called.status, status, "{seconds}: {}", called.body);
    }
}

#[test]
fn certificates_are_known_by_either_thumbprint_and_authorities_let_nobody_in() {
    let yard = yard();
    let pump = yard.pump("pump-1");
    let certificate = &pump.certificate.as_ref().expect("it has one").cert[0];
    let hexadecimal =
        |digest: &[u8]| -> String { digest.iter().map(|byte| format!("{byte:02x}")).collect() };
    let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate);
    let events = format!("POST /devices/pump-1/messages/events?{V}");
    let wanted = |authentication: &Value| {
        let document = json!({"authentication": authentication}).to_string();
        let line = format!("PUT /devices/pump-1?{V}");
        let condition = [("If-Match", "*")];
        let answer = as_service(&yard, &line, &condition, &document);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["authentication"].clone()
    };
    assert_eq!(ask(&yard, "PUT /devices/pump-1", &json!({})).status, 200);
    for (digest, status) in [
        (hexadecimal(sha1.as_ref()), 204),
        (hexadecimal(digest(&SHA256, certificate).as_ref()), 204),
        ("0".repeat(40), 401),
    ] {
        let written = wanted(
            &json!({"x509Thumbprint": {"primaryThumbprint": "F".repeat(40),
            "secondaryThumbprint": digest}}),
        );
        assert_eq!(written["type"], "selfSigned");
        let shown = written["x509Thumbprint"]["secondaryThumbprint"].as_str();
        assert_eq!(shown, Some(digest.to_uppercase().as_str()));
        let sent = as_device(&yard, &pump, &events, &[], b"{}");
        assert_eq!(sent.status, status, "{digest}: {}", sent.body);
    }
    let written = wanted(&json!({"type": "certificateAuthority"}));
    assert_eq!(written["type"], "certificateAuthority");
    let twin = ask(&yard, "GET /twins/pump-1", &Value::Null).json();
    assert_eq!(twin["authenticationType"], "certificateAuthority");
    assert_eq!(as_device(&yard, &pump, &events, &[], b"{}").status, 401);
    let device = policy_token(POLICY_KEY, "device");
    let headers = [("Authorization", device.as_str())];
    assert_eq!(as_anybody(&yard, &events, &headers, "{}").status, 401);
}

#[test]
fn what_no_twin_can_hold_is_refused() {
    let yard = yard();
    assert_eq!(ask(&yard, "PUT /devices/fan", &json!({})).status, 200);
    let good = json!({"tags": {"hall": 1}, "properties": {"desired": {"rate": 1}}});
    assert_eq!(ask(&yard, "PATCH /twins/fan", &good).status, 200);
    let before = ask(&yard, "GET /twins/fan", &Value::Null).json();
    let deep = (1..14).fold(json!(1), |inner, _| json!({ "x": inner }));
    for (bad, patched, replaced) in [
        (json!({"a": [1, null]}), 400, 400),
        (json!({"a": [{"b": null}]}), 400, 400),
        (json!({"$x": 1}), 400, 400),
        (json!({"a.b": 1}), 400, 400),
        (deep, 400, 400),
        (json!({"a": vec!["x".repeat(4_000); 20]}), 413, 413),
        (json!({"a": null}), 200, 400),
        (json!({"a": {"b": null}}), 200, 400),
    ] {
        for twin in [
            json!({"tags": bad}),
            json!({"properties": {"desired": bad}}),
        ] {
            let put = ask(&yard, "PUT /twins/fan", &twin);
            assert_eq!(put.status, replaced, "{twin}: {}", put.body);
            if patched != 200 {
                let patch = ask(&yard, "PATCH /twins/fan", &twin);
                assert_eq!(patch.status, patched, "{twin}: {}", patch.body);
            }
        }
    }
    assert_eq!(ask(&yard, "GET /twins/fan", &Value::Null).json(), before);
}

#[test]
fn a_query_finds_twins_page_by_page() {
    let yard = yard();
    let items: Vec<_> = (0..25)
        .map(|number| {
            json!({"id": format!("d-{number}"), "tags": {"hall": number % 5},
                   "properties": {"desired": {"rate": number}}})
        })
        .collect();
    assert_eq!(ask(&yard, "POST /devices", &items.into()).status, 200);
    let pump = Device::connect(&yard, &provisioned(&yard, "pump-1"));
    let query = |text: &str, headers: &[(&str, &str)]| {
        let body = json!({"query": text}).to_string();
        as_service(&yard, &format!("POST /devices/query?{V}"), headers, &body)
    };
    let mut found = Vec::new();
    let mut from = String::new();
    loop {
        let mut headers = vec![("x-ms-max-item-count", "4")];
        if !from.is_empty() {
            headers.push(("x-ms-continuation", &from));
        }
        let page = query(
            "SELECT * FROM devices WHERE tags.hall IN [1, 3] AND properties.desired.rate >= 3",
            &headers,
        );
        // The .NET SDK looks at its case.
        assert_eq!((page.status, page.header("x-ms-item-type")), (200, "Twin"));
        let twins = page.json();
        let twins = twins.as_array().expect("a list");
        assert!(!twins.is_empty() && twins.len() <= 4);
        found.extend(
            twins
                .iter()
                .map(|twin| twin["properties"]["desired"]["rate"].as_u64()),
        );
        from = page.header("x-ms-continuation").to_owned();
        if from.is_empty() {
            break;
        }
    }
    found.sort_unstable();
    assert_eq!(found, [3, 6, 8, 11, 13, 16, 18, 21, 23].map(Some));

    let connected = "SELECT * FROM devices WHERE connectionState = 'Connected'";
    let twins = query(connected, &[]).json();
    assert_eq!(twins.as_array().map(Vec::len), Some(1));
    let line = format!("GET /twins/pump-1?{V}");
    assert_eq!(twins[0], as_service(&yard, &line, &[], "").json());
    drop(pump);
    let nested = format!("{}deviceId = 'd-1'{}", "(".repeat(8), ")".repeat(8));
    let nested = query(&format!("SELECT * FROM devices WHERE {nested}"), &[]);
    assert_eq!(
        nested.json().as_array().map(Vec::len),
        Some(1),
        "{}",
        nested.body
    );

    let deep = format!("SELECT * FROM devices WHERE {}", "NOT ".repeat(500));
    for (text, headers) in [
        ("SELECT deviceId FROM devices", &[][..]),
        (deep.as_str(), &[]),
        (connected, &[("x-ms-max-item-count", "0")]),
        (connected, &[("x-ms-continuation", "nowhere")]),
    ] {
        let refused = query(text, headers);
        assert_eq!(
            (refused.status, refused.header("iothub-errorcode")),
            (400, "ArgumentInvalid"),
            "{text}"
        );
    }
}

#[test]
fn a_device_that_is_disabled_is_hung_up_on_and_not_let_in_again() {
    let yard = yard();
    let (one, two) = (provisioned(&yard, "pump-1"), provisioned(&yard, "pump-2"));
    let over_mqtt = Device::connect(&yard, &one);
    let mut over_amqp = AmqpDevice::connect(&yard, &two);
    over_amqp.attach("events", false, "/devices/pump-2/messages/events");
    let disable = json!([
        {"id": "pump-1", "importMode": "update", "status": "disabled", "statusReason": "stolen"},
        {"id": "pump-2", "importMode": "update", "status": "disabled"},
    ]);
    assert_eq!(ask(&yard, "POST /devices", &disable).status, 200);
    over_mqtt.ends();
    let (code, detach) = over_amqp.frame();
    assert_eq!(code, 0x16, "detach: {detach:?}");
    for (device, name) in [(&one, "pump-1"), (&two, "pump-2")] {
        let line = format!("POST /devices/{name}/messages/events?{V}");
        let refused = as_device(&yard, device, &line, &[], b"{}");
        assert_eq!(
            (refused.status, refused.header("iothub-errorcode")),
            (401, "IotHubUnauthorizedAccess")
        );
    }
    let seen = ask(&yard, "GET /devices/pump-1", &Value::Null).json();
    assert_eq!(
        (&seen["connectionState"], &seen["statusReason"]),
        (&json!("Disconnected"), &json!("stolen"))
    );
}

#[test]
fn each_policy_opens_what_it_is_for_and_no_more() {
    let yard = yard();
    provisioned(&yard, "pump-1");
    let all = ["service", "device", "registryRead", "registryReadWrite"];
    for (line, body, who) in [
        ("GET /devices/pump-1", "", &all[2..]),
        ("GET /devices", "", &all[2..]),
        ("GET /statistics/devices", "", &all[2..]),
        ("GET /statistics/service", "", &all[2..]),
        (
            "POST /devices",
            r#"[{"id":"d","importMode":"createOrUpdate"}]"#,
            &all[3..],
        ),
        ("DELETE /devices/d", "", &all[3..]),
        ("PUT /devices/d", r#"{"deviceId":"d"}"#, &all[3..]),
        ("GET /twins/pump-1", "", &all[..1]),
        ("PATCH /twins/pump-1", "{}", &all[..1]),
        ("DELETE /devices/pump-1/commands", "", &all[..1]),
        (
            "POST /devices/query",
            r#"{"query":"SELECT * FROM devices"}"#,
            &all[..1],
        ),
        // A device with a certificate proves itself by that alone.
        ("POST /devices/pump-1/messages/events", "", &[]),
        ("POST /devices/d/messages/events", "", &all[1..2]),
    ] {
        for policy in all {
            let token = policy_token(POLICY_KEY, policy);
            let headers = [("Authorization", token.as_str())];
            let answer = as_anybody(&yard, &format!("{line}?{V}"), &headers, body);
            let expected = if who.contains(&policy) { 2 } else { 4 };
            assert_eq!(
                answer.status / 100,
                expected,
                "{policy}, {line}: {}",
                answer.body
            );
            assert!(expected == 2 || answer.status == 401, "{policy}, {line}");
        }
    }
}

#[test]
fn a_list_of_many_identities_has_each_of_them_once() {
    let yard = yard();
    for hundred in 0..11 {
        let items: Vec<_> = (0..100)
            .map(|number| json!({"id": format!("d-{hundred:02}-{number:02}")}))
            .collect();
        assert_eq!(ask(&yard, "POST /devices", &items.into()).status, 200);
    }
    let mut names = listed(&yard, "GET /devices");
    assert_eq!(names.len(), 1_000, "no list is longer");
    names.dedup();
    assert_eq!(names.len(), 1_000);
    let counted = ask(&yard, "GET /statistics/devices", &Value::Null).json();
    assert_eq!(counted["totalDeviceCount"], 1_100);
}
