//! HTTP/1.1, by hand.

use std::io::{BufRead, BufReader, Read, Write};

use fleetstorm_protocol::attestation::TransportKind;
use fleetstorm_reference_server::Announcement;
use rustls::ALL_VERSIONS;

use super::{Ask, Caller, Dialect, Response};
use crate::tls::{Wire, dial};

/// HTTPS.
pub const DIALECT: Dialect = Dialect {
    transport: TransportKind::Https,
    ask,
};

fn ask(server: &Announcement, caller: &Caller, ask: &Ask) -> Response {
    let certificate = caller.certificate.as_ref();
    let host = &server.global_endpoint;
    let mut wire = dial(server, server.https, host, certificate, ALL_VERSIONS);
    wire.write_all(&request(host, caller, ask))
        .expect("the server reads");
    read_answer(&mut wire)
}

/// Head and body of a question.
pub fn request(host: &str, caller: &Caller, ask: &Ask) -> Vec<u8> {
    let device = format!(
        "/{}/registrations/{}",
        caller.id_scope, caller.registration_id
    );
    let version = format!("api-version={}", caller.api_version);
    let (line, body): (_, &[u8]) = match ask {
        Ask::Register(body) => (format!("PUT {device}/register?{version}"), body),
        Ask::OperationStatus(id) => (format!("GET {device}/operations/{id}?{version}"), &[]),
    };
    let authorization = caller
        .sas
        .as_ref()
        .map_or(String::new(), |sas| format!("Authorization: {sas}\r\n"));
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: {host}\r\n{authorization}\
         Content-Type: application/json; charset=utf-8\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// One answer, to its last byte.
pub fn read_answer(wire: &mut impl Wire) -> Response {
    let mut lines = BufReader::new(wire);
    let mut line = || {
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line of an answer");
        line.trim_end().to_owned()
    };
    let first = line();
    let status = first.strip_prefix("HTTP/1.1 ").expect(&first);
    let status = status[..3].parse().expect("a status");
    let (mut length, mut retry_after) = (0, None);
    loop {
        let header = line().to_ascii_lowercase();
        let Some((name, value)) = header.split_once(": ") else {
            break;
        };
        match name {
            "content-length" => length = value.parse().expect("a length"),
            "retry-after" => retry_after = Some(value.parse().expect("seconds")),
            "content-type" => assert!(value.starts_with("application/json"), "{value}"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).expect("the whole body");
    Response {
        status,
        retry_after,
        body: serde_json::from_slice(&body).expect("a JSON body"),
    }
}
