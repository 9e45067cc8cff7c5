//! What a server says of a device when the service side asks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::binary::Served;

/// The service API of an instance or a hub, over one connection.
pub struct ServiceApi {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    host: String,
    token: String,
}

impl ServiceApi {
    /// As a connection string says.
    pub fn connect(served: &Served, connection_string: &str) -> Self {
        let part = |name: &str| {
            let mut parts = connection_string.split(';');
            let found = parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            found.expect(name).to_owned()
        };
        let host = part("HostName");
        let key = SymmetricKey::parse(&part("SharedAccessKey")).expect("a key");
        let name = part("SharedAccessKeyName");
        let expiry = i64::from(u32::MAX);
        let token = SasToken::format(&host, expiry, Some(&name), |text| key.sign(text));

        let mut trust = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(served.text("ca_pem").as_bytes());
        trust.add(ca.expect("a certificate")).expect("a CA");
        let config = ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(trust)
        .with_no_client_auth();
        let name = ServerName::try_from(host.clone()).expect("a host name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
        let stream = TcpStream::connect(served.text("https")).expect("the HTTPS port");
        Self {
            stream: BufReader::new(StreamOwned::new(connection, stream)),
            host,
            token,
        }
    }

    /// What is at a path; nothing, where it is not found.
    pub fn get(&mut self, path: &str) -> Option<Value> {
        let Self { host, token, .. } = self;
        let request = format!(
            "GET {path}?api-version=2021-04-12 HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n"
        );
        let stream = self.stream.get_mut();
        stream
            .write_all(request.as_bytes())
            .expect("the server reads");
        let mut line = || {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("a line");
            line.trim_end().to_ascii_lowercase()
        };
        let status = line();
        let mut length = 0;
        loop {
            let header = line();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().expect("a number");
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a body");
        if status.contains(" 404 ") {
            return None;
        }
        assert!(status.contains(" 200 "), "{path}: {status}");
        Some(serde_json::from_slice(&body).expect("JSON"))
    }
}
