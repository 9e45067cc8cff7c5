//! What the service asks of a connected device, and what the device hears.

use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::tpm::IdentityKey;
use fleetstorm_reference_server::{Config, Limits};
use rustls::ALL_VERSIONS;
use serde_json::{Value, json};

use super::amqp_device::AmqpDevice;
use super::device::Device;
use super::http::{as_service, to_control};
use super::{HUB, one_hub, provisioned, yard};
use crate::dialect::{Caller, mqtt};
use crate::instance::{Instance, stranger};
use crate::tls::dial;

const V: &str = "api-version=2021-04-12";
const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";
const METHODS: &str = "$iothub/methods/POST/#";

#[test]
fn a_change_of_desired_properties_reaches_the_device() {
    let yard = yard();
    let mut pump = Device::connect(&yard, &provisioned(&yard, "pump-1"));
    assert_eq!(pump.subscribe(DESIRED, 0), 0);
    let ask = |method: &str, condition: &[(&str, &str)], body: Value| {
        let line = format!("{method} /twins/pump-1?{V}");
        as_service(&yard, &line, condition, &body.to_string())
    };
    let patched = ask(
        "PATCH",
        &[],
        json!({"tags": {"site": "north"}, "properties": {"desired": {"interval": 5}}}),
    );
    assert_eq!(
        (patched.status, patched.header("etag")),
        (200, "\"AAAAAAAAAAI=\"")
    );
    let told = pump.hear();
    assert_eq!(
        told.topic,
        "$iothub/twin/PATCH/properties/desired/?$version=2"
    );
    let told: Value = serde_json::from_str(&told.body).expect("JSON");
    assert_eq!(told, json!({"interval": 5, "$version": 2}));

    let twin = ask("GET", &[], Value::Null).json();
    assert_eq!(twin, patched.json());
    assert_eq!(
        (
            &twin["deviceId"],
            &twin["connectionState"],
            &twin["authenticationType"]
        ),
        (&json!("pump-1"), &json!("Connected"), &json!("selfSigned"))
    );
    assert_eq!(twin["tags"], json!({"site": "north"}));
    let desired = &twin["properties"]["desired"];
    assert_eq!(
        (&desired["interval"], &desired["$version"]),
        (&json!(5), &json!(2))
    );
    assert_eq!(desired["$metadata"]["interval"]["$lastUpdatedVersion"], 2);

    let stale = ask("PUT", &[("If-Match", "\"AAAAAAAAAAE=\"")], json!({}));
    assert_eq!(stale.status, 412);
    let wrong = ask("PATCH", &[], json!({"properties": {"desired": {"a.b": 1}}}));
    assert_eq!(
        (wrong.status, wrong.header("iothub-errorcode")),
        (400, "ArgumentInvalid")
    );
    let replaced = ask(
        "PUT",
        &[("If-Match", "\"AAAAAAAAAAI=\"")],
        json!({"properties": {"desired": {"mode": "eco"}}}),
    );
    assert_eq!(replaced.status, 200);
    assert_eq!(replaced.json()["tags"], json!({}));
    let told: Value = serde_json::from_str(&pump.hear().body).expect("JSON");
    assert_eq!(
        told,
        json!({"interval": null, "mode": "eco", "$version": 3})
    );
    assert_eq!(yard.server.counters().desired_changes_sent[HUB], 2);
}

#[test]
fn a_method_is_called_and_its_answer_comes_back() {
    let yard = yard();
    let caller = provisioned(&yard, "pump-1");
    let call = |body: Value| {
        let line = format!("POST /twins/pump-1/methods?{V}");
        as_service(&yard, &line, &[], &body.to_string())
    };
    let reboot = json!({"methodName": "thermostat1*re boot", "payload": {"in": 5}, "responseTimeoutInSeconds": 20});
    let absent = call(reboot.clone());
    assert_eq!(
        (absent.status, absent.header("iothub-errorcode")),
        (404, "DeviceNotOnline")
    );
    let message = absent.json()["Message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let inner: Value = serde_json::from_str(&message).expect("JSON in JSON");
    assert_eq!(inner["errorCode"], 404_103);

    let mut pump = Device::connect(&yard, &caller);
    assert_eq!(call(reboot.clone()).status, 404, "it does not listen");
    assert_eq!(pump.subscribe(METHODS, 0), 0);
    thread::scope(|scope| {
        let caller = scope.spawn(|| call(reboot.clone()));
        let called = pump.hear();
        assert_eq!(called.body, r#"{"in":5}"#);
        // As it is: the C SDKs look for the star.
        let rid = called
            .topic
            .strip_prefix("$iothub/methods/POST/thermostat1*re boot/?$rid=");
        let rid = rid.expect(&called.topic);
        pump.publish(
            &format!("$iothub/methods/res/418/?$rid={rid}"),
            "{\"tea\":true}",
        );
        let answer = caller.join().expect("an answer");
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json(),
            json!({"status": 418, "payload": {"tea": true}})
        );
        // Too late, or never asked: nobody minds.
        pump.publish(&format!("$iothub/methods/res/200/?$rid={rid}"), "");
        pump.hears_nothing();
    });
    let silent = call(json!({"methodName": "x", "responseTimeoutInSeconds": 0}));
    assert_eq!(
        (silent.status, silent.header("iothub-errorcode")),
        (504, "GatewayTimeout")
    );
    assert_eq!(pump.hear().body, "null");
    for bad in [
        json!({}),
        json!({"methodName": ""}),
        json!({"methodName": "no/topic"}),
        json!({"methodName": "x".repeat(70_000)}),
        json!({"methodName": "x", "connectTimeoutInSeconds": 301}),
    ] {
        assert_eq!(call(bad.clone()).status, 400, "{bad}");
    }
    assert_eq!(yard.server.counters().methods_called[HUB], 2);
}

#[test]
fn a_caller_may_wait_for_the_device_to_connect() {
    let yard = yard();
    let caller = provisioned(&yard, "pump-1");
    thread::scope(|scope| {
        let call = scope.spawn(|| {
            let body = json!({"methodName": "x", "connectTimeoutInSeconds": 20}).to_string();
            as_service(
                &yard,
                &format!("POST /twins/pump-1/methods?{V}"),
                &[],
                &body,
            )
        });
        let mut pump = Device::connect(&yard, &caller);
        assert_eq!(pump.subscribe(METHODS, 0), 0);
        let called = pump.hear();
        let (_, rid) = called.topic.split_once("$rid=").expect("a call");
        pump.publish(&format!("$iothub/methods/res/200/?$rid={rid}"), "");
        let answer = call.join().expect("an answer");
        assert_eq!(answer.json(), json!({"status": 200, "payload": null}));
    });
}

#[test]
fn messages_reach_the_device_and_stay_until_it_acknowledges_them() {
    let yard = yard();
    let caller = provisioned(&yard, "pump-1");
    let send = |body: &str| {
        let line = format!("POST /hubs/{HUB}/devices/pump-1/messages/devicebound");
        let properties = [("iothub-app-a-b", "c d"), ("iothub-messageid", "7")];
        assert_eq!(to_control(&yard, &line, &properties, body).status, 200);
    };
    let filter = "devices/pump-1/messages/devicebound/#";
    send("one");
    let mut pump = Device::connect(&yard, &caller);
    assert_eq!(pump.subscribe(filter, 1), 1);
    let one = pump.hear();
    assert_eq!(
        (one.topic.as_str(), one.body.as_str(), one.qos),
        (
            "devices/pump-1/messages/devicebound/%24.mid=7&%24.to=%2Fdevices%2Fpump-1%2Fmessages%2Fdevicebound&a-b=c%20d",
            "one",
            1
        )
    );
    send("two");
    let two = pump.hear();
    pump.acknowledge(two.packet_id);
    pump.hears_nothing();
    drop(pump);

    // The first was not acknowledged: the next connection hears it again.
    let mut pump = Device::connect(&yard, &caller);
    assert_eq!(pump.subscribe(filter, 1), 1);
    let again = pump.hear();
    assert_eq!(again.body, "one");
    pump.acknowledge(again.packet_id);
    pump.hears_nothing();
    pump.unsubscribe(filter);
    assert_eq!(pump.subscribe(filter, 0), 0);
    send("three");
    assert_eq!(
        (
            pump.hear().qos,
            yard.server.counters().cloud_to_device_messages[HUB]
        ),
        (0, 3)
    );
    pump.hears_nothing();
    assert_eq!(yard.server.counters().cloud_to_device_completed[HUB], 3);
}

#[test]
fn a_device_that_is_removed_or_disabled_is_thrown_out() {
    let yard = yard();
    let caller = provisioned(&yard, "pump-1");
    let mut pump = Device::connect(&yard, &caller);
    pump.hears_nothing();
    let line = format!("DELETE /devices/pump-1?{V}");
    assert_eq!(
        as_service(&yard, &line, &[("If-Match", "*")], "").status,
        204
    );
    pump.ends();
}

#[test]
fn a_connection_ends_with_its_token() {
    let yard = yard();
    let key = STANDARD.encode([3; 32]);
    let identity = json!({"authentication": {"symmetricKey": {"primaryKey": key}}}).to_string();
    let created = as_service(&yard, &format!("PUT /devices/meter-1?{V}"), &[], &identity);
    assert_eq!(created.status, 200);
    let connect = |seconds: i64| {
        let now = UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
        let expiry = i64::try_from(now).expect("not yet") + seconds;
        let sign = |text: &[u8]| IdentityKey::from_bytes([3; 32]).sign(text);
        let caller = Caller {
            sas: Some(SasToken::format(
                &format!("{HUB}/devices/meter-1"),
                expiry,
                None,
                sign,
            )),
            ..stranger("meter-1")
        };
        Device::connect(&yard, &caller)
    };
    let mut meter = connect(2);
    meter.hears_nothing();
    meter.ends();
    connect(600).hears_nothing();
    // It ran out, and five minutes are forgiven.
    connect(-60).hears_nothing();
    let mut late = connect(-298);
    late.hears_nothing();
    late.ends();
}

#[test]
fn a_device_that_does_not_read_what_it_asked_for_is_given_up() {
    let yard = Instance::start(Config {
        limits: Limits {
            stalled_write: Duration::from_secs(1),
            ..Limits::default()
        },
        ..one_hub()
    });
    let caller = provisioned(&yard, "pump-1");
    let mut deaf = Device::connect(&yard, &caller);
    assert_eq!(deaf.subscribe(DESIRED, 0), 0);
    let line = format!("PATCH /twins/pump-1?{V}");
    // 28 KB each, until the buffers between the two are full and the device has had its time.
    let started = Instant::now();
    let rounds = (0..).take_while(|_| started.elapsed() < Duration::from_secs(60));
    let given_up = rounds.into_iter().any(|round: u32| {
        let large = format!("{round}{}", "x".repeat(4000));
        let desired: serde_json::Map<_, _> = ["a", "b", "c", "d", "e", "f", "g"]
            .map(|name| (name.to_owned(), large.clone().into()))
            .into_iter()
            .collect();
        let patch = json!({"properties": {"desired": desired}}).to_string();
        let patched = as_service(&yard, &line, &[], &patch);
        assert_eq!(patched.status, 200);
        patched.json()["connectionState"] == "Disconnected"
    });
    assert!(given_up);
    let mut pump = Device::connect(&yard, &caller);
    assert_eq!(pump.subscribe(DESIRED, 0), 0);
    pump.hears_nothing();
    drop(deaf);
}

#[test]
fn a_hub_speaks_the_versions_that_are_known_over_every_transport() {
    let yard = yard();
    let pump = provisioned(&yard, "pump-1");
    let server = yard.server.announcement();
    for (version, code) in [
        ("2021-04-12", 0),
        ("2019-10-01", 0),
        ("2016-11-14", 0),
        ("2099-01-01", 4),
        ("garbage", 4),
    ] {
        let user = format!("{HUB}/pump-1/?api-version={version}");
        let certificate = pump.certificate.as_ref();
        let mut wire = dial(server, server.mqtt, HUB, certificate, ALL_VERSIONS);
        mqtt::send(&mut wire, &mqtt::connect_with("pump-1", &user, None, None));
        let (head, answer) = mqtt::receive(&mut wire);
        assert_eq!((head, answer[1]), (0x20, code), "{version} over MQTT");
        let mut device = AmqpDevice::connect(&yard, &pump);
        device.version = version;
        let events = "/devices/pump-1/messages/events";
        match code {
            0 => device.attach("events", false, events),
            _ => {
                let refusal = device.refused(false, events);
                let words = String::from_utf8_lossy(&refusal);
                assert!(words.contains("amqp:invalid-field"), "{words}");
            }
        }
    }
}
