//! Frames of wrong size, of wrong kind and in wrong order: refused at once, and in the
//! protocol's own way where it has one.

use crate::bounded_time::{
    AT_ONCE, CONNACK, LIMITS, https_wire, impatient, mqtt_wire, mqtt_ws_wire, stops,
};
use crate::dialect::mqtt;
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
            "a PUBLISH to nowhere",
            after_connect(&mqtt::publish_to("elsewhere", b"")),
            &[0x20, 2, 0, 0, 0x40, 2, 0, 2],
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
            "PUT /0ne00000001/registrations/pump-1/register?api-version=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n"
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
fn an_oversize_body_without_an_end_is_refused_as_oversize() {
    let instance = impatient();
    let server = instance.server.announcement();
    let head = "PUT /0ne00000001/registrations/pump-1/register?api-version=1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
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
