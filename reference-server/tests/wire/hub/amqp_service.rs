//! The service over AMQP: its messages to devices.

use std::time::UNIX_EPOCH;

use serde_json::json;

use super::amqp::{data, is_accepted, put_token};
use super::amqp_device::{AmqpDevice, message};
use super::device::Device;
use super::http::{policy_token, policy_token_until};
use super::{HUB, SERVICE_KEY, provisioned, yard};
use crate::dialect::amqp::{compound, find, section, string};
use crate::instance::{Instance, stranger};

const NODE: &str = "/messages/devicebound";
const ACCEPTED: u8 = 0x24;
const REJECTED: u8 = 0x25;
const RELEASED: u8 = 0x26;
const OK: &[u8] = b"\xa1\x0bstatus-code\x71\x00\x00\x00\xc8";
const UNAUTHORIZED: &[u8] = b"\xa1\x0bstatus-code\x71\x00\x00\x01\x91";

/// A connection of the service, with the links of `$cbs`.
fn connect(yard: &Instance) -> AmqpDevice {
    let mut service = AmqpDevice::connect(yard, &stranger("service"));
    service.attach("cbs-out", false, "$cbs");
    service.attach("cbs-in", true, "$cbs");
    service
}

fn put(service: &mut AmqpDevice, token: &str, answer: &[u8]) {
    service.send("cbs-out", &put_token(string("1"), token));
    assert!(service.hear().has(answer), "{token}");
}

/// A message with id `m-1` that asks for full feedback.
pub fn addressed(to: &str, body: &str) -> Vec<u8> {
    let properties = compound(0xd0, &[string("m-1"), vec![0x40], string(to)]);
    let application = [("a b", string("c")), ("iothub-ack", string("full"))];
    [
        section(0x73, &properties),
        message(&[], None, &application, data(body)),
    ]
    .concat()
}

#[test]
fn the_service_sends_to_devices_once_it_has_put_the_policys_token() {
    let yard = yard();
    let mut pump = Device::connect(&yard, &provisioned(&yard, "pump-1"));
    pump.subscribe("devices/pump-1/messages/devicebound/#", 1);
    let mut service = connect(&yard);
    for token in [
        policy_token(9, "iothubowner"),
        policy_token(SERVICE_KEY, "device"),
    ] {
        put(&mut service, &token, UNAUTHORIZED);
    }
    let refusal = service.refused(false, NODE);
    assert!(find(&refusal, b"amqp:unauthorized-access").is_some());
    put(&mut service, &policy_token(SERVICE_KEY, "iothubowner"), OK);
    let refusal = service.refused(true, NODE);
    assert!(find(&refusal, b"amqp:not-allowed").is_some());

    service.attach("out", false, &format!("amqps://{HUB}/messages/deviceBound"));
    let sent = service.send(
        "out",
        &addressed("/devices/pump-1/messages/devicebound", "hi"),
    );
    assert!(is_accepted(&sent));
    let heard = pump.hear();
    assert_eq!(
        (heard.topic.as_str(), heard.body.as_str()),
        (
            "devices/pump-1/messages/devicebound/%24.mid=m-1\
             &%24.to=%2Fdevices%2Fpump-1%2Fmessages%2Fdevicebound&iothub-ack=full&a%20b=c",
            "hi"
        )
    );
    for (to, body, condition) in [
        (
            "/devices/nobody/messages/devicebound",
            "",
            &b"amqp:not-found"[..],
        ),
        ("/devices/pump-1/twin", "", b"com.microsoft:argument-error"),
        ("", "", b"com.microsoft:argument-error"),
        (
            "/devices/pump-1/messages/devicebound",
            &"x".repeat(64 * 1024),
            b"amqp:link:message-size-exceeded",
        ),
    ] {
        let rejected = service.send("out", &addressed(to, body));
        assert!(find(&rejected, condition).is_some(), "{to}");
    }
}

#[test]
fn a_device_that_takes_nothing_has_a_queue_that_ends() {
    let yard = yard();
    provisioned(&yard, "pump-1");
    let mut service = connect(&yard);
    put(&mut service, &policy_token(SERVICE_KEY, "iothubowner"), OK);
    service.attach("out", false, NODE);
    let message = addressed("/devices/pump-1/messages/devicebound", "hi");
    for _ in 0..50 {
        assert!(is_accepted(&service.send("out", &message)));
    }
    let rejected = service.send("out", &message);
    assert!(find(&rejected, b"amqp:resource-limit-exceeded").is_some());
    assert_eq!(yard.server.counters().cloud_to_device_messages[HUB], 50);
}

#[test]
fn the_services_link_ends_with_its_token() {
    let yard = yard();
    let mut service = connect(&yard);
    let now = UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let soon = i64::try_from(now + 2).expect("not yet");
    put(
        &mut service,
        &policy_token_until(soon, SERVICE_KEY, "iothubowner"),
        OK,
    );
    service.attach("out", false, NODE);
    let (code, detach) = service.frame();
    assert_eq!(code, 0x16, "detach");
    assert!(find(&detach, b"amqp:unauthorized-access").is_some());
    // The connection goes on, for another token.
    put(&mut service, &policy_token(SERVICE_KEY, "iothubowner"), OK);
    service.attach("again", false, NODE);
}

#[test]
fn the_service_hears_what_became_of_its_messages() {
    let yard = yard();
    let caller = provisioned(&yard, "pump-1");
    let mut service = connect(&yard);
    let feedback = format!("amqps://{HUB}/messages/serviceBound/feedback");
    let refusal = service.refused(true, &feedback);
    assert!(find(&refusal, b"amqp:unauthorized-access").is_some());
    put(&mut service, &policy_token(SERVICE_KEY, "iothubowner"), OK);
    service.attach("out", false, NODE);
    service.attach("feedback", true, &feedback);
    let send = |service: &mut AmqpDevice| {
        let message = addressed("/devices/pump-1/messages/devicebound", "hi");
        assert!(is_accepted(&service.send("out", &message)));
    };
    let mut pump = AmqpDevice::connect(&yard, &caller);
    pump.attach("bound", true, "/devices/pump-1/messages/devicebound");
    for (state, status) in [(ACCEPTED, "Success"), (REJECTED, "Rejected")] {
        send(&mut service);
        let heard = pump.hear();
        service.hears_nothing();
        pump.settle(&heard, state);
        let told = service.hear();
        assert!(told.has(b"application/vnd.microsoft.iothub.feedback.json"));
        let records = told.json();
        assert_eq!(records.as_array().map(Vec::len), Some(1));
        let record = &records[0];
        assert_eq!(
            (
                &record["originalMessageId"],
                &record["deviceId"],
                &record["statusCode"]
            ),
            (&json!("m-1"), &json!("pump-1"), &json!(status))
        );
        service.settle(&told, ACCEPTED);
    }
    // What is given back, or not settled, comes again.
    send(&mut service);
    let heard = pump.hear();
    pump.settle(&heard, ACCEPTED);
    let told = service.hear();
    service.settle(&told, RELEASED);
    let again = service.hear();
    assert_eq!(again.json(), told.json());
    service.detach("feedback");
    service.attach("once more", true, &feedback);
    let again = service.hear();
    assert_eq!(again.json(), told.json());
    service.settle(&again, ACCEPTED);
    service.hears_nothing();
}
