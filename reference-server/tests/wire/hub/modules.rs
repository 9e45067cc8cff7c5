//! Modules: identities below a device, as IoT Edge and the service SDKs keep them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::tpm::IdentityKey;
use serde_json::{Value, json};

use super::amqp::{data, is_accepted, put_token};
use super::amqp_device::{AmqpDevice, message};
use super::device::Device;
use super::http::{Response, as_anybody, as_device, as_service, policy_token, to_control};
use super::{HUB, POLICY_KEY, provisioned, yard};
use crate::dialect::Caller;
use crate::dialect::amqp::{find, string};
use crate::dialect::mqtt::connect_as;
use crate::instance::{Instance, stranger};

const V: &str = "api-version=2021-04-12";
/// What IoT Edge speaks.
const EDGE: &str = "api-version=2017-11-08-preview";

fn line(method: &str, path: &str) -> String {
    format!("{method} {path}?{V}")
}

/// A document with keys of one repeated byte each.
fn keys(primary: u8) -> Value {
    let key = |byte: u8| STANDARD.encode([byte; 32]);
    json!({"type": "sas", "symmetricKey": {"primaryKey": key(primary), "secondaryKey": key(9)}})
}

/// A device with a key, of IoT Edge or not.
fn enter(yard: &Instance, name: &str, iot_edge: bool) {
    let identity = json!({"authentication": keys(3), "capabilities": {"iotEdge": iot_edge}});
    let put = line("PUT", &format!("/devices/{name}"));
    assert_eq!(
        as_service(yard, &put, &[], &identity.to_string()).status,
        200
    );
}

/// A module of `gate-1` with a key.
fn enter_module(yard: &Instance, module: &str) {
    let put = line("PUT", &format!("/devices/gate-1/modules/{module}"));
    let identity = json!({"authentication": keys(5)}).to_string();
    assert_eq!(as_service(yard, &put, &[], &identity).status, 200);
}

fn token(resource: &str, key: u8) -> String {
    SasToken::format(
        &format!("{HUB}/{resource}"),
        i64::from(u32::MAX),
        None,
        |text| IdentityKey::from_bytes([key; 32]).sign(text),
    )
}

fn ids(answer: &Response) -> Vec<String> {
    let listed = answer.json();
    let listed = listed.as_array().expect("a list");
    let id = |module: &Value| module["moduleId"].as_str().expect("text").to_owned();
    listed.iter().map(id).collect()
}

#[test]
fn modules_are_created_read_changed_listed_and_removed() {
    let yard = yard();
    enter(&yard, "gate-1", false);
    let of_gate =
        |method: &str, rest: &str| line(method, &format!("/devices/gate-1/modules{rest}"));
    let call = |line: &str, body: &str| as_service(&yard, line, &[], body);
    assert_eq!(call(&of_gate("GET", ""), "").json(), json!([]));
    let made = call(
        &of_gate("PUT", "/camera"),
        r#"{"moduleId":"camera","managedBy":"iotEdge"}"#,
    );
    assert_eq!(made.status, 200);
    let made = made.json();
    assert_eq!(
        (&made["deviceId"], &made["moduleId"], &made["managedBy"]),
        (&json!("gate-1"), &json!("camera"), &json!("iotEdge"))
    );
    assert!(made["authentication"]["symmetricKey"]["primaryKey"].is_string());
    assert!(made.get("status").is_none() && made.get("capabilities").is_none());
    assert_eq!(
        call(&of_gate("GET", "/camera"), "").json()["etag"],
        made["etag"]
    );

    let again = call(&of_gate("PUT", "/camera"), "{}");
    assert_eq!(
        (again.status, again.header("iothub-errorcode")),
        (409, "ModuleAlreadyExistsOnDevice")
    );
    let changed = as_service(
        &yard,
        &of_gate("PUT", "/camera"),
        &[("If-Match", "*")],
        &json!({"authentication": keys(5)}).to_string(),
    );
    assert_eq!(changed.json()["authentication"], {
        let mut keys = keys(5);
        keys["x509Thumbprint"] = json!({"primaryThumbprint": null, "secondaryThumbprint": null});
        keys
    });
    assert_eq!(changed.json()["managedBy"], "iotEdge");
    let stale = [("If-Match", "\"AAAA\"")];
    assert_eq!(
        as_service(&yard, &of_gate("DELETE", "/camera"), &stale, "").status,
        412
    );

    // They are no devices.
    assert_eq!(
        call(&line("GET", "/devices"), "")
            .json()
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let counted = call(&line("GET", "/statistics/devices"), "").json();
    assert_eq!(counted["totalDeviceCount"], 1);
    for (asked, status, name) in [
        (of_gate("GET", "/nobody"), 404, "ModuleNotFound"),
        (of_gate("DELETE", "/nobody"), 404, "ModuleNotFound"),
        (
            line("GET", "/twins/gate-1/modules/nobody"),
            404,
            "ModuleNotFound",
        ),
        (
            line("PUT", "/devices/nobody/modules/m"),
            404,
            "DeviceNotFound",
        ),
        (
            line("GET", "/devices/nobody/modules"),
            404,
            "DeviceNotFound",
        ),
        (of_gate("PUT", "/a%20b"), 400, "ArgumentInvalid"),
    ] {
        let refused = call(&asked, "{}");
        assert_eq!(
            (refused.status, refused.header("iothub-errorcode")),
            (status, name),
            "{asked}"
        );
    }
    let other = call(&of_gate("PUT", "/m"), r#"{"moduleId":"n"}"#);
    assert_eq!(other.status, 400);
    for number in 1..50 {
        assert_eq!(
            call(&of_gate("PUT", &format!("/m-{number}")), "{}").status,
            200
        );
    }
    let full = call(&of_gate("PUT", "/one-more"), "{}");
    assert_eq!(full.header("iothub-errorcode"), "TooManyModulesOnDevice");
    assert_eq!(ids(&call(&of_gate("GET", ""), "")).len(), 50);
    assert_eq!(call(&of_gate("DELETE", "/camera"), "").status, 204);
    assert!(!ids(&call(&of_gate("GET", ""), "")).contains(&"camera".to_owned()));

    // With their device they go, and are not there for the next of that name.
    assert_eq!(call(&line("DELETE", "/devices/gate-1"), "").status, 204);
    enter(&yard, "gate-1", false);
    assert_eq!(call(&of_gate("GET", ""), "").json(), json!([]));
    assert_eq!(call(&of_gate("GET", "/m-1"), "").status, 404);
}

#[test]
fn modules_come_in_bulk_with_their_twins() {
    let yard = yard();
    enter(&yard, "gate-1", false);
    let items = json!([
        {"id": "gate-1", "moduleId": "camera", "importMode": "create", "tags": {"a": 1}},
        {"id": "nobody", "moduleId": "camera", "importMode": "create"},
    ]);
    let done = as_service(&yard, &line("POST", "/devices"), &[], &items.to_string());
    assert_eq!(
        done.json()["errors"].as_array().map(Vec::len),
        Some(1),
        "{}",
        done.body
    );
    let twin = as_service(&yard, &line("GET", "/twins/gate-1/modules/camera"), &[], "").json();
    assert_eq!(
        (&twin["moduleId"], &twin["tags"]),
        (&json!("camera"), &json!({"a": 1}))
    );
}

#[test]
fn a_device_of_iot_edge_keeps_its_own_modules_and_no_others() {
    let yard = yard();
    enter(&yard, "gate-1", true);
    enter(&yard, "gate-2", true);
    let valve = provisioned(&yard, "pump-1");
    let ask = |method: &str, path: &str, token: &str, more: &[(&str, &str)], body: &str| {
        let headers = [&[("Authorization", token)], more].concat();
        as_anybody(&yard, &format!("{method} {path}?{EDGE}"), &headers, body)
    };
    // IoT Edge writes its audience in small letters.
    let own = token("devices/gate-1", 3);
    let path = "/devices/gate-1/modules";
    let listed = ask("GET", path, &own, &[], "");
    assert_eq!(ids(&listed), ["$edgeAgent", "$edgeHub"]);
    assert_eq!(listed.json()[0]["authentication"]["type"], "none");
    let body = json!({"moduleId": "$edgeAgent", "deviceId": "gate-1", "authentication": keys(5),
        "managedBy": "iotEdge", "generationId": null});
    let agent = "/devices/gate-1/modules/%24edgeAgent";
    let any = [("If-Match", "*")];
    assert_eq!(ask("PUT", agent, &own, &any, &body.to_string()).status, 200);
    let made = ask(
        "PUT",
        "/devices/gate-1/modules/sensor",
        &own,
        &[],
        "{\"moduleId\":\"sensor\"}",
    );
    assert_eq!(made.status, 200);
    assert_eq!(
        ask("GET", agent, &own, &[], "").json()["managedBy"],
        "iotEdge"
    );
    assert_eq!(
        ask("DELETE", "/devices/gate-1/modules/sensor", &own, &any, "").status,
        204
    );

    let speaks_for_devices = policy_token(POLICY_KEY, "device");
    let of_module = token("devices/gate-1/modules/$edgeAgent", 5);
    for (token, why) in [
        (&token("devices/gate-1", 4), "another key"),
        (&token("devices/gate-2", 3), "another device"),
        (&of_module, "a module"),
        (
            &speaks_for_devices,
            "who speaks for devices does not keep their modules",
        ),
        (&String::new(), "nothing"),
    ] {
        for (method, path) in [
            ("GET", path),
            ("GET", agent),
            ("PUT", agent),
            ("DELETE", agent),
        ] {
            assert_eq!(ask(method, path, token, &any, "{}").status, 401, "{why}");
        }
    }
    // Its own identity is not a device's to read or change, nor are twins.
    for (method, path) in [
        ("GET", "/devices/gate-1"),
        ("PUT", "/devices/gate-1"),
        ("DELETE", "/devices/gate-1"),
        ("GET", "/twins/gate-1/modules/$edgeAgent"),
        ("GET", "/devices"),
    ] {
        assert_eq!(
            ask(method, path, &own, &any, "{}").status,
            401,
            "{method} {path}"
        );
    }
    // A certificate does as well.
    let listed = as_device(
        &yard,
        &valve,
        &format!("GET /devices/pump-1/modules?{EDGE}"),
        &[],
        b"",
    );
    assert_eq!(listed.json(), json!([]));
}

#[test]
fn a_module_has_a_session_a_twin_and_methods_of_its_own() {
    let yard = yard();
    enter(&yard, "gate-1", false);
    enter_module(&yard, "camera");
    let caller = Caller {
        sas: Some(token("devices/gate-1/modules/camera", 5)),
        ..stranger("gate-1/camera")
    };
    let user = format!("{HUB}/gate-1/camera/?api-version=2021-04-12");
    let log_in = connect_as("gate-1/camera", &user, caller.sas.as_deref());
    let (mut camera, _) = Device::log_in(&yard, &caller, &log_in);
    for filter in [
        "$iothub/twin/res/#",
        "$iothub/twin/PATCH/properties/desired/#",
        "$iothub/methods/POST/#",
        "devices/gate-1/modules/camera/inputs/#",
        "devices/gate-1/modules/camera/#",
    ] {
        assert_eq!(camera.subscribe(filter, 0), 0, "{filter}");
    }
    for filter in ["devices/gate-1/modules/other/#", "devices/gate-1/#"] {
        assert_eq!(camera.subscribe(filter, 0), 0x80, "{filter}");
    }
    camera.publish("devices/gate-1/modules/camera/messages/events/a=b", "seen");
    let kept = to_control(&yard, &format!("GET /hubs/{HUB}/messages/events"), &[], "").json();
    assert_eq!(
        (&kept[0]["deviceId"], &kept[0]["moduleId"]),
        (&json!("gate-1"), &json!("camera"))
    );
    camera.publish(
        "$iothub/twin/PATCH/properties/reported/?$rid=1",
        "{\"level\":3}",
    );
    assert_eq!(
        camera.hear().topic,
        "$iothub/twin/res/204/?$rid=1&$version=2"
    );
    let path = "/twins/gate-1/modules/camera";
    let patch = json!({"properties": {"desired": {"rate": 5}}}).to_string();
    let twin = as_service(&yard, &line("PATCH", path), &[], &patch).json();
    assert_eq!(twin["properties"]["reported"]["level"], 3);
    assert_eq!(twin["connectionState"], "Connected");
    assert!(camera.hear().body.contains("\"rate\":5"));
    let device = as_service(&yard, &line("GET", "/twins/gate-1"), &[], "").json();
    assert_eq!(device["connectionState"], "Disconnected");
    assert!(device["properties"]["desired"].get("rate").is_none());
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let body = r#"{"methodName":"ping","payload":1}"#;
            as_service(&yard, &line("POST", &format!("{path}/methods")), &[], body)
        });
        let called = camera.hear();
        let rid = called
            .topic
            .strip_prefix("$iothub/methods/POST/ping/?$rid=");
        let topic = format!(
            "$iothub/methods/res/200/?$rid={}",
            rid.expect(&called.topic)
        );
        camera.publish(&topic, "2");
        let answer = call.join().expect("an answer").json();
        assert_eq!(answer, json!({"status": 200, "payload": 2}));
    });

    // It is let in as its device is.
    let put = line("PUT", "/devices/gate-1");
    let disabled = json!({"status": "disabled", "authentication": keys(3)}).to_string();
    assert_eq!(
        as_service(&yard, &put, &[("If-Match", "*")], &disabled).status,
        200
    );
    camera.ends();
    let mut refused = AmqpDevice::connect(&yard, &stranger("x"));
    refused.attach("cbs-out", false, "$cbs");
    refused.attach("cbs-in", true, "$cbs");
    refused.send(
        "cbs-out",
        &put_token(string("1"), caller.sas.as_deref().expect("one")),
    );
    assert!(
        refused
            .hear()
            .has(b"\xa1\x0bstatus-code\x71\x00\x00\x01\x91")
    );
}

#[test]
fn a_modules_telemetry_is_its_own() {
    let yard = yard();
    enter(&yard, "gate-1", false);
    enter_module(&yard, "camera");
    enter_module(&yard, "door");
    let caller = Caller {
        sas: Some(token("devices/gate-1/modules/camera", 5)),
        ..stranger("gate-1/camera")
    };
    let user = format!("{HUB}/gate-1/camera/?api-version=2021-04-12");
    let log_in = connect_as("gate-1/camera", &user, caller.sas.as_deref());
    for topic in [
        "devices/gate-1/messages/events/",
        "devices/gate-1/modules/door/messages/events/",
    ] {
        let (mut camera, _) = Device::log_in(&yard, &caller, &log_in);
        camera.publish_unacknowledged(topic, "x");
        camera.ends();
    }
    assert_eq!(yard.server.counters().device_to_cloud_messages[HUB], 0);
}

#[test]
fn modules_speak_amqp_beside_their_device() {
    let yard = yard();
    enter(&yard, "gate-1", false);
    enter_module(&yard, "camera");
    let mut gate = AmqpDevice::connect(&yard, &stranger("x"));
    gate.attach("cbs-out", false, "$cbs");
    gate.attach("cbs-in", true, "$cbs");
    let put = |device: &mut AmqpDevice, token: &str, status: &[u8]| {
        device.send("cbs-out", &put_token(string("1"), token));
        assert!(
            device
                .hear()
                .has(&[b"\xa1\x0bstatus-code", status].concat()),
            "{token}"
        );
    };
    put(
        &mut gate,
        &token("devices/gate-1", 3),
        b"\x71\x00\x00\x00\xc8",
    );
    let refusal = gate.refused(false, "/devices/gate-1/modules/camera/messages/events");
    assert!(
        find(&refusal, b"amqp:unauthorized-access").is_some(),
        "its device is not it"
    );
    put(
        &mut gate,
        &token("devices/gate-1/modules/camera", 3),
        b"\x71\x00\x00\x01\x91",
    );
    put(
        &mut gate,
        &token("devices/gate-1/modules/nobody", 5),
        b"\x71\x00\x00\x01\x94",
    );
    put(
        &mut gate,
        &token("devices/gate-1/modules/camera", 5),
        b"\x71\x00\x00\x00\xc8",
    );
    for (name, address) in [
        ("device", "/devices/gate-1/messages/events".to_owned()),
        (
            "node",
            "/devices/gate-1/modules/camera/messages/events".to_owned(),
        ),
        (
            "c#",
            format!("amqps://{HUB}:5671/devices/gate-1/modules/camera/messages/events"),
        ),
    ] {
        gate.attach(name, false, &address);
        assert!(is_accepted(&gate.send(name, &data("{}"))), "{address}");
    }
    // What other modules send comes by IoT Edge only.
    gate.attach(
        "inputs",
        true,
        "/devices/gate-1/modules/camera/messages/events",
    );
    gate.attach("twin-in", true, "/devices/gate-1/modules/camera/twin");
    gate.attach("twin-out", false, "/devices/gate-1/modules/camera/twin");
    let get = [("operation", string("GET")), ("resource", vec![0x40])];
    assert!(is_accepted(&gate.send(
        "twin-out",
        &message(&get, Some(string("q")), &[], data(""))
    )));
    assert_eq!(gate.hear().json()["reported"], json!({"$version": 1}));
    let refusal = gate.refused(true, "/devices/gate-1/modules/camera/messages/devicebound");
    assert!(find(&refusal, b"amqp:not-allowed").is_some());
    let kept = to_control(&yard, &format!("GET /hubs/{HUB}/messages/events"), &[], "").json();
    let senders: Vec<_> = (0..3).map(|at| kept[at]["moduleId"].clone()).collect();
    assert_eq!(senders, [Value::Null, json!("camera"), json!("camera")]);
}
