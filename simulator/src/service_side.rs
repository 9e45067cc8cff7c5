//! The service's side of an instance, as an operator uses it: its REST API over HTTPS, signed.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_protocol::enrollment::{Enrollment, IndividualEnrollment};
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::service_api::MAX_BULK;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::stopwatch::unix_now;

/// The version of the API that this speaks.
const API_VERSION: &str = "2021-10-01";
/// Life of a token, seconds: one request.
const TOKEN_LIFE: i64 = 300;
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Longest answer.
const MAX_ANSWER: u64 = 1 << 20;

/// One instance's.
#[derive(Debug, Clone)]
pub struct ServiceSide {
    host: String,
    policy: String,
    key: SymmetricKey,
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl ServiceSide {
    /// By the instance's connection string; connects to `address` and trusts `ca_pem`.
    ///
    /// # Errors
    /// One of them can't be used.
    pub fn new(connection_string: &str, address: SocketAddr, ca_pem: &str) -> Result<Self, String> {
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
        })
    }

    /// Puts enrollments in the place of those of the same ids: groups one by one, individual ones as
    /// many together as a bulk operation takes.
    ///
    /// # Errors
    /// The service does not answer, or refuses one: with its reason. Those before it are replaced.
    pub fn replace(&self, enrollments: impl IntoIterator<Item = Enrollment>) -> io::Result<()> {
        let mut batch = Vec::with_capacity(MAX_BULK);
        for enrollment in enrollments {
            match enrollment {
                Enrollment::Group(group) => {
                    let path = format!("/enrollmentGroups/{}", group.enrollment_group_id);
                    self.ask("PUT", &path, &serde_json::to_string(&group)?)?;
                }
                Enrollment::Individual(individual) => batch.push(individual),
            }
            if batch.len() == MAX_BULK {
                self.update(&batch)?;
                batch.clear();
            }
        }
        self.update(&batch)
    }

    /// A bulk operation.
    fn update(&self, batch: &[IndividualEnrollment]) -> io::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let body = json!({"mode": "update", "enrollments": batch});
        let answer = self.ask("POST", "/enrollments", &body.to_string())?;
        if answer["isSuccessful"] == true {
            return Ok(());
        }
        let error = &answer["errors"][0];
        let (id, why) = (&error["registrationId"], &error["errorStatus"]);
        Err(io::Error::other(format!("enrollment {id}: {why}")))
    }

    /// The answer's body.
    fn ask(&self, method: &str, path: &str, body: &str) -> io::Result<Value> {
        let answer = self.send(method, path, body)?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        let said = body.and_then(|body| serde_json::from_str::<Value>(body).ok());
        if answer.starts_with("HTTP/1.1 200") {
            return Ok(said.unwrap_or_default());
        }
        let message = said.as_ref().and_then(|said| said["message"].as_str());
        let status = answer.lines().next().unwrap_or("nothing");
        Err(io::Error::other(message.unwrap_or(status).to_owned()))
    }

    fn send(&self, method: &str, path: &str, body: &str) -> io::Result<String> {
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
        let (host, length) = (&self.host, body.len());
        write!(
            stream,
            "{method} {path}?api-version={API_VERSION} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: {token}\r\nIf-Match: \"*\"\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = Vec::new();
        match stream.take(MAX_ANSWER).read_to_end(&mut answer) {
            // A peer that closes without TLS's good-bye has said all the same.
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
        }
    }
}
