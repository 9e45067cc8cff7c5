//! A peer that stops, wherever it stops: its connection ends in bounded time, and in the
//! protocol's own way where it has one.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use fleetstorm_reference_server::{Announcement, Config, Limits};
use rustls::{ALL_VERSIONS, ClientConnection};
use socket2::{Domain, Socket as RawSocket, Type};

use crate::dialect::{Ask, Caller, amqp, https, mqtt};
use crate::instance::{Instance, quick, stranger};
use crate::questions::register;
use crate::tls::{PATIENCE, Secured, Wire, connect, dial, dial_over};
use crate::websocket::{BINARY, Socket, frame};

/// Shorter than anybody needs; each its own, so that a test knows which one ended a connection.
pub const LIMITS: Limits = Limits {
    handshake: Duration::from_millis(1500),
    first_request: Duration::from_millis(1000),
    login: Duration::from_millis(1300),
    between_requests: Duration::from_millis(1200),
    body: Duration::from_millis(600),
    connection: Duration::from_millis(4000),
    silence: Duration::from_millis(2200),
    packet: Duration::from_millis(400),
    stalled_write: Duration::from_millis(800),
};
/// A busy machine is late, never early.
const LATE: Duration = Duration::from_millis(3000);
/// For what ends without waiting.
pub const AT_ONCE: Duration = Duration::ZERO;

/// A server that waits for nobody.
pub fn impatient() -> Instance {
    Instance::start(Config {
        limits: LIMITS,
        ..quick()
    })
}

/// Waits for all cases at once.
pub fn each<Case: Send>(cases: impl IntoIterator<Item = Case>, check: impl Fn(Case) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            let check = &check;
            scope.spawn(move || check(case));
        }
    });
}

/// What was still heard until the connection ended, which must be after `limit`.
pub fn ends_after(limit: Duration, wire: &mut impl Read, since: Instant, what: &str) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut part = [0; 4096];
    loop {
        match wire.read(&mut part) {
            Ok(0) => break,
            Ok(length) => heard.extend(&part[..length]),
            Err(error) => {
                let waited = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                assert!(!waited, "{what}: does not end");
                break;
            }
        }
    }
    let took = since.elapsed();
    assert!(
        took + Duration::from_millis(50) >= limit,
        "{what}: ended after {took:?}, not {limit:?}"
    );
    assert!(
        took < limit + LATE,
        "{what}: ended after {took:?}, not {limit:?}"
    );
    heard
}

/// The peer says this much, and no more.
pub fn stops(wire: &mut impl Wire, said: &[u8], limit: Duration, what: &str) -> Vec<u8> {
    let since = Instant::now();
    // Who is hung up on half-way may still hear why.
    let _ = wire.write_all(said).and_then(|()| wire.flush());
    ends_after(limit, wire, since, what)
}

/// A connection up to where HTTP begins.
pub fn https_wire(server: &Announcement) -> Secured {
    dial(
        server,
        server.https,
        &server.global_endpoint,
        None,
        ALL_VERSIONS,
    )
}

/// A connection up to where MQTT begins.
pub fn mqtt_wire(server: &Announcement) -> Secured {
    dial(
        server,
        server.mqtt,
        &server.global_endpoint,
        None,
        ALL_VERSIONS,
    )
}

/// The same in a WebSocket.
pub fn mqtt_ws_wire(server: &Announcement) -> Socket<Secured> {
    Socket::open(
        https_wire(server),
        &server.global_endpoint,
        "/$iothub/websocket",
        "mqtt",
    )
}

/// A connection up to where AMQP begins.
pub fn amqp_wire(server: &Announcement) -> Secured {
    dial(
        server,
        server.amqp,
        &server.global_endpoint,
        None,
        ALL_VERSIONS,
    )
}

/// The same in a WebSocket.
pub fn amqp_ws_wire(server: &Announcement) -> Socket<Secured> {
    Socket::open(
        https_wire(server),
        &server.global_endpoint,
        "/$iothub/websocket",
        "AMQPWSB10",
    )
}

/// CONNECT of a device that announces a keep-alive.
fn connect_with(keep_alive: u16) -> Vec<u8> {
    let mut connect = mqtt::connect(&stranger("pump-1"));
    // Behind the fixed header: the protocol's name, its level and the flags.
    let at = connect
        .windows(4)
        .position(|four| four == b"MQTT")
        .expect("a name")
        + 6;
    connect[at..at + 2].copy_from_slice(&keep_alive.to_be_bytes());
    connect
}

/// Accepted, without a session.
pub const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

#[test]
fn who_never_secures_the_connection_is_not_waited_for() {
    let instance = impatient();
    let server = instance.server.announcement();
    let mut connection: ClientConnection = https_wire(server).conn;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).expect("a first flight");
    for address in [server.https, server.mqtt, server.amqp] {
        each(
            [&[], &hello[..1], &hello[..hello.len() / 2], &hello],
            |said| {
                let what = format!("{} bytes of a handshake", said.len());
                stops(&mut connect(address), said, LIMITS.handshake, &what);
            },
        );
    }
    let what = "no request at the control port";
    stops(
        &mut connect(server.control),
        b"",
        LIMITS.first_request,
        what,
    );
    let what = "half a request at the control port";
    stops(
        &mut connect(server.control),
        b"GET /heal",
        LIMITS.first_request,
        what,
    );
}

#[test]
fn who_never_asks_is_not_waited_for() {
    let instance = impatient();
    let server = instance.server.announcement();
    let pump = stranger("pump-1");
    let request = https::request(&server.global_endpoint, &pump, &register());
    each([&[], &request[..1], &request[..40]], |said| {
        let what = format!("{} bytes of a request", said.len());
        let heard = stops(&mut https_wire(server), said, LIMITS.first_request, &what);
        assert!(heard.is_empty(), "{what}: {heard:?}");
    });
    let connect = mqtt::connect(&pump);
    each([&[], &connect[..1], &connect[..20]], |said| {
        let what = format!("{} bytes of a CONNECT", said.len());
        stops(&mut mqtt_wire(server), said, LIMITS.first_request, &what);
        stops(&mut mqtt_ws_wire(server), said, LIMITS.first_request, &what);
    });
    let header = amqp::HEADER;
    let open = amqp::opening(&amqp::address(&pump)).swap_remove(1);
    each([0, 1, 8, 9, 8 + open.len() - 1], |length| {
        let what = format!("{length} bytes of AMQP");
        let said = &[header, &open].concat()[..length];
        let expected = if length < 8 { &[][..] } else { header };
        let heard = stops(&mut amqp_wire(server), said, LIMITS.first_request, &what);
        assert_eq!(heard, expected, "{what}");
        stops(&mut amqp_ws_wire(server), said, LIMITS.first_request, &what);
    });
}

#[test]
fn a_login_has_its_time() {
    let instance = impatient();
    let server = instance.server.announcement();
    let init = amqp::init("PLAIN", b"\x000ne00000001/registrations/lock-1\0token");
    let header = amqp::SASL_HEADER;
    each([0, 1, init.len() - 1], |length| {
        let what = format!("{length} bytes of SASL");
        let said = [header, &init[..length]].concat();
        stops(&mut amqp_wire(server), &said, LIMITS.login, &what);
        stops(&mut amqp_ws_wire(server), &said, LIMITS.login, &what);
    });
    let what = "no AMQP after SASL";
    let said = [header, &init].concat();
    stops(&mut amqp_wire(server), &said, LIMITS.login, what);
}

/// Whether the last frame is a close with this condition; with any or none for an empty one.
pub fn closes_with(heard: &[u8], condition: &str) -> bool {
    let mut frames = heard.strip_prefix(amqp::HEADER).unwrap_or(heard);
    let mut last = frames;
    while let Some(size) = frames.first_chunk() {
        let size = usize::try_from(u32::from_be_bytes(*size)).expect("a size");
        (last, frames) = frames.split_at(size);
    }
    let condition = condition.as_bytes();
    // Its performative is a described list with the descriptor 0x18.
    last.get(8..11) == Some(&[0x00, 0x53, 0x18])
        && (condition.is_empty() || last.windows(condition.len()).any(|part| part == condition))
}

#[test]
fn a_frame_that_began_ends_in_time_or_never_and_silence_ends_with_a_close() {
    let instance = impatient();
    let server = instance.server.announcement();
    let mut pieces = amqp::opening(&amqp::address(&stranger("pump-1")));
    let open = pieces[..2].concat();
    pieces.push(amqp::transfer(&register()));
    let attached = pieces.concat();
    let over = "amqp:resource-limit-exceeded";
    each([&open, &attached], |said| {
        for (rest, limit) in [(0, LIMITS.silence), (1, LIMITS.packet), (11, LIMITS.packet)] {
            let what = format!("{} bytes, then {rest} bytes of a frame", said.len());
            let said = [said, &amqp::END[..rest]].concat();
            let heard = stops(&mut amqp_wire(server), &said, limit, &what);
            assert!(closes_with(&heard, over), "{what}: {heard:?}");
            stops(&mut amqp_ws_wire(server), &said, limit, &what);
        }
    });
    // Signs of life keep it alive.
    let mut wire = amqp_wire(server);
    wire.write_all(&open).expect("it is read");
    let since = Instant::now();
    while since.elapsed() < LIMITS.silence + LIMITS.packet {
        std::thread::sleep(LIMITS.silence / 4);
        wire.write_all(amqp::HEARTBEAT).expect("it is read");
    }
    let heard = stops(&mut wire, amqp::CLOSE, AT_ONCE, "a good-bye");
    assert!(closes_with(&heard, ""), "{heard:?}");
}

#[test]
fn who_stops_between_requests_is_waited_for_as_long_as_a_poll_takes() {
    let instance = impatient();
    let server = instance.server.announcement();
    let request = https::request(&server.global_endpoint, &stranger("pump-1"), &register());
    each([0, 1, 40], |rest| {
        let mut wire = https_wire(server);
        wire.write_all(&request).expect("it is read");
        assert_eq!(https::read_answer(&mut wire).status, 401);
        let what = format!("{rest} bytes of a second request");
        stops(&mut wire, &request[..rest], LIMITS.between_requests, &what);
    });
}

#[test]
fn a_body_that_does_not_come_is_answered_with_408() {
    let instance = impatient();
    let server = instance.server.announcement();
    let ask = Ask::Register(vec![b' '; 1000]);
    let request = https::request(&server.global_endpoint, &stranger("pump-1"), &ask);
    each([1, 999, 1000], |missing| {
        let what = format!("a body without {missing} bytes");
        let said = &request[..request.len() - missing];
        let heard = stops(&mut https_wire(server), said, LIMITS.body, &what);
        let heard = String::from_utf8(heard).expect("UTF-8");
        assert!(heard.starts_with("HTTP/1.1 408 "), "{what}: {heard}");
        assert!(heard.contains("\"errorCode\":408000"), "{what}: {heard}");
    });
}

#[test]
fn a_connection_has_its_time_however_often_it_asks() {
    let instance = impatient();
    let server = instance.server.announcement();
    let request = https::request(&server.global_endpoint, &stranger("pump-1"), &register());
    let mut wire = https_wire(server);
    let since = Instant::now();
    let mut part = [0; 4096];
    while wire.write_all(&request).is_ok() && wire.read(&mut part).is_ok_and(|heard| heard > 0) {
        std::thread::sleep(Duration::from_millis(200));
    }
    ends_after(LIMITS.connection, &mut wire, since, "many requests");
}

#[test]
fn a_packet_that_began_ends_in_time_or_never() {
    let instance = impatient();
    let server = instance.server.announcement();
    let (open, publish) = (connect_with(0), mqtt::publish(&register()));
    each(
        [&publish[..1], &publish[..2], &publish[..publish.len() - 1]],
        |said| {
            let what = format!("{} bytes of a PUBLISH", said.len());
            let said = [&open, said].concat();
            let heard = stops(&mut mqtt_wire(server), &said, LIMITS.packet, &what);
            assert_eq!(heard, CONNACK, "{what}");
            let heard = stops(&mut mqtt_ws_wire(server), &said, LIMITS.packet, &what);
            assert_eq!(heard, CONNACK, "{what}");
        },
    );
    // Byte by byte makes it no younger.
    let mut wire = mqtt_wire(server);
    wire.write_all(&open).expect("it is read");
    let since = Instant::now();
    for byte in &publish {
        if wire
            .write_all(&[*byte])
            .and_then(|()| wire.flush())
            .is_err()
        {
            break;
        }
        std::thread::sleep(LIMITS.packet / 8);
    }
    ends_after(LIMITS.packet, &mut wire, since, "a PUBLISH byte by byte");
}

#[test]
fn a_message_of_a_websocket_that_began_ends_in_time_or_never() {
    let instance = impatient();
    let server = instance.server.announcement();
    let message = frame(BINARY, &connect_with(0));
    each([1, 2, 5, message.len() - 1], |said| {
        let what = format!("{said} bytes of a message");
        let mut socket = mqtt_ws_wire(server);
        let since = Instant::now();
        socket.send_raw(&message[..said]).expect("it is read");
        ends_after(LIMITS.packet, &mut socket, since, &what);
    });
}

#[test]
fn silence_lasts_as_long_as_the_keep_alive_allows_and_no_longer_than_the_server_does() {
    let instance = impatient();
    let server = instance.server.announcement();
    let announced = [
        (0, LIMITS.silence),
        (1, Duration::from_millis(1500)),
        (65_535, LIMITS.silence),
    ];
    each(announced, |(keep_alive, limit)| {
        let what = format!("keep-alive {keep_alive}");
        let said = connect_with(keep_alive);
        let heard = stops(&mut mqtt_wire(server), &said, limit, &what);
        assert_eq!(heard, CONNACK, "{what}");
        stops(&mut mqtt_ws_wire(server), &said, limit, &what);
    });
}

#[test]
fn who_keeps_the_connection_alive_keeps_it() {
    let instance = impatient();
    let server = instance.server.announcement();
    let mut wire = mqtt_wire(server);
    wire.write_all(&connect_with(2)).expect("it is read");
    assert_eq!(mqtt::receive(&mut wire), (0x20, vec![0, 0]));
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(700));
        wire.write_all(&mqtt::PING).expect("it is read");
        assert_eq!(mqtt::receive(&mut wire), (0xd0, vec![]));
    }
}

/// Asks again and again and never listens; the server must stop reading, and then hang up.
fn never_listens(wire: &mut impl Wire, question: &[u8], what: &str) {
    let since = Instant::now();
    let mut asked = 0;
    let error = loop {
        match wire.write_all(question).and_then(|()| wire.flush()) {
            Ok(()) => asked += question.len(),
            Err(error) => break error,
        }
        assert!(asked < 64 << 20, "{what}: the server reads on and on");
    };
    let waited = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    assert!(!waited, "{what}: the server waits for ever");
    assert!(since.elapsed() < PATIENCE, "{what}: {:?}", since.elapsed());
}

/// A connection whose reader has next to no room.
pub fn narrow(address: SocketAddr) -> TcpStream {
    let socket =
        RawSocket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a socket");
    socket.connect(&address.into()).expect("the server listens");
    socket.into()
}

fn narrowly(server: &Announcement, address: SocketAddr) -> Secured {
    let host = &server.global_endpoint;
    dial_over(server, narrow(address), host, None, ALL_VERSIONS)
}

#[test]
fn who_never_listens_is_hung_up_on() {
    let instance = impatient();
    let server = instance.server.announcement();
    let pump = stranger("pump-1");
    let request = https::request(&server.global_endpoint, &pump, &register());
    never_listens(&mut narrowly(server, server.https), &request, "requests");

    let open = [
        mqtt::connect(&pump),
        mqtt::subscribe("$dps/registrations/res/#"),
    ]
    .concat();
    let publish = mqtt::publish(&register());
    let mut wire = narrowly(server, server.mqtt);
    wire.write_all(&open).expect("it is read");
    never_listens(&mut wire, &publish, "messages");

    let open = amqp::opening(&amqp::address(&pump)).concat();
    let transfer = amqp::transfer(&register());
    let mut wire = narrowly(server, server.amqp);
    wire.write_all(&open).expect("it is read");
    never_listens(&mut wire, &transfer, "transfers");

    let open = [
        mqtt::connect(&pump),
        mqtt::subscribe("$dps/registrations/res/#"),
    ]
    .concat();
    let wire = narrowly(server, server.https);
    let mut socket = Socket::open(wire, &server.global_endpoint, "/$iothub/websocket", "mqtt");
    socket.write_all(&open).expect("it is read");
    never_listens(&mut socket, &publish, "messages over a WebSocket");
}

#[test]
fn a_full_server_hangs_up_and_serves_again_when_there_is_room() {
    let instance = Instance::start(Config {
        max_connections: 2,
        ..quick()
    });
    let server = instance.server.announcement();
    let held = [mqtt_wire(server), mqtt_wire(server)].map(|mut wire| {
        wire.write_all(&connect_with(0)).expect("it is read");
        assert_eq!(mqtt::receive(&mut wire), (0x20, vec![0, 0]));
        wire
    });
    let since = Instant::now();
    ends_after(AT_ONCE, &mut connect(server.https), since, "one too many");
    assert_eq!(instance.server.counters().connections_refused, 1);
    let health = crate::hub::http::to_control(&instance, "GET /health", &[], "");
    assert_eq!(
        health.status, 200,
        "the control endpoint has places of its own"
    );
    drop(held);
    let asked = |caller: &Caller| {
        let mut wire = https_wire(server);
        let request = https::request(&server.global_endpoint, caller, &register());
        wire.write_all(&request)
            .is_ok()
            .then(|| https::read_answer(&mut wire))
    };
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        asked(&stranger("pump-1")).map(|answer| answer.status),
        Some(401)
    );
}
