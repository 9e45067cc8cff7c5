//! Device and hub over AMQP, link by link.

use std::thread;
use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::tpm::IdentityKey;
use serde_json::json;

use super::amqp_device::{AmqpDevice, message};
use super::device::Device;
use super::http::{as_service, to_control};
use super::{HUB, provisioned, yard};
use crate::dialect::amqp::{binary, find, section, string};
use crate::dialect::mqtt::connect_as;
use crate::instance::{Instance, stranger};

const V: &str = "api-version=2021-04-12";
const ACCEPTED: u8 = 0x24;
const REJECTED: u8 = 0x25;
const RELEASED: u8 = 0x26;

/// A body of bytes.
pub fn data(text: &str) -> Vec<u8> {
    section(0x75, &binary(text.as_bytes()))
}

/// A question about the twin with correlation id `q`.
fn about_twin(operation: &str, resource: Option<&str>, body: &str) -> Vec<u8> {
    let resource = resource.map_or(vec![0x40], string);
    let annotations = [
        ("operation", string(operation)),
        ("resource", resource),
        ("version", vec![0x40]),
    ];
    message(&annotations, Some(string("q")), &[], data(body))
}

fn attach_twin(device: &mut AmqpDevice) {
    device.attach("twin-in", true, "/devices/pump-1/twin");
    device.attach("twin-out", false, "/devices/pump-1/twin");
}

/// Whether a disposition is a good one.
pub fn is_accepted(disposition: &[u8]) -> bool {
    find(disposition, b"\x00\x53\x24").is_some()
}

#[test]
fn a_device_reads_its_twin_reports_and_hears_of_changes() {
    let yard = yard();
    let mut pump = AmqpDevice::connect(&yard, &provisioned(&yard, "pump-1"));
    attach_twin(&mut pump);
    assert!(is_accepted(
        &pump.send("twin-out", &about_twin("GET", None, ""))
    ));
    let twin = pump.hear();
    assert!(twin.settled && twin.has(b"\xa1\x01q"), "the correlation id");
    assert!(
        twin.has(b"status\x71\x00\x00\x00\xc8"),
        "status 200, an int"
    );
    assert_eq!(
        twin.json(),
        json!({"desired": {"$version": 1}, "reported": {"$version": 1}})
    );

    let patch = about_twin("PATCH", Some("/properties/reported"), "{\"a\":1}");
    assert!(is_accepted(&pump.send("twin-out", &patch)));
    let patched = pump.hear();
    assert!(patched.has(b"status\x71\x00\x00\x00\xcc"), "status 204");
    assert!(patched.has(b"\xa3\x07version\x55\x02"), "version 2, a long");
    let broken = about_twin("PATCH", Some("/properties/reported"), "nonsense");
    assert!(is_accepted(&pump.send("twin-out", &broken)));
    assert_eq!(pump.hear().json()["errorCode"], 400_004);

    let change = |value: u8| {
        let body = json!({"properties": {"desired": {"interval": value}}});
        let line = format!("PATCH /twins/pump-1?{V}");
        assert_eq!(as_service(&yard, &line, &[], &body.to_string()).status, 200);
    };
    change(4);
    pump.hears_nothing();
    let desired = Some("/notifications/twin/properties/desired");
    pump.send("twin-out", &about_twin("PUT", desired, ""));
    assert!(pump.hear().has(b"status\x71\x00\x00\x00\xc8"));
    change(5);
    let told = pump.hear();
    assert!(told.has(b"resource\xa1\x13/properties/desired") && !told.has(b"\xa1\x01q"));
    assert_eq!(told.json(), json!({"interval": 5, "$version": 3}));
    pump.send("twin-out", &about_twin("DELETE", desired, ""));
    pump.hear();
    change(6);
    pump.hears_nothing();

    let unknown = pump.send("twin-out", &about_twin("GIVE", None, ""));
    assert!(find(&unknown, b"com.microsoft:argument-error").is_some());
    let counted = yard.server.counters();
    assert_eq!(
        (counted.twins_read[HUB], counted.reported_patches[HUB]),
        (1, 1)
    );
}

#[test]
fn nodes_are_found_in_the_spelling_of_each_sdk() {
    let yard = yard();
    let mut pump = AmqpDevice::connect(&yard, &provisioned(&yard, "pump-1"));
    for (name, address) in [
        ("node", "/devices/pump-1/messages/events".to_owned()),
        ("c", format!("amqps://{HUB}/devices/pump-1/messages/events")),
        (
            "c#",
            format!("amqps://{HUB}:5671/devices/pump%2D1/messages/events"),
        ),
    ] {
        pump.attach(name, false, &address);
        assert!(is_accepted(&pump.send(name, &data("{}"))), "{address}");
    }
    pump.attach(
        "bound",
        true,
        &format!("amqps://{HUB}:5671/devices/pump-1/messages/deviceBound"),
    );
    assert_eq!(yard.server.counters().device_to_cloud_messages[HUB], 3);
    for (receives, address, condition) in [
        (true, "/devices/pump-1/nothing", "amqp:not-found"),
        (true, "/devices/pump-1/messages/events", "amqp:not-allowed"),
        (
            false,
            "/devices/pump-1/messages/devicebound",
            "amqp:not-allowed",
        ),
        (true, "/devices/pump-9/twin", "amqp:not-found"),
        (true, "/devices/pump-1/modules/m/twin", "amqp:not-found"),
        (true, "/devices/pump-1/modules/m", "amqp:not-found"),
    ] {
        let refusal = pump.refused(receives, address);
        assert!(find(&refusal, condition.as_bytes()).is_some(), "{address}");
    }
}

#[test]
fn messages_are_completed_rejected_or_given_back() {
    let yard = yard();
    let caller = provisioned(&yard, "pump-1");
    let post = |body: &str| {
        let line = format!("POST /hubs/{HUB}/devices/pump-1/messages/devicebound");
        let properties = [("iothub-app-level", "high"), ("iothub-messageid", "7")];
        assert_eq!(to_control(&yard, &line, &properties, body).status, 200);
    };
    post("one");
    let mut pump = AmqpDevice::connect(&yard, &caller);
    pump.attach("bound", true, "/devices/pump-1/messages/devicebound");
    let one = pump.hear();
    assert_eq!((one.data(), one.settled), (&b"one"[..], false));
    assert!(one.has(b"\xa1\x05level\xa1\x04high") && one.has(b"\xa1\x017"));
    pump.settle(&one, RELEASED);
    let again = pump.hear();
    assert_eq!(again.data(), b"one", "given back, it comes again");
    pump.settle(&again, ACCEPTED);
    post("two");
    let two = pump.hear();
    pump.settle(&two, REJECTED);
    pump.hears_nothing();
    post("three");
    assert_eq!(pump.hear().data(), b"three");
    pump.detach("bound");
    pump.attach("bound again", true, "/devices/pump-1/messages/devicebound");
    let three = pump.hear();
    assert_eq!(three.data(), b"three", "it was in nobody's hands");
    pump.settle(&three, ACCEPTED);
    pump.hears_nothing();
    assert_eq!(yard.server.counters().cloud_to_device_completed[HUB], 2);
}

#[test]
fn a_method_is_called_and_answered() {
    let yard = yard();
    let mut pump = AmqpDevice::connect(&yard, &provisioned(&yard, "pump-1"));
    let address = "/devices/pump-1/methods/devicebound";
    pump.attach("methods-in", true, address);
    pump.attach("methods-out", false, address);
    thread::scope(|scope| {
        let caller = scope.spawn(|| {
            let body = json!({"methodName": "reboot", "payload": {"in": 5}}).to_string();
            let line = format!("POST /twins/pump-1/methods?{V}");
            as_service(&yard, &line, &[], &body)
        });
        let called = pump.hear();
        assert!(called.has(b"\xa1\x11IoThub-methodname\xa1\x06reboot"));
        assert_eq!(called.json(), json!({"in": 5}));
        // Of an unknown call, or of none, first.
        let status = [("IoThub-status", vec![0x54, 200])];
        for id in [None, Some(string("nonsense"))] {
            let refused = pump.send("methods-out", &message(&[], id, &status, data("{}")));
            assert!(find(&refused, b"com.microsoft:argument-error").is_some());
        }
        let id = called.uuid();
        let status = [("IoThub-status", vec![0x71, 0, 0, 1, 0xa2])];
        let result = message(&[], Some(id), &status, data("{\"tea\":true}"));
        assert!(is_accepted(&pump.send("methods-out", &result)));
        let answer = caller.join().expect("an answer");
        assert_eq!(
            answer.json(),
            json!({"status": 418, "payload": {"tea": true}})
        );
    });
}

#[test]
fn a_methods_status_is_its_devices_and_may_be_negative() {
    let yard = yard();
    let mut pump = AmqpDevice::connect(&yard, &provisioned(&yard, "pump-1"));
    let address = "/devices/pump-1/methods/devicebound";
    pump.attach("methods-in", true, address);
    pump.attach("methods-out", false, address);
    for (written, status) in [
        (vec![0x54, 0xff], -1),
        (vec![0x71, 0xff, 0xff, 0xfe, 0x6c], -404),
        (vec![0x55, 0x07], 7),
        (vec![0x80, 0, 0, 0, 0, 0, 0, 0, 200], 200),
    ] {
        let answer = thread::scope(|scope| {
            let caller = scope.spawn(|| {
                let line = format!("POST /twins/pump-1/methods?{V}");
                as_service(&yard, &line, &[], r#"{"methodName":"reboot"}"#)
            });
            let id = pump.hear().uuid();
            let result = message(&[], Some(id), &[("IoThub-status", written)], data("1"));
            assert!(is_accepted(&pump.send("methods-out", &result)));
            caller.join().expect("an answer")
        });
        assert_eq!(answer.json(), json!({"status": status, "payload": 1}));
    }
}

#[test]
fn what_model_a_device_is_of_stands_in_its_twin() {
    let yard = yard();
    let caller = provisioned(&yard, "pump-1");
    let model = || {
        let twin = as_service(&yard, &format!("GET /twins/pump-1?{V}"), &[], "");
        twin.json()["modelId"].as_str().expect("text").to_owned()
    };
    assert_eq!(model(), "");
    let mut pump = AmqpDevice::connect(&yard, &caller);
    pump.model = Some("dtmi:test:Pump;1");
    pump.attach("events", false, "/devices/pump-1/messages/events");
    assert_eq!(model(), "dtmi:test:Pump;1");
    let user = format!("{HUB}/pump-1/?api-version=2020-09-30&model-id=dtmi%3Atest%3APump%3B2");
    let connect = connect_as("pump-1", &user, None);
    let (mut pump, _) = Device::log_in(&yard, &caller, &connect);
    pump.hears_nothing();
    assert_eq!(model(), "dtmi:test:Pump;2");
    // It does not have to say so again.
    Device::connect(&yard, &caller).hears_nothing();
    assert_eq!(model(), "dtmi:test:Pump;2");
    let query = r#"{"query":"SELECT * FROM devices WHERE modelId = 'dtmi:test:Pump;2'"}"#;
    let found = as_service(&yard, &format!("POST /devices/query?{V}"), &[], query);
    assert_eq!(found.json().as_array().map(Vec::len), Some(1));
}

/// What a device has proven dies with the identity that it was proven to.
#[test]
fn a_token_that_was_put_opens_nothing_of_another_identity() {
    let yard = yard();
    let identity = |key: u8| {
        let keys = json!({"primaryKey": STANDARD.encode([key; 32]), "secondaryKey": STANDARD.encode([9; 32])});
        json!({"authentication": {"symmetricKey": keys}}).to_string()
    };
    let line = |method: &str| format!("{method} /devices/meter-1?{V}");
    let any = [("If-Match", "*")];
    meter(&yard, "meter-1");
    let put = || {
        let mut device = AmqpDevice::connect(&yard, &stranger("meter-1"));
        device.attach("cbs-out", false, "$cbs");
        device.attach("cbs-in", true, "$cbs");
        let token = put_token(string("1"), &hub_token("meter-1", 3, 60));
        device.send("cbs-out", &token);
        assert!(
            device
                .hear()
                .has(b"\xa1\x0bstatus-code\x71\x00\x00\x00\xc8")
        );
        device
    };
    let nodes = [
        (true, "/devices/meter-1/messages/devicebound"),
        (true, "/devices/meter-1/twin"),
        (false, "/devices/meter-1/messages/events"),
    ];
    let is_refused = |device: &mut AmqpDevice| {
        for (receives, node) in nodes {
            let refusal = device.refused(receives, node);
            assert!(
                find(&refusal, b"amqp:unauthorized-access").is_some(),
                "{node}"
            );
        }
    };
    // Made anew, with another key.
    let mut older = put();
    assert_eq!(as_service(&yard, &line("DELETE"), &any, "").status, 204);
    assert_eq!(
        as_service(&yard, &line("PUT"), &[], &identity(4)).status,
        200
    );
    let post = format!("POST /hubs/{HUB}/devices/meter-1/messages/devicebound");
    assert_eq!(to_control(&yard, &post, &[], "not for you").status, 200);
    is_refused(&mut older);

    // With another key, and disabled.
    for wanted in [identity(5), json!({"status": "disabled"}).to_string()] {
        assert_eq!(
            as_service(&yard, &line("PUT"), &any, &identity(3)).status,
            200
        );
        let mut unattached = put();
        let mut attached = put();
        attached.attach("events", false, "/devices/meter-1/messages/events");
        assert_eq!(as_service(&yard, &line("PUT"), &any, &wanted).status, 200);
        is_refused(&mut unattached);
        let (code, detach) = attached.frame();
        assert_eq!(code, 0x16, "detach");
        assert!(find(&detach, b"amqp:unauthorized-access").is_some());
    }

    // Rolling the other key ends nothing.
    assert_eq!(
        as_service(&yard, &line("PUT"), &any, &identity(3)).status,
        200
    );
    let mut attached = put();
    attached.attach("events", false, "/devices/meter-1/messages/events");
    let keys =
        json!({"primaryKey": STANDARD.encode([8; 32]), "secondaryKey": STANDARD.encode([3; 32])});
    let rolled = json!({"authentication": {"symmetricKey": keys}}).to_string();
    assert_eq!(as_service(&yard, &line("PUT"), &any, &rolled).status, 200);
    assert!(is_accepted(&attached.send("events", &data("{}"))));
}

/// Enters a device with a key at the hub.
pub fn meter(yard: &Instance, name: &str) {
    let key = STANDARD.encode([3; 32]);
    let identity = json!({"authentication": {"symmetricKey": {"primaryKey": key}}}).to_string();
    let created = as_service(yard, &format!("PUT /devices/{name}?{V}"), &[], &identity);
    assert_eq!(created.status, 200);
}

/// A device's token, signed with a key of one repeated byte.
pub fn hub_token(name: &str, key: u8, seconds: i64) -> String {
    let now = UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let expiry = i64::try_from(now).expect("not yet") + seconds;
    let resource = format!("{HUB}/devices/{name}");
    SasToken::format(&resource, expiry, None, |text| {
        IdentityKey::from_bytes([key; 32]).sign(text)
    })
}

/// A token put to `$cbs`.
pub fn put_token(id: Vec<u8>, token: &str) -> Vec<u8> {
    let application = [
        ("operation", string("put-token")),
        ("type", string("servicebus.windows.net:sastoken")),
        ("name", string("whatever")),
    ];
    let properties = section(0x73, &crate::dialect::amqp::compound(0xd0, &[id]));
    let token = [
        &[0xb1],
        &(token.len() as u32).to_be_bytes()[..],
        token.as_bytes(),
    ]
    .concat();
    [
        properties,
        message(&[], None, &application, section(0x77, &token)),
    ]
    .concat()
}

#[test]
fn tokens_are_put_to_cbs_and_let_devices_in() {
    let yard = yard();
    meter(&yard, "meter-1");
    meter(&yard, "meter-2");
    let mut device = AmqpDevice::connect(&yard, &stranger("meter-1"));
    let refusal = device.refused(true, "/devices/meter-1/twin");
    assert!(find(&refusal, b"amqp:unauthorized-access").is_some());
    device.attach("cbs-out", false, "$cbs");
    device.attach("cbs-in", true, "$cbs");
    let ulong = |number: u8| vec![0x53, number];
    for (id, token, status) in [
        (
            ulong(1),
            hub_token("meter-1", 9, 60),
            b"\x71\x00\x00\x01\x91",
        ),
        (
            ulong(2),
            hub_token("nobody", 3, 60),
            b"\x71\x00\x00\x01\x94",
        ),
        (ulong(3), "nonsense".into(), b"\x71\x00\x00\x01\x91"),
        (
            string("four"),
            hub_token("meter-1", 3, 60),
            b"\x71\x00\x00\x00\xc8",
        ),
        (
            ulong(5),
            hub_token("meter-2", 3, 60),
            b"\x71\x00\x00\x00\xc8",
        ),
        (
            ulong(6),
            hub_token("meter-1", 3, 60),
            b"\x71\x00\x00\x00\xc8",
        ),
    ] {
        assert!(is_accepted(
            &device.send("cbs-out", &put_token(id.clone(), &token))
        ));
        let answer = device.hear();
        assert!(answer.has(&id), "{id:02x?} comes back with its type");
        assert!(
            answer.has(&[b"\xa1\x0bstatus-code", &status[..]].concat()),
            "{id:02x?}"
        );
    }
    // Two devices on one connection.
    for name in ["meter-1", "meter-2"] {
        device.attach(name, false, &format!("/devices/{name}/messages/events"));
        assert!(is_accepted(&device.send(name, &data("{}"))));
    }
    let refusal = device.refused(true, "/devices/meter-3/twin");
    assert!(find(&refusal, b"amqp:not-found").is_some());
    assert_eq!(yard.server.counters().device_to_cloud_messages[HUB], 2);
}

#[test]
fn a_devices_links_end_with_its_token_its_identity_or_a_newer_session() {
    let yard = yard();
    meter(&yard, "meter-1");
    meter(&yard, "meter-2");
    let connect = |seconds: i64| {
        let mut device = AmqpDevice::connect(&yard, &stranger("meter-1"));
        device.attach("cbs-out", false, "$cbs");
        device.attach("cbs-in", true, "$cbs");
        device.send(
            "cbs-out",
            &put_token(string("1"), &hub_token("meter-1", 3, seconds)),
        );
        device.hear();
        device.attach("events", false, "/devices/meter-1/messages/events");
        device
    };
    let ends_with = |device: &mut AmqpDevice, condition: &[u8]| {
        let (code, detach) = device.frame();
        assert_eq!(code, 0x16, "detach");
        assert!(find(&detach, condition).is_some(), "{detach:02x?}");
    };
    let mut short = connect(2);
    ends_with(&mut short, b"amqp:unauthorized-access");
    // It ran out, and five minutes are forgiven.
    let mut late = connect(-298);
    assert!(is_accepted(&late.send("events", &data("{}"))));
    ends_with(&mut late, b"amqp:unauthorized-access");
    let mut older = connect(60);
    let mut newer = connect(60);
    ends_with(&mut older, b"amqp:link:stolen");
    let line = format!("DELETE /devices/meter-1?{V}");
    assert_eq!(
        as_service(&yard, &line, &[("If-Match", "*")], "").status,
        204
    );
    ends_with(&mut newer, b"amqp:unauthorized-access");
    // The connection goes on, for another device.
    newer.send(
        "cbs-out",
        &put_token(string("2"), &hub_token("meter-2", 3, 60)),
    );
    newer.hear();
    newer.attach("others", false, "/devices/meter-2/messages/events");
}
