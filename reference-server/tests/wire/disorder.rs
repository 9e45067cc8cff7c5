//! Frames of wrong size, of wrong kind and in wrong order: refused at once, and in the
//! protocol's own way where it has one.

use crate::bounded_time::{
    AT_ONCE, CONNACK, LIMITS, amqp_wire, amqp_ws_wire, closes_with, https_wire, impatient,
    mqtt_wire, mqtt_ws_wire, stops,
};
use crate::dialect::{amqp, mqtt};
use crate::instance::stranger;
use crate::questions::register;

#[test]
fn oversize_and_disorder_end_at_once() {
    let instance = impatient();
    let server = instance.server.announcement();
    let pump = stranger("pump-1");
    let connect = mqtt::connect(&pump);
    let after_connect = |packet: &[u8]| [&connect, packet].concat();
    let mut qos_2 = mqtt::publish(&register());
    qos_2[0] |= 0x04;
    let cases = [
        (
            "a PUBLISH before any CONNECT",
            mqtt::publish(&register()),
            &[][..],
        ),
        ("a PING before any CONNECT", mqtt::PING.to_vec(), &[]),
        ("a second CONNECT", after_connect(&connect), &CONNACK),
        ("a CONNACK from a client", after_connect(&CONNACK), &CONNACK),
        ("a packet of no kind", after_connect(&[0xf0, 0]), &CONNACK),
        (
            "a length that never ends",
            after_connect(&[0x30, 0xff, 0xff, 0xff, 0xff]),
            &CONNACK,
        ),
        (
            "a packet of 256 MB",
            after_connect(&[0x30, 0xff, 0xff, 0xff, 0x7f]),
            &CONNACK,
        ),
        (
            "a packet of 100 KB and a byte",
            after_connect(&[0x30, 0x81, 0xa0, 0x06]),
            &CONNACK,
        ),
        (
            "a topic longer than its packet",
            after_connect(&[0x30, 3, 0xff, 0xff, b'a']),
            &CONNACK,
        ),
        ("a PUBLISH at QoS 2", after_connect(&qos_2), &CONNACK),
        (
            "a PUBLISH to nowhere, which is not acknowledged",
            after_connect(&mqtt::publish_to("elsewhere", b"")),
            &CONNACK,
        ),
        (
            "a user name that is none",
            mqtt::connect_as("pump-1", "pump-1", None),
            &[0x20, 2, 0, 4],
        ),
        ("another version of MQTT", of_version(5), &[0x20, 2, 0, 1]),
    ];
    for (what, said, expected) in cases {
        let heard = stops(&mut mqtt_wire(server), &said, AT_ONCE, what);
        assert_eq!(heard, expected, "{what}");
        let heard = stops(&mut mqtt_ws_wire(server), &said, AT_ONCE, what);
        assert_eq!(heard, expected, "{what} over a WebSocket");
    }
    let head = |lines: &str| {
        format!(
            "PUT /0ne00000001/registrations/pump-1/register?api-version=2019-03-31 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n"
        )
    };
    let cases = [
        (
            "no HTTP at all",
            "\r\n\x16\x03\x01 what\r\n\r\n".to_owned(),
            "400",
        ),
        (
            "HTTP/2 by prior knowledge",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            "",
        ),
        (
            "a head of 100 KB",
            head(&format!("X-Long: {}\r\n", "x".repeat(100 << 10))),
            "",
        ),
        ("a thousand headers", head(&"X: y\r\n".repeat(1000)), "431"),
        (
            "two lengths",
            head("Content-Length: 1\r\nContent-Length: 2\r\n"),
            "400",
        ),
        (
            "a length that is none",
            head("Content-Length: -1\r\n"),
            "400",
        ),
        (
            "a body above 96 KB",
            head("Content-Length: 200000\r\n") + &" ".repeat(200_000),
            "413",
        ),
        (
            "chunks above 96 KB",
            head("Transfer-Encoding: chunked\r\n")
                + "30d40\r\n"
                + &" ".repeat(200_000)
                + "\r\n0\r\n\r\n",
            "413",
        ),
        (
            "a chunk that is none",
            head("Transfer-Encoding: chunked\r\n") + "what\r\n",
            "400",
        ),
    ];
    for (what, said, status) in cases {
        let heard = stops(&mut https_wire(server), said.as_bytes(), AT_ONCE, what);
        let heard = String::from_utf8(heard).expect("UTF-8");
        let expected = if status.is_empty() {
            String::new()
        } else {
            format!("HTTP/1.1 {status} ")
        };
        assert!(heard.starts_with(&expected), "{what}: {heard}");
    }
}

#[test]
fn frames_of_wrong_size_and_order_close_the_connection_with_the_reason() {
    let instance = impatient();
    let server = instance.server.announcement();
    let opening = amqp::opening(&amqp::address(&stranger("pump-1")));
    let (open, begin) = (&opening[1], &opening[2]);
    let raw = |bytes: &[u8]| bytes.to_vec();
    let mut other_layer = amqp::END.to_vec();
    other_layer[5] = 1;
    let cases = [
        (
            "a frame of 4 bytes",
            raw(&[0, 0, 0, 4, 2, 0, 0, 0]),
            "amqp:connection:framing-error",
        ),
        (
            "a frame of 64 KB and a byte",
            raw(&[0, 1, 0, 1, 2, 0, 0, 0]),
            "amqp:connection:framing-error",
        ),
        (
            "a frame of 4 GB",
            raw(&[0xff; 8]),
            "amqp:connection:framing-error",
        ),
        (
            "a body that starts in the header",
            raw(&[0, 0, 0, 8, 1, 0, 0, 0]),
            "amqp:connection:framing-error",
        ),
        (
            "a frame of SASL",
            other_layer,
            "amqp:connection:framing-error",
        ),
        (
            "a performative of no kind",
            amqp::frame(0x77, &[]),
            "amqp:decode-error",
        ),
        (
            "a performative of other fields",
            amqp::frame(0x11, &[amqp::string("x")]),
            "amqp:decode-error",
        ),
        ("a second open", open.clone(), "amqp:illegal-state"),
        (
            "a begin on a channel in use",
            [begin.as_slice(), begin].concat(),
            "amqp:not-allowed",
        ),
        (
            "an attach without a session",
            opening[3].clone(),
            "amqp:not-allowed",
        ),
        (
            "a transfer without a session",
            amqp::transfer(&register()),
            "amqp:not-allowed",
        ),
    ];
    for (what, said, condition) in cases {
        let said = [amqp::HEADER, open, &said].concat();
        let heard = stops(&mut amqp_wire(server), &said, AT_ONCE, what);
        assert!(
            closes_with(&heard, condition),
            "{what}: {}",
            String::from_utf8_lossy(&heard)
        );
        stops(&mut amqp_ws_wire(server), &said, AT_ONCE, what);
    }
}

#[test]
fn what_can_not_even_open_is_hung_up_on() {
    let instance = impatient();
    let server = instance.server.announcement();
    let header = amqp::HEADER;
    let sasl = amqp::SASL_HEADER;
    let begin = [header, amqp::END].concat();
    let cases: [(&str, Vec<u8>, &[u8]); 6] = [
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec(), header),
        ("AMQP 0.9.1", b"AMQP\x00\x00\x09\x01".to_vec(), header),
        ("no open", begin, header),
        (
            "an oversize frame instead of open",
            [header, &[0xff; 8]].concat(),
            header,
        ),
        ("SASL twice", [sasl, sasl].concat(), b""),
        (
            "SASL of 513 bytes",
            [sasl, &[0, 0, 2, 1, 2, 1, 0, 0]].concat(),
            b"",
        ),
    ];
    for (what, said, expected) in cases {
        let heard = stops(&mut amqp_wire(server), &said, AT_ONCE, what);
        assert!(heard.starts_with(expected), "{what}: {heard:?}");
        stops(&mut amqp_ws_wire(server), &said, AT_ONCE, what);
    }
    let said = [sasl, &amqp::init("SCRAM", b"")].concat();
    let heard = stops(
        &mut amqp_wire(server),
        &said,
        AT_ONCE,
        "an unknown mechanism",
    );
    // The outcome is the last frame: a list of one code, 1 for auth.
    assert!(heard.ends_with(&[0x50, 1]), "{heard:?}");
}

#[test]
fn links_end_alone_for_what_they_did_alone() {
    let instance = impatient();
    let server = instance.server.announcement();
    let pump = stranger("pump-1");
    let opening = amqp::opening(&amqp::address(&pump)).concat();
    let cases: [(&str, Vec<u8>, &str); 4] = [
        (
            "a message of 200 KB",
            amqp::deliver(1, 0, &[0; 200_000]),
            "amqp:link:message-size-exceeded",
        ),
        (
            "a message on a link that sends",
            amqp::deliver(0, 0, b"x"),
            "amqp:not-allowed",
        ),
        (
            "a message on no link",
            amqp::deliver(7, 0, b"x"),
            "amqp:session:unattached-handle",
        ),
        (
            "a link in use",
            amqp::attach(1, false, &amqp::address(&pump)),
            "amqp:session:handle-in-use",
        ),
    ];
    for (what, said, condition) in cases {
        // The good-bye is still answered: the connection lives on.
        let said = [&opening, said.as_slice(), amqp::CLOSE].concat();
        let heard = stops(&mut amqp_wire(server), &said, AT_ONCE, what);
        let text = String::from_utf8_lossy(&heard);
        assert!(text.contains(condition), "{what}: {text}");
        assert!(
            closes_with(&heard, "") && !closes_with(&heard, condition),
            "{what}: {text}"
        );
    }
}

#[test]
fn an_oversize_body_without_an_end_is_refused_as_oversize() {
    let instance = impatient();
    let server = instance.server.announcement();
    let head = "PUT /0ne00000001/registrations/pump-1/register?api-version=2019-03-31 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let said = [head, "30d40\r\n", &" ".repeat(200_000), "\r\n"].concat();
    let what = "chunks for ever";
    let heard = stops(&mut https_wire(server), said.as_bytes(), LIMITS.body, what);
    assert!(heard.starts_with(b"HTTP/1.1 413 "), "{heard:?}");
}

/// CONNECT of another version of the protocol.
fn of_version(level: u8) -> Vec<u8> {
    let mut connect = mqtt::connect(&stranger("pump-1"));
    let at = connect
        .windows(4)
        .position(|four| four == b"MQTT")
        .expect("a name")
        + 4;
    connect[at] = level;
    connect
}
