//! A back end over AMQP that reads what devices send.

use std::time::UNIX_EPOCH;

use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::tpm::IdentityKey;

use super::amqp::{data, is_accepted, put_token};
use super::amqp_device::{AmqpDevice, message};
use super::device::Device;
use super::http::policy_token;
use super::{HUB, POLICY_KEY, SERVICE_KEY, provisioned, yard};
use crate::dialect::amqp::{find, string};
use crate::instance::{Instance, stranger};

const PARTITION: &str = "/messages/events/ConsumerGroups/$Default/Partitions/0";
const EVENT_HUB: &str = "hub-1/ConsumerGroups/mine/Partitions/0";
const LATEST: &str = "amqp.annotation.x-opt-offset > '@latest'";

/// A connection with the links of `$cbs`.
fn connect(yard: &Instance) -> AmqpDevice {
    let mut back_end = AmqpDevice::connect(yard, &stranger("back-end"));
    back_end.attach("cbs-out", false, "$cbs");
    back_end.attach("cbs-in", true, "$cbs");
    back_end
}

fn put(back_end: &mut AmqpDevice, token: &str) {
    back_end.send("cbs-out", &put_token(string("1"), token));
    assert!(
        back_end
            .hear()
            .has(b"\xa1\x0bstatus-code\x71\x00\x00\x00\xc8"),
        "{token}"
    );
}

fn signed(resource: &str, seconds: u64, key: u8, policy: &str) -> String {
    let now = UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let expiry = i64::try_from(now + seconds).expect("not yet");
    SasToken::format(resource, expiry, Some(policy), |text| {
        IdentityKey::from_bytes([key; 32]).sign(text)
    })
}

#[test]
fn telemetry_is_read_as_it_comes_and_from_a_place_on() {
    let yard = yard();
    let mut pump = Device::connect(&yard, &provisioned(&yard, "pump-1"));
    let topic = "devices/pump-1/messages/events/%24.mid=m-1&%24.ct=application%2Fjson&level=high";
    pump.publish(topic, "before");
    let mut back_end = connect(&yard);
    put(&mut back_end, &policy_token(POLICY_KEY, "service"));
    back_end.attach("all", true, PARTITION);
    let first = back_end.hear();
    assert_eq!(first.data(), b"before");
    for part in [
        &b"iothub-connection-device-id\xa1\x06pump-1"[..],
        b"iothub-message-source\xa1\x09Telemetry",
        b"x-opt-sequence-number\x54\x00",
        b"x-opt-offset\xa1\x010",
        b"\xa1\x05level\xa1\x04high",
        b"\xa1\x03m-1",
        b"\xa3\x10application/json",
    ] {
        let found = first.has(part) || first.has(&[&part[..part.len() - 2], b"\x55\x00"].concat());
        assert!(found, "{:?}", String::from_utf8_lossy(part));
    }
    back_end.selector = Some(LATEST);
    back_end.attach("new", true, &format!("amqps://{HUB}:5671/{EVENT_HUB}"));
    back_end.hears_nothing();
    pump.publish("devices/pump-1/messages/events/", "after");
    for _ in 0..2 {
        assert_eq!(back_end.hear().data(), b"after", "on both links");
    }
    back_end.selector = Some("amqp.annotation.x-opt-sequence-number > '0'");
    back_end.attach("from", true, EVENT_HUB);
    assert_eq!(back_end.hear().data(), b"after");
    back_end.hears_nothing();
}

#[test]
fn more_comes_with_more_credit_and_no_message_twice() {
    let yard = yard();
    let mut pump = Device::connect(&yard, &provisioned(&yard, "pump-1"));
    let mut back_end = connect(&yard);
    put(&mut back_end, &policy_token(POLICY_KEY, "service"));
    back_end.selector = Some(LATEST);
    // Fifty are taken.
    back_end.attach("in", true, PARTITION);
    back_end.hears_nothing();
    for number in 0..120 {
        pump.publish("devices/pump-1/messages/events/", &number.to_string());
    }
    for number in 0..50 {
        assert_eq!(back_end.hear().data(), number.to_string().as_bytes());
    }
    back_end.hears_nothing();
    back_end.give_credit("in", 50, 100);
    for number in 50..120 {
        assert_eq!(back_end.hear().data(), number.to_string().as_bytes());
    }
    back_end.hears_nothing();
}

#[test]
fn who_asks_where_telemetry_is_is_told() {
    let yard = yard();
    let mut back_end = connect(&yard);
    put(&mut back_end, &policy_token(POLICY_KEY, "service"));
    for node in ["/messages/events/$management", "messages/events"] {
        let told = back_end.refused(true, node);
        assert!(find(&told, b"amqp:link:redirect").is_some(), "{node}");
        let address = format!("amqps://{HUB}:5671/hub-1/$management");
        for part in ["hostname", HUB, "network-host", "address", &address] {
            assert!(find(&told, part.as_bytes()).is_some(), "{part}");
        }
    }
    back_end.attach("about-in", true, "$management");
    back_end.attach("about-out", false, "$management");
    let ask = |kind: &str, name: &str, partition: &str| {
        let properties = [
            ("operation", string("READ")),
            ("type", string(kind)),
            ("name", string(name)),
            ("partition", string(partition)),
        ];
        message(&[], None, &properties, data(""))
    };
    let mut hear = |question: Vec<u8>| {
        assert!(is_accepted(&back_end.send("about-out", &question)));
        back_end.hear()
    };
    let told = hear(ask("com.microsoft:eventhub", "hub-1", ""));
    assert!(told.has(b"status-code\x71\x00\x00\x00\xc8"));
    assert!(told.has(b"partition_ids"));
    let told = hear(ask("com.microsoft:partition", "messages/events", "0"));
    assert!(told.has(b"last_enqueued_offset\xa1\x02-1"));
    for wrong in [
        ask("com.microsoft:eventhub", "hub-2", ""),
        ask("com.microsoft:partition", "hub-1", "1"),
    ] {
        assert!(hear(wrong).has(b"status-code\x71\x00\x00\x01\x94"));
    }
    assert!(hear(ask("other", "hub-1", "")).has(b"status-code\x71\x00\x00\x01\x90"));
}

#[test]
fn telemetry_is_for_who_may_read_it() {
    let yard = yard();
    let refuses = |back_end: &mut AmqpDevice, receives: bool, node: &str, condition: &str| {
        let refusal = back_end.refused(receives, node);
        assert!(find(&refusal, condition.as_bytes()).is_some(), "{node}");
    };
    let unauthorized = "amqp:unauthorized-access";
    let mut back_end = connect(&yard);
    let nodes = [
        PARTITION,
        EVENT_HUB,
        "$management",
        "messages/events/$management",
    ];
    for node in nodes {
        refuses(&mut back_end, true, node, unauthorized);
    }
    put(&mut back_end, &policy_token(POLICY_KEY, "device"));
    for node in nodes {
        refuses(&mut back_end, true, node, unauthorized);
    }
    // As readers of event hubs sign: for the node alone.
    let mut back_end = connect(&yard);
    let narrow = signed(&format!("sb://{HUB}/hub-1"), 60, POLICY_KEY, "service");
    put(&mut back_end, &narrow);
    back_end.attach("in", true, EVENT_HUB);
    refuses(&mut back_end, true, PARTITION, unauthorized);
    refuses(&mut back_end, false, "/messages/devicebound", unauthorized);
    let mut back_end = connect(&yard);
    let narrower = format!("sb://{HUB}/{EVENT_HUB}");
    put(&mut back_end, &signed(&narrower, 60, POLICY_KEY, "service"));
    back_end.attach("in", true, EVENT_HUB);
    let other = "hub-1/ConsumerGroups/other/Partitions/0";
    refuses(&mut back_end, true, other, unauthorized);
    refuses(&mut back_end, true, "$management", unauthorized);
    put(&mut back_end, &policy_token(SERVICE_KEY, "iothubowner"));
    for node in [
        "/messages/events/ConsumerGroups/$Default/Partitions/1",
        "hub-2/ConsumerGroups/$Default/Partitions/0",
    ] {
        refuses(&mut back_end, true, node, "amqp:not-found");
    }
    refuses(&mut back_end, false, PARTITION, "amqp:not-allowed");
    back_end.selector = Some("colour > 'red'");
    refuses(&mut back_end, true, PARTITION, "amqp:not-found");
}

#[test]
fn a_readers_link_ends_with_its_token() {
    let yard = yard();
    let mut back_end = connect(&yard);
    let resource = format!("{HUB}/messages/events");
    put(&mut back_end, &signed(&resource, 2, POLICY_KEY, "service"));
    // Of another policy, and for something else.
    put(&mut back_end, &policy_token(POLICY_KEY, "device"));
    back_end.attach("in", true, PARTITION);
    let (code, detach) = back_end.frame();
    assert_eq!(code, 0x16, "detach");
    assert!(find(&detach, b"amqp:unauthorized-access").is_some());
}
