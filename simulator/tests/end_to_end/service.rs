//! The service's side of a server: its control port, and its hubs' REST API.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::binary::Served;

/// Far beyond any test.
const NEVER: i64 = 4_000_000_000;

/// One request to the server's control port.
pub fn control(served: &Served, method: &str, target: &str, body: &str) -> Value {
    let stream = TcpStream::connect(served.text("control")).expect("the control port");
    asked(stream, method, target, "localhost", "none", body).expect(target)
}

/// Takes all hubs down, or up.
pub fn set_hubs(served: &Served, state: &str) {
    for hub in hubs(served) {
        let body = format!(r#"{{"state":"{state}"}}"#);
        control(served, "PUT", &format!("/hubs/{hub}/state"), &body);
    }
}

/// Host names of the hubs.
pub fn hubs(served: &Served) -> Vec<&str> {
    let hubs = served.announcement["hubs"].as_array().expect("hubs");
    hubs.iter().filter_map(Value::as_str).collect()
}

/// One signed request to the REST API of the hub that takes it: the one which the device is at.
pub fn hub(served: &Served, method: &str, target: &str, body: &str) -> Value {
    let all = served.announcement["hub_connection_strings"].as_array();
    let mut all = all.into_iter().flatten().filter_map(Value::as_str);
    let answer = all.find_map(|one| at_hub(served, one, method, target, body));
    answer.expect(target)
}

/// The same at one hub; nothing, where it does not answer with 200.
pub fn at_hub(
    served: &Served,
    connection: &str,
    method: &str,
    target: &str,
    body: &str,
) -> Option<Value> {
    let (stream, host, token) = dial(served, connection);
    let target = format!("{target}?api-version=2021-04-12");
    asked(stream, method, &target, host, &token, body)
}

/// A connection to whom a connection string names: with its host name, and a token for it.
pub fn dial<'a>(
    served: &Served,
    connection: &'a str,
) -> (StreamOwned<ClientConnection, TcpStream>, &'a str, String) {
    let part = |name: &str| {
        let mut parts = connection.split(';');
        parts.find_map(|part| part.strip_prefix(name)).expect(name)
    };
    let (host, key_name) = (part("HostName="), part("SharedAccessKeyName="));
    let key = SymmetricKey::parse(part("SharedAccessKey=")).expect("a key");
    let token = SasToken::format(host, NEVER, Some(key_name), |text| key.sign(text));
    let wire = secured(served.text("https"), served.text("ca_pem"), host);
    (wire, host, token)
}

/// A connection to a port of a server, asking for `host`.
pub fn secured(
    address: &str,
    ca_pem: &str,
    host: &str,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).expect("PEM");
    roots.add(ca).expect("a CA");
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).expect("a name");
    let tls = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let stream = TcpStream::connect(address).expect("a port");
    StreamOwned::new(tls, stream)
}

fn asked(
    mut stream: impl Read + Write,
    method: &str,
    target: &str,
    host: &str,
    authorization: &str,
    body: &str,
) -> Option<Value> {
    let length = body.len();
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: {authorization}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("a request");
    let mut answer = Vec::new();
    // A peer that closes without TLS's good-bye has said all the same.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    let served = head.starts_with("HTTP/1.1 200");
    served.then(|| serde_json::from_str(body).expect("JSON"))
}
