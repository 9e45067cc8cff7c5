//! AMQP 1.0, by hand (OASIS standard, parts 1 to 3).

use fleetstorm_protocol::attestation::TransportKind;
use rustls::ALL_VERSIONS;
use serde_json::Value;

use super::{Ask, Caller, Dialect, Response};
use crate::tls::{Wire, dial};

/// Starts the AMQP layer.
pub const HEADER: &[u8] = b"AMQP\x00\x01\x00\x00";
/// Starts the SASL layer.
pub const SASL_HEADER: &[u8] = b"AMQP\x03\x01\x00\x00";
/// A frame that says nothing.
pub const HEARTBEAT: &[u8] = &[0, 0, 0, 8, 2, 0, 0, 0];
/// The end of a session, without an error.
pub const END: &[u8] = &[0, 0, 0, 12, 2, 0, 0, 0, 0x00, 0x53, 0x17, 0x45];
/// The end of a connection, without an error.
pub const CLOSE: &[u8] = &[0, 0, 0, 12, 2, 0, 0, 0, 0x00, 0x53, 0x18, 0x45];
/// Most of a message that is put into one frame: less than the server takes.
const PART: usize = 60_000;

/// AMQP over TLS.
pub const DIALECT: Dialect = Dialect {
    transport: TransportKind::Amqp,
    ask: |server, caller, ask| {
        let certificate = caller.certificate.as_ref();
        let host = &server.global_endpoint;
        let mut wire = dial(server, server.amqp, host, certificate, ALL_VERSIONS);
        converse(&mut wire, caller, ask)
    },
};

/// Logs in, attaches both links, asks once, and hears the answer or the refusal.
pub fn converse(wire: &mut impl Wire, caller: &Caller, ask: &Ask) -> Response {
    if let Some(sas) = &caller.sas {
        let user = format!(
            "{}/registrations/{}",
            caller.id_scope, caller.registration_id
        );
        let response = format!("\0{user}\0{sas}");
        assert_eq!(plain(wire, response.as_bytes()), 0, "SASL outcome: ok");
    }
    let version = [("com.microsoft:api-version", caller.api_version)];
    open_with(wire, &address(caller), &version);
    send(wire, &transfer(ask));
    hear(wire)
}

/// The bare address of a device's links.
pub fn address(caller: &Caller) -> String {
    format!(
        "{}/registrations/{}",
        caller.id_scope, caller.registration_id
    )
}

/// SASL PLAIN; its outcome.
pub fn plain(wire: &mut impl Wire, response: &[u8]) -> u8 {
    send(wire, SASL_HEADER);
    assert_eq!(read(wire, 8), SASL_HEADER);
    let (code, _) = receive_sasl(wire);
    assert_eq!(code, 0x40, "SASL mechanisms");
    send(wire, &init("PLAIN", response));
    let (code, outcome) = receive_sasl(wire);
    assert_eq!(code, 0x44, "SASL outcome");
    // A list of one ubyte, behind its descriptor.
    *outcome.last().expect("a code")
}

/// Header, open, begin, receiver, sender: all at once, as the Java SDK does; then what the server says to it.
pub fn open(wire: &mut impl Wire, address: &str) {
    open_with(wire, address, &[]);
}

/// The same with properties of both links.
fn open_with(wire: &mut impl Wire, address: &str, properties: &[(&str, &str)]) {
    send(wire, &opening_with(address, properties).concat());
    assert_eq!(read(wire, 8), HEADER);
    for (code, name) in [
        (0x10, "open"),
        (0x11, "begin"),
        (0x12, "attach"),
        (0x12, "attach"),
        (0x13, "flow"),
    ] {
        assert_eq!(receive(wire).0, code, "{name}");
    }
}

/// Header, open, begin, receiver, sender, and credit for the receiver.
pub fn opening(address: &str) -> Vec<Vec<u8>> {
    opening_with(address, &[])
}

fn opening_with(address: &str, properties: &[(&str, &str)]) -> Vec<Vec<u8>> {
    vec![
        HEADER.to_vec(),
        frame(0x10, &[string("wire"), string("global.test:5671")]),
        frame(0x11, &[vec![0x40], uint(0), uint(200), uint(200)]),
        attach_with(0, true, address, properties),
        attach_with(1, false, address, properties),
        flow(0, 10),
    ]
}

/// SASL init with its response.
pub fn init(mechanism: &str, response: &[u8]) -> Vec<u8> {
    sasl(0x41, &[symbol(mechanism), binary(response)])
}

/// SASL response.
pub fn response(response: &[u8]) -> Vec<u8> {
    sasl(0x43, &[binary(response)])
}

/// The end of a link, without an error.
pub fn detach(handle: u8) -> Vec<u8> {
    frame(0x16, &[uint(handle), vec![0x41]])
}

/// An attach with its terminus on the server's side.
pub fn attach(handle: u8, receives: bool, address: &str) -> Vec<u8> {
    attach_with(handle, receives, address, &[])
}

/// The same with properties.
pub fn attach_with(
    handle: u8,
    receives: bool,
    address: &str,
    properties: &[(&str, &str)],
) -> Vec<u8> {
    let there = described(0x28, &[string(address)]);
    let (source, target) = if receives {
        (there, described(0x29, &[]))
    } else {
        (described(0x28, &[]), described(0x29, &[string(address)]))
    };
    frame(
        0x12,
        &[
            string(&format!("link-{handle}")),
            uint(handle),
            vec![if receives { 0x41 } else { 0x42 }],
            vec![0x40],
            vec![0x40],
            source,
            target,
            vec![0x40],
            vec![0x40],
            if receives { vec![0x40] } else { uint(0) },
            vec![0x40],
            vec![0x40],
            vec![0x40],
            map(properties),
        ],
    )
}

/// A flow that gives a link credit.
pub fn flow(handle: u8, credit: u8) -> Vec<u8> {
    let window = [uint(0), uint(255), uint(0), uint(255)];
    frame(
        0x13,
        &[&window[..], &[uint(handle), uint(0), uint(credit)]].concat(),
    )
}

/// A question on the link with handle 1, in as many frames as it takes.
pub fn transfer(ask: &Ask) -> Vec<u8> {
    let (kind, operation, body): (_, _, &[u8]) = match ask {
        Ask::Register(body) => ("iotdps-register", None, body),
        Ask::OperationStatus(id) => ("iotdps-get-operationstatus", Some(id), b"{}"),
    };
    let mut properties = vec![string("iotdps-operation-type"), string(kind)];
    if let Some(id) = operation {
        properties.extend([string("iotdps-operation-id"), string(id)]);
    }
    let message = [
        section(
            0x73,
            &compound(
                0xd0,
                &[
                    vec![0x40],
                    vec![0x40],
                    vec![0x40],
                    vec![0x40],
                    vec![0x40],
                    string("c-1"),
                ],
            ),
        ),
        section(0x74, &compound(0xd1, &properties)),
        section(0x75, &binary(body)),
    ]
    .concat();
    deliver(1, 0, &message)
}

/// A delivery of a message, unsettled.
pub fn deliver(handle: u8, delivery: u8, message: &[u8]) -> Vec<u8> {
    let mut parts = message.chunks(PART).peekable();
    let mut frames = Vec::new();
    while let Some(part) = parts.next() {
        let more = if parts.peek().is_some() { 0x41 } else { 0x42 };
        let fields = [
            uint(handle),
            uint(delivery),
            binary(&[delivery]),
            uint(0),
            vec![0x42],
            vec![more],
        ];
        let mut bytes = frame(0x14, &fields);
        bytes.extend_from_slice(part);
        let size = u32::try_from(bytes.len()).expect("a frame").to_be_bytes();
        bytes[..4].copy_from_slice(&size);
        frames.extend(bytes);
    }
    frames
}

/// The answer: a disposition, and, when it accepts, a transfer.
pub fn hear(wire: &mut impl Wire) -> Response {
    let (code, disposition) = receive(wire);
    assert_eq!(code, 0x15, "disposition");
    if let Some(at) = find(&disposition, b"\x00\x53\x1d") {
        let (condition, rest) = text(&disposition[at + 3..], 0xa3, 0xb3);
        let (description, _) = text(rest, 0xa1, 0xb1);
        let body: Value = serde_json::from_slice(&description).expect("JSON as description");
        let status = match &condition[..] {
            b"com.microsoft:argument-error" => 400,
            b"amqp:unauthorized-access" => 401,
            b"amqp:not-found" => 404,
            b"amqp:link:message-size-exceeded" => 413,
            b"com.microsoft:device-container-throttled" => 429,
            b"amqp:internal-error" => 500,
            other => panic!("condition {}", String::from_utf8_lossy(other)),
        };
        return Response {
            status,
            retry_after: seconds_in_error(&disposition),
            body,
        };
    }
    assert!(find(&disposition, b"\x00\x53\x24").is_some(), "accepted");
    let (code, transfer) = receive(wire);
    assert_eq!(code, 0x14, "transfer");
    assert!(
        find(&transfer, b"\xa1\x03c-1").is_some(),
        "the correlation id comes back"
    );
    let retry_after = ["\u{a1}\x0bretry-after", "\u{a1}\x0bRetry-After"].map(|name| {
        let name: Vec<u8> = name.chars().map(|c| c as u8).collect();
        let at = find(&transfer, &name)? + name.len();
        assert_eq!(transfer[at], 0x54, "retry-after is an int");
        Some(u32::from(transfer[at + 1]))
    });
    assert_eq!(retry_after[0], retry_after[1], "both spellings, or none");
    let at = find(&transfer, b"\x00\x53\x75").expect("a Data section") + 3;
    let (data, rest) = text(&transfer[at..], 0xa0, 0xb0);
    assert!(rest.is_empty(), "one Data section, and the last");
    let body: Value = serde_json::from_slice(&data).expect("JSON");
    let status = if body["status"] == "assigning" {
        202
    } else {
        200
    };
    Response {
        status,
        retry_after: retry_after[0],
        body,
    }
}

/// The wait in the info of an error, in both spellings or none.
fn seconds_in_error(disposition: &[u8]) -> Option<u32> {
    let waits = [b"\xa3\x0bretry-after", b"\xa3\x0bRetry-After"].map(|name| {
        let at = find(disposition, name)? + name.len();
        assert_eq!(disposition[at], 0x54, "retry-after is an int");
        Some(u32::from(disposition[at + 1]))
    });
    assert_eq!(waits[0], waits[1], "both spellings, or none");
    waits[0]
}

/// A frame: the code of its performative, and what follows it.
pub fn receive(wire: &mut impl Wire) -> (u8, Vec<u8>) {
    receive_of(wire, 0)
}

/// A SASL frame: the code of its body, and what follows it.
pub fn receive_sasl(wire: &mut impl Wire) -> (u8, Vec<u8>) {
    receive_of(wire, 1)
}

fn receive_of(wire: &mut impl Wire, kind: u8) -> (u8, Vec<u8>) {
    let head = read(wire, 8);
    let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    assert_eq!((head[4], head[5]), (2, kind), "data offset and type");
    let body = read(wire, usize::try_from(size).expect("a size") - 8);
    assert_eq!(body[..2], [0x00, 0x53], "a described type");
    (body[2], body[3..].to_vec())
}

/// The next bytes.
pub fn read(wire: &mut impl Wire, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    wire.read_exact(&mut bytes).expect("the server answers");
    bytes
}

/// Sends bytes.
pub fn send(wire: &mut impl Wire, bytes: &[u8]) {
    wire.write_all(bytes).expect("the server reads");
    wire.flush().expect("the server reads");
}

/// A frame on channel 0 with a performative.
pub fn frame(code: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    framed(0, &described(code, fields))
}

/// A SASL frame.
pub fn sasl(code: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    framed(1, &described(code, fields))
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).expect("a frame");
    [&size.to_be_bytes()[..], &[2, kind, 0, 0], body].concat()
}

/// A described list.
pub fn described(code: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    section(code, &compound(0xd0, fields))
}

/// A described value.
pub fn section(code: u8, value: &[u8]) -> Vec<u8> {
    [&[0x00, 0x53, code], value].concat()
}

/// A list or map in its wide form.
pub fn compound(code: u8, items: &[Vec<u8>]) -> Vec<u8> {
    let body = items.concat();
    let size = u32::try_from(body.len() + 4).expect("a size").to_be_bytes();
    let count = u32::try_from(items.len()).expect("a count").to_be_bytes();
    [&[code], &size[..], &count, &body].concat()
}

/// A map of symbols to strings.
fn map(entries: &[(&str, &str)]) -> Vec<u8> {
    let items = entries
        .iter()
        .flat_map(|(key, value)| [symbol(key), string(value)]);
    compound(0xd1, &items.collect::<Vec<_>>())
}

/// The sections of a message: annotations, a message id, properties of the application, a body.
pub fn message(
    annotations: &[(&str, &str)],
    id: &str,
    properties: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let items = properties
        .iter()
        .flat_map(|(key, value)| [string(key), string(value)]);
    [
        section(0x72, &map(annotations)),
        section(0x73, &compound(0xd0, &[string(id)])),
        section(0x74, &compound(0xd1, &items.collect::<Vec<_>>())),
        body.to_vec(),
    ]
    .concat()
}

/// A body of bytes.
pub fn data(bytes: &[u8]) -> Vec<u8> {
    section(0x75, &binary(bytes))
}

/// A body of text.
pub fn value(text: &str) -> Vec<u8> {
    section(0x77, &string(text))
}

/// A string.
pub fn string(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    [&[0xa1, length], text.as_bytes()].concat()
}

/// A symbol.
pub fn symbol(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    [&[0xa3, length], text.as_bytes()].concat()
}

/// A binary.
pub fn binary(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a length").to_be_bytes();
    [&[0xb0], &length[..], bytes].concat()
}

/// A small uint.
pub fn uint(number: u8) -> Vec<u8> {
    vec![0x52, number]
}

/// The content of a text or binary of either width, and what follows.
fn text(bytes: &[u8], narrow: u8, wide: u8) -> (Vec<u8>, &[u8]) {
    // A list's header may come first.
    let start = match bytes[0] {
        0xc0 => 3,
        0xd0 => 9,
        _ => 0,
    };
    let bytes = &bytes[start..];
    assert!([narrow, wide].contains(&bytes[0]), "a text");
    let (length, header) = if bytes[0] == narrow {
        (usize::from(bytes[1]), 2)
    } else {
        let length = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
        (usize::try_from(length).expect("a length"), 5)
    };
    let (content, rest) = bytes[header..].split_at(length);
    (content.to_vec(), rest)
}

/// Where `part` stands in `bytes`.
pub fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
