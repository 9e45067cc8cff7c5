//! WebSockets on the HTTPS port: who gets one, and what goes through it.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use fleetstorm_reference_server::{Announcement, Config, Limits};
use rustls::ALL_VERSIONS;

use crate::dialect::mqtt::{connect, converse, publish, receive, subscribe};
use crate::instance::{Instance, quick, stranger};
use crate::questions::register;
use crate::tls::{Secured, dial};
use crate::websocket::{BINARY, CLOSE, PING, Socket, TEXT, frame, frame_head, head, request};

const PATH: &str = "/$iothub/websocket";

fn secured(server: &Announcement, host: &str) -> Secured {
    dial(server, server.https, host, None, ALL_VERSIONS)
}

#[test]
fn every_path_and_spelling_of_the_sdks_is_served() {
    let instance = Instance::start(quick());
    let server = instance.server.announcement();
    let pump = instance.pump("pump-1");
    for (path, sub_protocol) in [
        (PATH, "mqtt"),
        (PATH, "MQTT"),
        ("/", "mqtt"),
        ("/mqtt", "mqtt"),
        ("/$iothub/websocket?iothub-no-client-cert=true", "mqtt"),
    ] {
        let host = &server.global_endpoint;
        let certificate = pump.certificate.as_ref();
        let wire = dial(server, server.https, host, certificate, ALL_VERSIONS);
        let mut socket = Socket::open(wire, host, path, sub_protocol);
        let answer = converse(&mut socket, &pump, &register());
        assert_eq!(answer.status, 202, "{path} {sub_protocol}");
    }
}

#[test]
fn what_is_no_websocket_of_ours_is_refused_in_words() {
    let instance = Instance::start(quick());
    let server = instance.server.announcement();
    let host = &server.global_endpoint;
    let good = request(host, PATH, "mqtt");
    for (asked, status, words) in [
        (request(host, PATH, "soap"), "400", "Sec-WebSocket-Protocol"),
        (
            good.replace("Sec-WebSocket-Protocol: mqtt\r\n", ""),
            "400",
            "Sec-WebSocket-Protocol",
        ),
        (request(host, "/$iothub/other", "mqtt"), "404", "404"),
        (good.replace("dGhlIHNhbXBsZSBub25jZQ==", "x"), "400", "Key"),
        (good.replace("GET ", "POST "), "400", "method"),
        (
            good.replace("Connection: Upgrade\r\n", ""),
            "400",
            "upgrade",
        ),
    ] {
        let mut wire = secured(server, host);
        wire.write_all(asked.as_bytes()).expect("it is read");
        let head = head(&mut wire);
        let first = &head[0];
        assert!(
            first.starts_with(&format!("HTTP/1.1 {status} ")),
            "{first} for {asked}"
        );
        let length = head.iter().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.parse().expect("a length"))
        });
        let mut body = vec![0; length.expect("a length")];
        wire.read_exact(&mut body).expect("the whole body");
        let body = String::from_utf8(body).expect("UTF-8");
        assert!(body.contains("errorCode"), "{body}");
        assert!(
            body.to_lowercase().contains(&words.to_lowercase()),
            "{body}"
        );
    }
}

#[test]
fn packets_need_not_end_where_messages_do() {
    let instance = Instance::start(quick());
    let server = instance.server.announcement();
    let host = &server.global_endpoint;
    let pump = stranger("pump-1");
    let mut socket = Socket::open(secured(server, host), host, PATH, "mqtt");
    let connect = connect(&pump);
    let (first, rest) = connect.split_at(5);
    socket.send(BINARY, first).expect("it is read");
    socket.send(PING, b"are you there").expect("it is read");
    assert_eq!(
        socket.receive().expect("a pong"),
        (0xa, b"are you there".to_vec())
    );
    let two = [rest, &subscribe("$dps/registrations/res/#")].concat();
    socket.send(BINARY, &two).expect("it is read");
    assert_eq!(receive(&mut socket), (0x20, vec![0, 0]));
    assert_eq!(receive(&mut socket), (0x90, vec![0, 1, 1]));
    for byte in publish(&register()) {
        socket.send(BINARY, &[byte]).expect("it is read");
    }
    assert_eq!(receive(&mut socket), (0x40, vec![0, 2]));
    socket.send(BINARY, &[0xe0, 0]).expect("it is read");
    let _answer = receive(&mut socket);
    assert_eq!(
        socket.receive().map(|(opcode, _)| opcode).ok(),
        Some(CLOSE),
        "DISCONNECT ends the WebSocket in order"
    );
}

#[test]
fn what_breaks_the_protocol_ends_the_connection() {
    let instance = Instance::start(quick());
    let server = instance.server.announcement();
    let host = &server.global_endpoint;
    let connect = connect(&stranger("pump-1"));
    let cases: [(&str, Vec<u8>, u16); 9] = [
        (
            "an oversize message",
            frame_head(BINARY, 322 * 1024 + 1),
            1009,
        ),
        ("a length beyond memory", frame_head(BINARY, 1 << 40), 1009),
        ("an unmasked frame", vec![0x82, 1, 0], 1002),
        ("a reserved operation", frame_head(3, 0), 1002),
        ("a reserved bit", vec![0xc2, 0x80, 0, 0, 0, 0], 1002),
        ("a ping in parts", vec![0x09, 0x80, 0, 0, 0, 0], 1002),
        ("text", frame(TEXT, b"text"), 1003),
        ("text that is none", frame(TEXT, &connect), 1007),
        (
            "no packet of the sub-protocol",
            frame(BINARY, &[0, 0]),
            1000,
        ),
    ];
    for sub_protocol in ["mqtt", "AMQPWSB10"] {
        for (what, bytes, code) in &cases {
            let mut socket = Socket::open(secured(server, host), host, PATH, sub_protocol);
            if *code == 1000 {
                let silence = [0; 16];
                socket.send(BINARY, &silence).expect("it is read");
            } else {
                socket.send_raw(bytes).expect("it is read");
            }
            // More is on its way, which must not take the good-bye away.
            let _ = socket.send(BINARY, &[0; 512]);
            assert_eq!(ends(socket, what), Some(*code), "{what}");
        }
    }
    let mut socket = Socket::open(secured(server, host), host, PATH, "mqtt");
    socket.send(CLOSE, &[3, 0xe8]).expect("it is read");
    let code = ends(socket, "a good-bye before the first packet");
    assert_eq!(code, Some(1000), "it comes back");
}

#[test]
fn a_websocket_of_another_version_may_be_asked_for_in_ours() {
    let instance = Instance::start(quick());
    let server = instance.server.announcement();
    let host = &server.global_endpoint;
    let good = request(host, PATH, "mqtt");
    for version in ["8", "14", "13, 8", ""] {
        let asked = good.replace("Version: 13", &format!("Version: {version}"));
        let mut wire = secured(server, host);
        wire.write_all(asked.as_bytes()).expect("it is read");
        let head = head(&mut wire);
        assert!(head[0].starts_with("HTTP/1.1 426 "), "{head:?}");
        for line in ["sec-websocket-version: 13", "upgrade: websocket"] {
            assert!(head.iter().any(|said| said == line), "{head:?}");
        }
        // The connection goes on, as that.
        wire.write_all(good.as_bytes()).expect("it is read");
        let mut head = crate::websocket::head(&mut wire);
        if head.is_empty() {
            head = crate::websocket::head(&mut wire);
        }
        assert!(head[0].starts_with("HTTP/1.1 101 "), "{head:?}");
    }
}

#[test]
fn a_server_that_stops_says_so() {
    let instance = Instance::start(quick());
    let server = instance.server.announcement();
    let host = server.global_endpoint.clone();
    let mut socket = Socket::open(secured(server, &host), &host, PATH, "mqtt");
    socket
        .send(BINARY, &connect(&stranger("pump-1")))
        .expect("it is read");
    assert_eq!(receive(&mut socket), (0x20, vec![0, 0]));
    drop(instance);
    assert_eq!(ends(socket, "the end"), Some(1001), "going away");
}

#[test]
fn a_message_that_stops_half_way_ends_the_connection() {
    let limits = Limits {
        packet: Duration::from_millis(200),
        ..Limits::default()
    };
    let instance = Instance::start(Config { limits, ..quick() });
    let server = instance.server.announcement();
    let host = &server.global_endpoint;
    let mut socket = Socket::open(secured(server, host), host, PATH, "mqtt");
    socket
        .send(BINARY, &connect(&stranger("pump-1")))
        .expect("it is read");
    assert_eq!(receive(&mut socket), (0x20, vec![0, 0]));
    // Idle for longer than a packet may take, which is no crime.
    std::thread::sleep(limits.packet * 2);
    let subscribe = frame(BINARY, &subscribe("$dps/registrations/res/#"));
    let (first, rest) = subscribe.split_at(12);
    socket.send_raw(first).expect("it is read");
    std::thread::sleep(limits.packet / 4);
    socket.send_raw(rest).expect("it is read");
    assert_eq!(receive(&mut socket), (0x90, vec![0, 1, 1]));
    socket.send_raw(first).expect("it is read");
    ends(socket, "half a message");
}

/// Nothing comes but a good-bye, and that before anybody loses patience. Returns the code of it.
fn ends(mut socket: Socket<Secured>, what: &str) -> Option<u16> {
    let mut code = None;
    loop {
        match socket.receive() {
            Ok((CLOSE, said)) => code = Some(u16::from_be_bytes([said[0], said[1]])),
            // A header of AMQP that says what is understood.
            Ok((BINARY, _)) if code.is_none() => {}
            Ok(other) => panic!("{what}: {other:?}"),
            Err(error) => {
                let waited = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                assert!(!waited, "{what}: {error}");
                return code;
            }
        }
    }
}
