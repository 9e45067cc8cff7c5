//! A service API over HTTPS, each request signed by a shared access policy's key.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::stopwatch::unix_now;

/// Life of a token, seconds: one request.
const TOKEN_LIFE: i64 = 300;
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Longest answer.
const MAX_ANSWER: u64 = 1 << 20;

/// That of an instance or a hub.
#[derive(Debug, Clone)]
pub(super) struct SignedApi {
    host: String,
    policy: String,
    key: SymmetricKey,
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    version: &'static str,
}

/// A request to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// Whether what it writes must be there already.
    pub(super) if_there: bool,
    pub(super) body: &'a str,
}

/// The response.
#[derive(Debug, Clone)]
pub(super) struct Response {
    pub(super) status: u16,
    /// Null where there is none.
    pub(super) body: Value,
}

impl SignedApi {
    /// By a connection string; connects to `address`, trusts `ca_pem`, speaks `version` of the API.
    ///
    /// # Errors
    /// One of them can't be used.
    pub(super) fn new(
        connection_string: &str,
        address: SocketAddr,
        ca_pem: &str,
        version: &'static str,
    ) -> Result<Self, String> {
        let part = |name: &str| {
            let mut parts = connection_string.split(';');
            let found = parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            found.ok_or_else(|| format!("the connection string has no {name}"))
        };
        let key = SymmetricKey::parse(part("SharedAccessKey")?).map_err(|e| e.to_string())?;
        let mut roots = RootCertStore::empty();
        for ca in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            let ca = ca.map_err(|e| e.to_string())?;
            roots.add(ca).map_err(|e| e.to_string())?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            host: part("HostName")?.to_owned(),
            policy: part("SharedAccessKeyName")?.to_owned(),
            key,
            address,
            tls: Arc::new(tls),
            version,
        })
    }

    /// What is answered.
    ///
    /// # Errors
    /// Nothing is, or nothing that can be read.
    pub(super) fn request(&self, request: Request<'_>) -> io::Result<Response> {
        let answer = self.send(request)?;
        let status = answer
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        let status = status.and_then(|status| status.parse().ok());
        let unknown = || io::Error::other("the service does not speak HTTP");
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        Ok(Response {
            status: status.ok_or_else(unknown)?,
            body: body
                .and_then(|body| serde_json::from_str(body).ok())
                .unwrap_or_default(),
        })
    }

    fn send(&self, request: Request<'_>) -> io::Result<String> {
        let stream = TcpStream::connect_timeout(&self.address, CONNECT_LIMIT)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.set_write_timeout(Some(ANSWER_LIMIT))?;
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::clone(&self.tls), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(tls, stream);
        let sign = |text: &[u8]| self.key.sign(text);
        let token = SasToken::format(
            &self.host,
            unix_now() + TOKEN_LIFE,
            Some(&self.policy),
            sign,
        );
        let Request {
            method, path, body, ..
        } = request;
        let (host, version, length) = (&self.host, self.version, body.len());
        let condition = if request.if_there {
            "If-Match: \"*\"\r\n"
        } else {
            ""
        };
        write!(
            stream,
            "{method} {path}?api-version={version} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: {token}\r\n{condition}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = Vec::new();
        match stream.take(MAX_ANSWER).read_to_end(&mut answer) {
            // A peer that closes without TLS's good-bye has said all the same.
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
        }
    }
}

impl Response {
    /// Its body, where all went well.
    ///
    /// # Errors
    /// It is refused: with the service's reason.
    pub(super) fn well(self) -> io::Result<Value> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        let message = self.body["message"].as_str().map(ToOwned::to_owned);
        let message = message.unwrap_or_else(|| format!("the service answered {}", self.status));
        Err(io::Error::other(message))
    }
}
