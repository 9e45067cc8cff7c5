//! Device and hub over MQTT, topic by topic.

use serde_json::{Value, json};

use super::device::Device;
use super::http::{as_service, to_control};
use super::{HUB, provisioned, yard};
use crate::dialect::mqtt::{DISCONNECT, packet, publish_to, text};
use crate::instance::Instance;

/// Bytes that are no packet.
const NO_PACKET: [u8; 2] = [0, 0];
const TWIN: &str = "$iothub/twin/res/#";

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn a_device_reports_and_reads_what_it_reported() {
    let yard = yard();
    let mut pump = Device::connect(&yard, &provisioned(&yard, "pump-1"));
    pump.publish(
        "$iothub/twin/PATCH/properties/reported/?$rid=0",
        "{\"a\":1}",
    );
    pump.hears_nothing();
    assert_eq!(pump.subscribe(TWIN, 0), 0);
    pump.publish(
        "$iothub/twin/PATCH/properties/reported/?$rid=1",
        "{\"a\":null,\"b\":[2]}",
    );
    let patched = pump.hear();
    assert_eq!(
        (patched.qos, patched.topic.as_str(), patched.body.as_str()),
        (0, "$iothub/twin/res/204/?$rid=1&$version=3", "")
    );
    pump.publish_unacknowledged("$iothub/twin/GET/?$rid=x%2F1", " ");
    let twin = pump.hear();
    assert_eq!(twin.topic, "$iothub/twin/res/200/?$rid=x%2F1");
    assert_eq!(
        json_of(&twin.body),
        json!({"desired": {"$version": 1}, "reported": {"b": [2], "$version": 3}})
    );
    for bad in ["", "nonsense", "[1]", "{\"$x\":1}"] {
        pump.publish("$iothub/twin/PATCH/properties/reported/?$rid=2", bad);
        let refused = pump.hear();
        assert_eq!(refused.topic, "$iothub/twin/res/400/?$rid=2", "{bad}");
        assert_eq!(json_of(&refused.body)["errorCode"], 400_004, "{bad}");
    }
    let counted = yard.server.counters();
    assert_eq!(counted.reported_patches[HUB], 2);
    assert_eq!(counted.twins_read[HUB], 1);
}

#[test]
fn answers_come_with_the_quality_that_was_subscribed_to() {
    let yard = yard();
    let mut pump = Device::connect(&yard, &provisioned(&yard, "pump-1"));
    assert_eq!(pump.subscribe(TWIN, 2), 1, "QoS 2 is granted as 1");
    pump.publish("$iothub/twin/GET/?$rid=1", "");
    let twin = pump.hear();
    assert_eq!(twin.qos, 1);
    assert_ne!(twin.packet_id, 0);
    pump.acknowledge(twin.packet_id);
    pump.unsubscribe(TWIN);
    pump.publish("$iothub/twin/GET/?$rid=2", "");
    pump.hears_nothing();
    for filter in [
        "#",
        "devices/#",
        "devices/+/messages/#",
        "devices/+/messages/events/#",
        "devices/pump-2/messages/devicebound/#",
        "$iothub/credentials/res/#",
    ] {
        assert_eq!(pump.subscribe(filter, 0), 0x80, "{filter}");
    }
}

/// A message to the device.
fn post(yard: &Instance, body: &str) {
    let line = format!("POST /hubs/{HUB}/devices/pump-1/messages/devicebound");
    assert_eq!(to_control(yard, &line, &[], body).status, 200);
}

/// azure-sdk-for-c subscribes by a filter that names no device.
#[test]
fn messages_come_by_a_filter_that_names_no_device() {
    let yard = yard();
    let mut pump = Device::connect(&yard, &provisioned(&yard, "pump-1"));
    let valve = provisioned(&yard, "pump-2");
    let mut other = Device::connect(&yard, &valve);
    let filter = "devices/+/messages/devicebound/#";
    assert_eq!(
        (pump.subscribe(filter, 1), other.subscribe(filter, 1)),
        (1, 1)
    );
    post(&yard, "one");
    let heard = pump.hear();
    assert!(
        heard
            .topic
            .starts_with("devices/pump-1/messages/devicebound/")
    );
    assert_eq!((heard.qos, heard.body.as_str()), (1, "one"));
    pump.acknowledge(heard.packet_id);
    other.hears_nothing();
    pump.unsubscribe(filter);
    post(&yard, "two");
    pump.hears_nothing();
}

#[test]
fn a_session_that_is_not_clean_is_kept() {
    let yard = yard();
    let caller = provisioned(&yard, "pump-1");
    let (mut pump, present) = Device::resume(&yard, &caller);
    assert!(!present, "there was none yet");
    pump.subscribe("devices/pump-1/messages/devicebound/#", 1);
    pump.subscribe(TWIN, 0);
    pump.subscribe("$iothub/twin/PATCH/properties/desired/#", 1);
    post(&yard, "in its hands");
    let unacknowledged = pump.hear();
    pump.send(&DISCONNECT);
    pump.ends();
    post(&yard, "while it was away");

    let (mut pump, present) = Device::resume(&yard, &caller);
    assert!(present);
    for body in ["in its hands", "while it was away"] {
        let heard = pump.hear();
        assert_eq!((heard.body.as_str(), heard.qos), (body, 1));
        pump.acknowledge(heard.packet_id);
    }
    assert_eq!(unacknowledged.body, "in its hands");
    pump.publish("$iothub/twin/GET/?$rid=1", "");
    assert_eq!(pump.hear().qos, 0, "as it was subscribed to");
    let body = json!({"properties": {"desired": {"a": 1}}}).to_string();
    let line = "PATCH /twins/pump-1?api-version=2021-04-12";
    assert_eq!(as_service(&yard, line, &[], &body).status, 200);
    assert_eq!(json_of(&pump.hear().body), json!({"a": 1, "$version": 2}));
    pump.unsubscribe(TWIN);
    pump.send(&DISCONNECT);
    pump.ends();

    let (mut pump, present) = Device::resume(&yard, &caller);
    assert!(present);
    pump.publish("$iothub/twin/GET/?$rid=2", "");
    pump.hears_nothing();
    // A clean session is the end of it.
    let mut clean = Device::connect(&yard, &caller);
    post(&yard, "waits");
    clean.hears_nothing();
    clean.send(&DISCONNECT);
    clean.ends();
    let (mut pump, present) = Device::resume(&yard, &caller);
    assert!(!present);
    pump.hears_nothing();
    pump.subscribe("devices/pump-1/messages/devicebound/#", 1);
    assert_eq!(pump.hear().body, "waits");
}

#[test]
fn the_back_end_hears_what_was_to_be_retained() {
    let yard = yard();
    let caller = provisioned(&yard, "pump-1");
    let topic = text("devices/pump-1/messages/events/a=b");
    let mut pump = Device::connect(&yard, &caller);
    pump.send(&packet(0x31, &[topic.as_slice(), b"x"].concat()));
    pump.publish("devices/pump-1/messages/events/", "y");
    let kept = to_control(&yard, &format!("GET /hubs/{HUB}/messages/events"), &[], "").json();
    assert_eq!(
        kept[0]["properties"],
        json!({"a": "b", "mqtt-retain": "true"})
    );
    assert_eq!(kept[1]["properties"], json!({}));
    assert_eq!(
        pump.subscribe("devices/pump-1/messages/devicebound/#", 1),
        1
    );
    pump.hears_nothing();
}

#[test]
fn telemetry_is_taken_with_any_bag_and_counted() {
    let yard = yard();
    let mut pump = Device::connect(&yard, &provisioned(&yard, "pump-1"));
    for bag in [
        "",
        "%24.mid=1&%24.ct=application%2Fjson&level=high",
        "$.mid=2&flag",
        "a=b/",
    ] {
        pump.publish(&format!("devices/pump-1/messages/events/{bag}"), "{}");
    }
    pump.publish_unacknowledged("devices/pump-1/messages/events/", "x");
    pump.publish("devices/pump-1/messages/events/", &"x".repeat(200 * 1024));
    assert_eq!(yard.server.counters().device_to_cloud_messages[HUB], 6);
    let kept = to_control(&yard, &format!("GET /hubs/{HUB}/messages/events"), &[], "").json();
    assert_eq!(kept.as_array().map(Vec::len), Some(6));
    assert_eq!(
        (&kept[1]["deviceId"], &kept[1]["body"]),
        (&json!("pump-1"), &json!("{}"))
    );
    assert_eq!(kept[1]["properties"], json!({"level": "high"}));
    assert_eq!(
        kept[1]["systemProperties"],
        json!({"iothub-messageid": "1", "iothub-contenttype": "application/json"})
    );
    assert_eq!(kept[2]["properties"], json!({"flag": ""}));
}

#[test]
fn what_a_device_may_not_send_ends_its_connection() {
    let yard = yard();
    let caller = provisioned(&yard, "pump-1");
    let at_qos_2 = packet(
        0x34,
        &[text("devices/pump-1/messages/events/").as_slice(), &[0, 9]].concat(),
    );
    let large = vec![b'x'; 256 * 1024 + 1];
    let mut bad = Vec::new();
    for (what, topic, body) in [
        (
            "another device's telemetry",
            "devices/pump-2/messages/events/",
            &b"x"[..],
        ),
        ("an unknown topic", "devices/pump-1/other", b"x"),
        (
            "DPS's topic",
            "$dps/registrations/PUT/iotdps-register/?$rid=1",
            b"{}",
        ),
        (
            "a bag that is no text",
            "devices/pump-1/messages/events/a=%ff",
            b"x",
        ),
        (
            "more than 256 KB",
            "devices/pump-1/messages/events/",
            &large,
        ),
        ("a question without an id", "$iothub/twin/GET/", b""),
        (
            "a status that is none",
            "$iothub/methods/res/ok/?$rid=1",
            b"",
        ),
        (
            "an answer to no call",
            "$iothub/methods/res/200/?$rid=nonsense",
            b"",
        ),
    ] {
        bad.push((what, packet(0x30, &[text(topic).as_slice(), body].concat())));
        // That would be acknowledged if it were kept.
        bad.push((what, publish_to(topic, body)));
    }
    bad.extend([
        ("QoS 2", at_qos_2),
        ("an oversize packet", vec![0x30, 0xff, 0xff, 0xff, 0x7f]),
        (
            "a second CONNECT",
            packet(
                0x10,
                &[text("MQTT").as_slice(), &[4, 2, 0, 0], &text("x")].concat(),
            ),
        ),
    ]);
    for (what, bytes) in bad {
        let mut pump = Device::connect(&yard, &caller);
        pump.send(&bytes);
        println!("{what}");
        pump.ends();
    }
    assert_eq!(yard.server.counters().device_to_cloud_messages[HUB], 0);
}

#[test]
fn a_second_connection_closes_the_first() {
    let yard = yard();
    let caller = provisioned(&yard, "pump-1");
    let mut first = Device::connect(&yard, &caller);
    first.hears_nothing();
    let mut second = Device::connect(&yard, &caller);
    first.ends();
    second.hears_nothing();
}

#[test]
fn a_will_is_sent_for_who_is_gone_and_not_for_who_takes_its_leave() {
    let yard = yard();
    let caller = provisioned(&yard, "pump-1");
    let will = Some(("devices/pump-1/messages/events/gone=1", "good-bye"));
    let mut pump = Device::connect_with_will(&yard, &caller, will);
    pump.send(&DISCONNECT);
    pump.ends();
    assert_eq!(yard.server.counters().device_to_cloud_messages[HUB], 0);
    let mut pump = Device::connect_with_will(&yard, &caller, will);
    pump.send(&NO_PACKET);
    pump.ends();
    assert_eq!(yard.server.counters().device_to_cloud_messages[HUB], 1);
    let foreign = Some(("devices/pump-2/messages/events/", "not mine to send"));
    let mut pump = Device::connect_with_will(&yard, &caller, foreign);
    pump.send(&NO_PACKET);
    pump.ends();
    assert_eq!(yard.server.counters().device_to_cloud_messages[HUB], 1);
}
