//! HTTP to a hub, by hand: one request a connection.

use std::io::{Read, Write};

use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::tpm::IdentityKey;
use rustls::ALL_VERSIONS;
use serde_json::Value;

use super::{HUB, SERVICE_KEY};
use crate::dialect::Caller;
use crate::instance::Instance;
use crate::tls::{connect, dial};

/// One answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Response {
    /// The value of a header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let mut named = self.headers.iter().filter(|(header, _)| header == name);
        named.next().map_or("", |(_, value)| value)
    }

    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// Reads it to its end.
    pub fn read(wire: &mut impl Read) -> Self {
        let mut text = String::new();
        // The server may close without a good-bye.
        let _ = wire.read_to_string(&mut text);
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status.expect("an answer")[..3].parse().expect("a status");
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            status,
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: body.to_owned(),
        }
    }
}

/// A request as a device sends it, with its certificate.
pub fn as_device(
    instance: &Instance,
    caller: &Caller,
    line: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let server = instance.server.announcement();
    let certificate = caller.certificate.as_ref();
    let mut wire = dial(server, server.https, HUB, certificate, ALL_VERSIONS);
    wire.write_all(&request(line, headers, body))
        .expect("the server reads");
    Response::read(&mut wire)
}

/// A request as the service sends it, signed with the hub's policy.
pub fn as_service(
    instance: &Instance,
    line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let token = policy_token(SERVICE_KEY, "iothubowner");
    let headers = [&[("Authorization", token.as_str())], headers].concat();
    as_anybody(instance, line, &headers, body)
}

/// A request with nothing but what it says.
pub fn as_anybody(
    instance: &Instance,
    line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let server = instance.server.announcement();
    let mut wire = dial(server, server.https, HUB, None, ALL_VERSIONS);
    wire.write_all(&request(line, headers, body.as_bytes()))
        .expect("the server reads");
    Response::read(&mut wire)
}

/// A request to the control endpoint.
pub fn to_control(
    instance: &Instance,
    line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let mut wire = connect(instance.server.announcement().control);
    wire.write_all(&control_request(line, headers, body.as_bytes()))
        .expect("the server reads");
    Response::read(&mut wire)
}

/// Head and body of one.
pub fn control_request(line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let json = ("Content-Type", "application/json");
    request_of("localhost", line, &[&[json], headers].concat(), body)
}

/// A token of the hub's policy.
pub fn policy_token(key: u8, policy: &str) -> String {
    policy_token_until(i64::from(u32::MAX), key, policy)
}

/// The same until a time, in Unix seconds.
pub fn policy_token_until(expiry: i64, key: u8, policy: &str) -> String {
    let sign = |text: &[u8]| IdentityKey::from_bytes([key; 32]).sign(text);
    SasToken::format(HUB, expiry, Some(policy), sign)
}

/// Head and body of a request.
pub fn request(line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    request_of(HUB, line, headers, body)
}

fn request_of(host: &str, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\
         {headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}
