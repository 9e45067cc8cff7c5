//! MQTT 3.1.1, by hand (OASIS standard, chapters 2 and 3).

use fleetstorm_protocol::attestation::TransportKind;
use rustls::ALL_VERSIONS;

use super::{Ask, Caller, Dialect, Response};
use crate::tls::{Wire, dial};

/// MQTT over TLS.
pub const DIALECT: Dialect = Dialect {
    transport: TransportKind::Mqtt,
    ask: |server, caller, ask| {
        let certificate = caller.certificate.as_ref();
        let host = &server.global_endpoint;
        let mut wire = dial(server, server.mqtt, host, certificate, ALL_VERSIONS);
        converse(&mut wire, caller, ask)
    },
};

/// Logs in, subscribes, asks once, and hears the answer.
pub fn converse(wire: &mut impl Wire, caller: &Caller, ask: &Ask) -> Response {
    send(wire, &connect(caller));
    assert_eq!(
        receive(wire),
        (0x20, vec![0, 0]),
        "CONNACK: no session, accepted"
    );
    send(wire, &subscribe("$dps/registrations/res/#"));
    assert_eq!(receive(wire), (0x90, vec![0, 1, 1]), "SUBACK: QoS 1");
    send(wire, &publish(ask));
    assert_eq!(
        receive(wire),
        (0x40, vec![0, 2]),
        "PUBACK comes before the answer"
    );
    let (head, packet) = receive(wire);
    assert_eq!(head, 0x32, "PUBLISH with QoS 1");
    answer(&packet)
}

/// PINGREQ.
pub const PING: [u8; 2] = [0xc0, 0];
/// DISCONNECT.
pub const DISCONNECT: [u8; 2] = [0xe0, 0];

/// CONNECT to DPS as the Node SDK sends it.
pub fn connect(caller: &Caller) -> Vec<u8> {
    let user = format!(
        "{}/registrations/{}/api-version={}&ClientVersion=wire%2F1",
        caller.id_scope, caller.registration_id, caller.api_version
    );
    connect_as(&caller.registration_id, &user, caller.sas.as_deref())
}

/// CONNECT with a clean session and a keep-alive of three minutes.
pub fn connect_as(client_id: &str, user: &str, password: Option<&str>) -> Vec<u8> {
    connect_with(client_id, user, password, None)
}

/// The same with a will: its topic and body, at QoS 1.
pub fn connect_with(
    client_id: &str,
    user: &str,
    password: Option<&str>,
    will: Option<(&str, &str)>,
) -> Vec<u8> {
    let mut flags = if password.is_some() { 0xc2 } else { 0x82 };
    if will.is_some() {
        flags |= 0x0c;
    }
    let mut body = [text("MQTT").as_slice(), &[4, flags, 0, 180]].concat();
    body.extend(text(client_id));
    if let Some((topic, message)) = will {
        body.extend(text(topic));
        body.extend(text(message));
    }
    body.extend(text(user));
    body.extend(password.map(text).unwrap_or_default());
    packet(0x10, &body)
}

/// A CONNECT that does not ask for a clean session.
pub fn keeping_session(mut connect: Vec<u8>) -> Vec<u8> {
    let level = connect.windows(5).position(|part| part == b"MQTT\x04");
    connect[level.expect("a CONNECT") + 5] &= !0x02;
    connect
}

/// SUBSCRIBE, packet 1, at QoS 1.
pub fn subscribe(filter: &str) -> Vec<u8> {
    packet(0x82, &[&[0, 1], text(filter).as_slice(), &[1]].concat())
}

/// PUBLISH of a question to DPS.
pub fn publish(ask: &Ask) -> Vec<u8> {
    match ask {
        Ask::Register(body) => publish_to("$dps/registrations/PUT/iotdps-register/?$rid=r-1", body),
        Ask::OperationStatus(id) => publish_to(
            &format!(
                "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=r-1&operationId={id}"
            ),
            b" ",
        ),
    }
}

/// PUBLISH, packet 2, at QoS 1.
pub fn publish_to(topic: &str, body: &[u8]) -> Vec<u8> {
    packet(0x32, &[text(topic).as_slice(), &[0, 2], body].concat())
}

/// One packet: its first byte, and what follows the length.
pub fn receive(wire: &mut impl Wire) -> (u8, Vec<u8>) {
    let mut byte = || {
        let mut byte = [0];
        wire.read_exact(&mut byte).expect("a packet");
        byte[0]
    };
    let head = byte();
    let mut length = 0;
    for shift in (0..28).step_by(7) {
        let part = byte();
        length |= usize::from(part & 0x7f) << shift;
        if part & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    wire.read_exact(&mut body).expect("the whole packet");
    (head, body)
}

/// Sends a packet.
pub fn send(wire: &mut impl Wire, packet: &[u8]) {
    wire.write_all(packet).expect("the server reads");
    wire.flush().expect("the server reads");
}

fn answer(publish: &[u8]) -> Response {
    let (length, rest) = publish.split_at(2);
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    let (topic, rest) = rest.split_at(length);
    let topic = std::str::from_utf8(topic).expect("UTF-8");
    let rest_of_topic = topic.strip_prefix("$dps/registrations/res/").expect(topic);
    let (status, query) = rest_of_topic.split_once("/?$rid=r-1").expect(topic);
    let retry_after = query
        .strip_prefix("&retry-after=")
        .map(|seconds| seconds.parse().expect("seconds"));
    Response {
        status: status.parse().expect("a status"),
        retry_after,
        body: serde_json::from_slice(&rest[2..]).expect("a JSON body"),
    }
}

/// One packet of its first byte and what follows the length.
pub fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![head];
    let mut length = body.len();
    loop {
        let part = u8::try_from(length % 128).expect("seven bits");
        length /= 128;
        packet.push(if length > 0 { part | 0x80 } else { part });
        if length == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

/// A text with its length before it.
pub fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    [length.to_be_bytes().as_slice(), text.as_bytes()].concat()
}
