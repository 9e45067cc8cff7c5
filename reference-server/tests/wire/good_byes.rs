//! However a connection ends, TLS says so: a client can tell an end from a line that was cut
//! (RFC 8446, 6.1).

use std::io::{Read, Write};

use crate::bounded_time::{amqp_wire, each, https_wire, impatient, mqtt_wire, mqtt_ws_wire};
use crate::dialect::amqp::{CLOSE, HEADER, SASL_HEADER, frame, init, string};
use crate::dialect::mqtt::{DISCONNECT, connect, connect_as, publish_to};
use crate::instance::{Instance, quick, stranger};
use crate::tls::Secured;
use crate::websocket::{self, BINARY};

/// Reads to the end, which is an error where TLS has not said so. A peer that says more than it
/// should be is heard out as well.
fn says_good_bye(wire: &mut Secured, said: &[u8], what: &str) {
    // Who is hung up on half-way may still hear why.
    let _ = wire.write_all(said).and_then(|()| wire.flush());
    let mut rest = Vec::new();
    if let Err(error) = wire.read_to_end(&mut rest) {
        panic!(
            "{what}: {error}, after {:?}",
            String::from_utf8_lossy(&rest)
        );
    }
}

#[test]
fn over_https() {
    let instance = impatient();
    let server = instance.server.announcement();
    let host = &server.global_endpoint;
    each(
        [
            ("nothing", String::new()),
            ("half a head", "GET / HTTP/1.1\r\nHost:".to_owned()),
            ("no HTTP", "\0\0\0\0\r\n\r\n".to_owned()),
            (
                "one request",
                format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            ),
            (
                "one of more",
                format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            ),
            (
                "half a body",
                format!(
                    "PUT /a/registrations/b/register?api-version=2019-03-31 HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\n{{"
                ),
            ),
        ],
        |(what, said)| says_good_bye(&mut https_wire(server), said.as_bytes(), what),
    );
}

#[test]
fn over_mqtt() {
    let instance = impatient();
    let server = instance.server.announcement();
    let connect = connect(&stranger("pump-1"));
    each(
        [
            ("nothing", Vec::new()),
            ("no packet", vec![0; 64]),
            ("half a packet", connect[..9].to_vec()),
            ("a refused log-in", connect_as("x", "nobody", None)),
            (
                "another version",
                [&connect[..8], &[5], &connect[9..]].concat(),
            ),
            ("silence", connect.clone()),
            ("its own good-bye", [&connect, &DISCONNECT[..]].concat()),
            (
                "what is not served",
                [connect.clone(), publish_to("other", &[0; 2048])].concat(),
            ),
        ],
        |(what, said)| says_good_bye(&mut mqtt_wire(server), &said, what),
    );
}

#[test]
fn over_amqp() {
    let instance = impatient();
    let server = instance.server.announcement();
    let open = frame(0x10, &[string("wire")]);
    each(
        [
            ("nothing", Vec::new()),
            ("no header", vec![0; 64]),
            ("half a header", HEADER[..4].to_vec()),
            ("no frame", [HEADER, &[0; 64]].concat()),
            (
                "a refused log-in",
                [SASL_HEADER, &init("PLAIN", b"x")].concat(),
            ),
            ("half a log-in", SASL_HEADER.to_vec()),
            ("silence", [HEADER, &open].concat()),
            ("its own good-bye", [HEADER, &open, CLOSE].concat()),
        ],
        |(what, said)| says_good_bye(&mut amqp_wire(server), &said, what),
    );
}

#[test]
fn below_a_websocket() {
    let instance = impatient();
    let server = instance.server.announcement();
    let host = &server.global_endpoint;
    let upgrade = websocket::request(host, "/mqtt", "mqtt").into_bytes();
    each(
        [
            ("nothing", Vec::new()),
            ("no frame", vec![0xff; 64]),
            (
                "half a message",
                websocket::frame(BINARY, &[0; 64])[..20].to_vec(),
            ),
            (
                "its own good-bye",
                websocket::frame(websocket::CLOSE, &[3, 0xe8]),
            ),
        ],
        |(what, said)| {
            let said = [&upgrade[..], &said].concat();
            says_good_bye(&mut https_wire(server), &said, what);
        },
    );
    drop(mqtt_ws_wire(server));
}

#[test]
fn when_the_server_stops() {
    let instance = Instance::start(quick());
    let server = instance.server.announcement().clone();
    let mut held = [
        (https_wire(&server), Vec::new()),
        (mqtt_wire(&server), connect(&stranger("pump-1"))),
        (
            amqp_wire(&server),
            [HEADER, &frame(0x10, &[string("wire")])].concat(),
        ),
    ];
    for (wire, said) in &mut held {
        wire.write_all(said).expect("it is read");
        wire.flush().expect("the handshake is done");
    }
    let mut some = [0; 4];
    for (wire, _) in &mut held[1..] {
        wire.read_exact(&mut some).expect("an answer");
    }
    std::thread::scope(|scope| {
        scope.spawn(|| drop(instance));
        for (number, (wire, _)) in held.iter_mut().enumerate() {
            says_good_bye(wire, b"", ["https", "mqtt", "amqp"][number]);
        }
    });
}
