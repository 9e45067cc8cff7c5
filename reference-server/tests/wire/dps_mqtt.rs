//! What DPS does over MQTT besides answering.

use std::io::Read;

use rustls::ALL_VERSIONS;

use crate::dialect::Caller;
use crate::dialect::mqtt::{PING, connect, packet, publish, publish_to, receive, send, text};
use crate::instance::{Instance, quick};
use crate::questions::register;
use crate::tls::{Secured, dial};

const FILTER: &str = "$dps/registrations/res/#";
const PUBACK: (u8, [u8; 2]) = (0x40, [0, 2]);

fn log_in(instance: &Instance, caller: &Caller) -> Secured {
    let server = instance.server.announcement();
    let certificate = caller.certificate.as_ref();
    let host = &server.global_endpoint;
    let mut wire = dial(server, server.mqtt, host, certificate, ALL_VERSIONS);
    send(&mut wire, &connect(caller));
    assert_eq!(receive(&mut wire), (0x20, vec![0, 0]), "CONNACK");
    wire
}

/// SUBSCRIBE, and the code that answers it.
fn subscribe(wire: &mut Secured, filter: &str, qos: u8) -> u8 {
    let body = [&[0, 1], text(filter).as_slice(), &[qos]].concat();
    send(wire, &packet(0x82, &body));
    let (head, answer) = receive(wire);
    assert_eq!(head, 0x90, "SUBACK");
    answer[2]
}

fn hears(wire: &mut Secured, expected: (u8, [u8; 2])) {
    assert_eq!(receive(wire), (expected.0, expected.1.to_vec()));
}

/// The answer to a ping is the next that comes.
fn hears_nothing(wire: &mut Secured) {
    send(wire, &PING);
    assert_eq!(receive(wire), (0xd0, Vec::new()), "PINGRESP");
}

#[test]
fn who_has_not_subscribed_is_not_answered() {
    let instance = Instance::start(quick());
    let mut wire = log_in(&instance, &instance.pump("pump-1"));
    send(&mut wire, &publish(&register()));
    hears(&mut wire, PUBACK);
    hears_nothing(&mut wire);
    assert_eq!(
        instance.server.counters().registrations_accepted,
        1,
        "it is done all the same"
    );
    for other in [
        "#",
        "$dps/#",
        "$dps/registrations/res/+",
        "$iothub/twin/res/#",
    ] {
        assert_eq!(subscribe(&mut wire, other, 1), 0x80, "{other}");
    }
    send(&mut wire, &publish(&register()));
    hears(&mut wire, PUBACK);
    hears_nothing(&mut wire);
    // With the quality that was asked for.
    for (asked, granted, head) in [(0, 0, 0x30), (2, 1, 0x32)] {
        assert_eq!(subscribe(&mut wire, FILTER, asked), granted);
        send(&mut wire, &publish(&register()));
        hears(&mut wire, PUBACK);
        assert_eq!(receive(&mut wire).0, head);
    }
    send(
        &mut wire,
        &packet(0xa2, &[&[0, 3], text(FILTER).as_slice()].concat()),
    );
    hears(&mut wire, (0xb0, [0, 3]));
    send(&mut wire, &publish(&register()));
    hears(&mut wire, PUBACK);
    hears_nothing(&mut wire);
}

#[test]
fn what_is_not_served_is_not_acknowledged() {
    let instance = Instance::start(quick());
    let caller = instance.pump("pump-1");
    let at_qos_2 = packet(
        0x34,
        &[
            text("$dps/registrations/PUT/iotdps-register/?$rid=1").as_slice(),
            &[0, 2],
        ]
        .concat(),
    );
    for (what, bytes) in [
        (
            "an unknown topic",
            publish_to("$dps/registrations/other", b"{}"),
        ),
        (
            "a hub's topic",
            publish_to("devices/pump-1/messages/events/", b"{}"),
        ),
        (
            "no request id",
            publish_to("$dps/registrations/PUT/iotdps-register/", b"{}"),
        ),
        (
            "more than a packet holds",
            publish_to(
                "$dps/registrations/PUT/iotdps-register/?$rid=1",
                &[b' '; 300 * 1024],
            ),
        ),
        ("QoS 2", at_qos_2),
    ] {
        let mut wire = log_in(&instance, &caller);
        assert_eq!(subscribe(&mut wire, FILTER, 1), 1);
        // What is too long is refused before it is whole.
        send(&mut wire, &bytes[..bytes.len().min(1024)]);
        let mut rest = Vec::new();
        // A reset is an end as well.
        let _ = wire.read_to_end(&mut rest);
        assert_eq!(rest, b"", "{what}");
    }
    assert_eq!(instance.server.counters().registrations_accepted, 0);
}
