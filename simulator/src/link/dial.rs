//! Resolve, connect, TLS: each timed.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fleetstorm_protocol::x509::check_validity;
use fleetstorm_reports::{Fault, Phase};
use jiff::Timestamp;
use nix::sys::socket::{setsockopt, sockopt};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, KeyLog, KeyLogFile, RootCertStore, SignatureScheme};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::region_link::RegionLink;
use super::shaped::Shaped;
use super::trust::CachingVerifier;
use crate::failure::Failure;
use crate::generator::delay::Delay;

use self::fault::why_unresolved;

mod fault;
#[cfg(test)]
pub mod memory;

pub use fault::fault_of;

/// The first source address on loopback of devices that are nowhere in particular.
const FIRST_SOURCE: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);
/// Source addresses on loopback from the first on. With 10,000 connections each
/// the kernel finds a port at once, and the ports of all last for any fleet.
const SOURCES: u32 = 200;

/// Makes connections for all devices of one core.
pub struct Dialer {
    base: ClientConfig,
    connect_to: Option<IpAddr>,
    next_source: AtomicU32,
    /// Takes the place of the real one.
    #[cfg(test)]
    pub network: Option<memory::Network>,
}

/// Whom to trust and where to connect.
#[derive(Debug, Clone, Default)]
pub struct DialOptions {
    /// PEM of the CAs to trust; the system's when `None`.
    pub trust_pem: Option<String>,
    /// Connect here, whatever names resolve to.
    pub connect_to: Option<IpAddr>,
}

/// A connection after its TLS handshake.
pub type Secured = TlsStream<Shaped>;

/// The way of one device to one host.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// The first of its source addresses, towards a loopback target.
    pub sources: Option<Ipv4Addr>,
    /// The line; none where nothing is different from the network itself.
    pub line: Option<RegionLink>,
    /// Decides what is chance on it.
    pub seed: u64,
    /// Of its device, which also waits for the task that hands bytes over.
    pub delay: Delay,
}

/// What broke, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// When.
    pub phase: Phase,
    /// How.
    pub fault: Fault,
}

impl Dialer {
    /// A dialler. Loopback targets get source addresses out of 127/8, so that ports don't run out.
    ///
    /// # Errors
    /// No trust anchor can be read.
    pub fn new(options: &DialOptions) -> Result<Self, Failure> {
        let provider = Arc::new(provider());
        let roots = match &options.trust_pem {
            Some(pem) => roots_of_pem(pem)?,
            None => system_roots()?,
        };
        let unusable = |e: &dyn std::fmt::Display| {
            Failure::usage(format!("the trust anchors can't be used: {e}"))
        };
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|e| unusable(&e))?;
        let mut base = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| unusable(&e))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(CachingVerifier::new(verifier)))
            .with_no_client_auth();
        base.resumption = rustls::client::Resumption::disabled();
        if let Some(log) = key_log()? {
            base.key_log = log;
        }
        Ok(Self {
            base,
            connect_to: options.connect_to,
            next_source: AtomicU32::new(0),
            #[cfg(test)]
            network: None,
        })
    }

    /// Reads a PEM file of CAs.
    ///
    /// # Errors
    /// It can't be read, or holds no certificate.
    pub fn read_trust(path: &Path) -> Result<String, Failure> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Failure::usage(format!(
                "failed to read the CA file {}: {e}",
                path.display()
            ))
        })?;
        roots_of_pem(&text).map_err(|failure| Failure {
            message: format!("{}: {}", path.display(), failure.message),
            ..failure
        })?;
        Ok(text)
    }

    /// Resolves `host`, connects, and shakes hands, presenting `identity` if the server asks for a certificate.
    ///
    /// # Errors
    /// What broke, and in which phase.
    pub async fn dial(
        &self,
        host: &str,
        port: u16,
        identity: Option<&Arc<CertifiedKey>>,
        way: Way,
    ) -> Result<Secured, Broken> {
        let at = |phase| move |fault| Broken { phase, fault };
        let address = self.resolve(host, port).await.map_err(at(Phase::Resolve))?;
        let connecting = self.connect(address, way);
        let stream = connecting.await.map_err(at(Phase::Connect))?;
        self.secure(host, stream, identity)
            .await
            .map_err(at(Phase::Tls))
    }

    /// Name to address.
    ///
    /// # Errors
    /// The name has none, or this machine no file to ask for it.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<SocketAddr, Fault> {
        if let Some(address) = self.connect_to.or_else(|| host.parse().ok()) {
            return Ok(SocketAddr::new(address, port));
        }
        let mut found = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| why_unresolved(&error))?;
        found.next().ok_or(Fault::Unresolvable)
    }

    /// TCP; its handshake takes the way's round trip.
    ///
    /// # Errors
    /// Nobody listens, or this machine has no port or file left.
    pub async fn connect(&self, address: SocketAddr, way: Way) -> Result<Shaped, Fault> {
        #[cfg(test)]
        if let Some(network) = &self.network {
            return network.connect(address.port());
        }
        let socket = self
            .socket(address, way.sources)
            .map_err(|error| fault_of(&error))?;
        let connecting = TcpSocket::from_std_stream(socket.into()).connect(address);
        Shaped::connect(connecting, way.line, (way.seed, way.delay))
            .await
            .map_err(|error| fault_of(&error))
    }

    /// TLS; `identity` is presented if the server asks for a certificate.
    ///
    /// # Errors
    /// The server is not trusted, or the handshake failed.
    pub async fn secure(
        &self,
        host: &str,
        stream: Shaped,
        identity: Option<&Arc<CertifiedKey>>,
    ) -> Result<Secured, Fault> {
        let mut config = self.base.clone();
        if let Some(identity) = identity {
            config.client_auth_cert_resolver = Arc::new(Presents(Arc::clone(identity)));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Fault::Unresolvable)?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        connecting.await.map_err(|error| fault_of(&error))
    }

    fn socket(&self, address: SocketAddr, sources: Option<Ipv4Addr>) -> io::Result<Socket> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if address.is_ipv4() && address.ip().is_loopback() {
            let n = self.next_source.fetch_add(1, Ordering::Relaxed) % SOURCES;
            let first = sources.unwrap_or(FIRST_SOURCE);
            let source = Ipv4Addr::from(u32::from(first) + n);
            setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
            socket.bind(&SocketAddr::from((source, 0)).into())?;
        }
        Ok(socket)
    }
}

/// Presents one device's certificate to whoever asks.
#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesClientCert for Presents {
    fn resolve(&self, _hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0
            .key
            .choose_scheme(schemes)
            .map(|_| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// AES-128 first: its SHA-256 is done in hardware where AES-256's SHA-384 is not (25 to 35 µs a side).
fn provider() -> rustls::crypto::CryptoProvider {
    use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
    let mut provider = default_provider();
    provider
        .cipher_suites
        .sort_by_key(|suite| *suite != cipher_suite::TLS13_AES_128_GCM_SHA256);
    provider.kx_groups = vec![kx_group::X25519, kx_group::SECP256R1];
    provider
}

/// Where the secrets of connections go, if `SSLKEYLOGFILE` names a file, so that a capture can be read. It
/// is nobody else's to read.
fn key_log() -> Result<Option<Arc<dyn KeyLog>>, Failure> {
    let Some(path) = std::env::var_os("SSLKEYLOGFILE") else {
        return Ok(None);
    };
    let opened = File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path);
    opened.map_err(|e| {
        let path = Path::new(&path).display();
        Failure::usage(format!("SSLKEYLOGFILE: {path}: {e}"))
    })?;
    Ok(Some(Arc::new(KeyLogFile::new())))
}

/// Those that are good today, for rustls does not look at when a CA is: one that expired is refused.
fn roots_of_pem(pem: &str) -> Result<RootCertStore, Failure> {
    let now = Timestamp::now();
    let mut expired = None;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate
            .map_err(|e| Failure::usage(format!("a CA certificate is malformed: {e}")))?;
        if let Err(problem) = check_validity(&certificate, now) {
            expired = Some(problem.problem);
            continue;
        }
        roots
            .add(certificate)
            .map_err(|e| Failure::usage(format!("a CA certificate can't be used: {e}")))?;
    }
    if roots.is_empty() {
        if let Some(problem) = expired {
            let failure = Failure::usage(format!("the CA certificate {problem}"));
            return Err(
                failure.hint("name one that is good today, and that the server's is signed with")
            );
        }
        return Err(Failure::usage("holds no certificate")
            .hint("a CA file is PEM text: -----BEGIN CERTIFICATE-----"));
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Failure::usage("this machine's trust store is empty").hint(
            "install the system's CA certificates (ca-certificates), or name the CA with --ca FILE",
        ));
    }
    Ok(roots)
}
