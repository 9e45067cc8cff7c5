//! Devices that stop: in the middle of something, or listening.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use fleetstorm_reference_server::Config;
use rustls::ALL_VERSIONS;
use serde_json::json;

use super::http::{as_service, request};
use super::{HUB, one_hub, provisioned};
use crate::bounded_time::{LIMITS, closes_with, each, ends_after, narrow, stops};
use crate::dialect::{Caller, amqp, mqtt};
use crate::instance::Instance;
use crate::tls::{Secured, Wire, connect, dial_over};
use crate::websocket::Socket;

fn impatient_yard() -> Instance {
    Instance::start(Config {
        limits: LIMITS,
        ..one_hub()
    })
}

fn secured(yard: &Instance, device: &Caller, stream: TcpStream) -> Secured {
    let (server, certificate) = (yard.server.announcement(), device.certificate.as_ref());
    dial_over(server, stream, HUB, certificate, ALL_VERSIONS)
}

fn in_websocket(wire: Secured, sub_protocol: &str) -> Socket<Secured> {
    Socket::open(wire, HUB, "/$iothub/websocket", sub_protocol)
}

/// Up to the subscription to desired properties.
fn over_mqtt() -> Vec<u8> {
    let user = format!("{HUB}/pump-1/?api-version=2021-04-12");
    let mut connect = mqtt::connect_as("pump-1", &user, None);
    // A keep-alive of 0, so that silence has the server's own limit.
    let at = connect.windows(4).position(|four| four == b"MQTT");
    let at = at.expect("a name") + 6;
    connect[at..at + 2].fill(0);
    let desired = mqtt::subscribe("$iothub/twin/PATCH/properties/desired/#");
    [connect, desired].concat()
}

fn over_amqp() -> Vec<u8> {
    let pair = [("com.microsoft:channel-correlation-id", "twin:1")];
    let twin = "/devices/pump-1/twin";
    let annotations = [
        ("operation", "PUT"),
        ("resource", "/notifications/twin/properties/desired"),
    ];
    let subscribe = amqp::message(&annotations, "m-1", &[], &amqp::data(b""));
    let mut pieces = amqp::opening(twin);
    pieces.truncate(3);
    pieces.extend([
        amqp::attach_with(0, true, twin, &pair),
        amqp::attach_with(1, false, twin, &pair),
        amqp::flow(0, 250),
        amqp::deliver(1, 0, &subscribe),
    ]);
    pieces.concat()
}

#[test]
fn half_a_packet_and_silence_end_a_session_at_a_hub() {
    let yard = impatient_yard();
    let server = yard.server.announcement();
    let pump = provisioned(&yard, "pump-1");
    let over = "amqp:resource-limit-exceeded";
    // One after another: a newer session ends the older one.
    for (rest, limit) in [(0, LIMITS.silence), (1, LIMITS.packet)] {
        let what = format!("{rest} bytes of a packet");
        let said = [over_mqtt(), mqtt::publish_to("x", b"y")[..rest].to_vec()].concat();
        let mut wire = secured(&yard, &pump, connect(server.mqtt));
        stops(&mut wire, &said, limit, &what);
        let wire = secured(&yard, &pump, connect(server.https));
        stops(&mut in_websocket(wire, "mqtt"), &said, limit, &what);
        let said = [over_amqp(), amqp::END[..rest].to_vec()].concat();
        let mut wire = secured(&yard, &pump, connect(server.amqp));
        let heard = stops(&mut wire, &said, limit, &what);
        assert!(closes_with(&heard, over), "{what}: {heard:?}");
        let wire = secured(&yard, &pump, connect(server.https));
        stops(&mut in_websocket(wire, "AMQPWSB10"), &said, limit, &what);
    }
}

#[test]
fn a_body_that_does_not_come_is_answered_by_a_hub_too() {
    let yard = impatient_yard();
    let server = yard.server.announcement();
    let pump = provisioned(&yard, "pump-1");
    let line = "POST /devices/pump-1/messages/events?api-version=2021-04-12";
    let said = request(line, &[], b"body");
    each([1, 4], |missing| {
        let what = format!("a body without {missing} bytes");
        let mut wire = secured(&yard, &pump, connect(server.https));
        let heard = stops(&mut wire, &said[..said.len() - missing], LIMITS.body, &what);
        assert!(heard.starts_with(b"HTTP/1.1 408 "), "{what}: {heard:?}");
    });
}

/// Far more than any buffer holds.
const CHANGES: usize = 400;
/// Bytes of a change.
const CHANGE: usize = 20_000;

/// Changes the device's twin until it has lost its session, or far too often.
fn changes_until_gone(yard: &Instance, wire: &mut impl Wire, what: &str) {
    let line = "PATCH /twins/pump-1?api-version=2021-04-12";
    let since = Instant::now();
    for number in 0..CHANGES {
        let text = "x".repeat(CHANGE / 5);
        let desired = json!({"a": number, "b": text, "c": text, "d": text, "e": text, "f": text});
        let patch = json!({"properties": {"desired": desired}}).to_string();
        let asked = Instant::now();
        let answer = as_service(yard, line, &[], &patch);
        assert_eq!(answer.status, 200, "{what}: {}", answer.body);
        let took = asked.elapsed();
        assert!(
            took < Duration::from_secs(5),
            "{what}: the service waits {took:?}"
        );
    }
    // What was written before it was hung up on may still be in the way.
    let heard = ends_after(Duration::ZERO, wire, Instant::now(), what);
    assert!(heard.len() < CHANGES * CHANGE, "{what}: all of it was kept");
    let took = since.elapsed();
    assert!(took < Duration::from_secs(30), "{what}: {took:?}");
}

#[test]
fn a_device_that_does_not_listen_loses_its_session_and_holds_up_nobody() {
    let yard = impatient_yard();
    let server = yard.server.announcement();
    let pump = provisioned(&yard, "pump-1");
    let deaf = |address: SocketAddr| secured(&yard, &pump, narrow(address));
    let mut wire = deaf(server.mqtt);
    wire.write_all(&over_mqtt()).expect("it is read");
    changes_until_gone(&yard, &mut wire, "over MQTT");
    let mut wire = deaf(server.amqp);
    wire.write_all(&over_amqp()).expect("it is read");
    changes_until_gone(&yard, &mut wire, "over AMQP");
    let mut wire = in_websocket(deaf(server.https), "mqtt");
    wire.write_all(&over_mqtt()).expect("it is read");
    changes_until_gone(&yard, &mut wire, "over MQTT in a WebSocket");
}
