//! A connection to a server, by hand: TCP, TLS, a certificate or none.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_reference_server::Announcement;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};

/// What a test waits at most: far more than any answer takes, far less than a stuck test may.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A secured connection.
pub type Secured = StreamOwned<ClientConnection, TcpStream>;

/// Anything that bytes go through.
pub trait Wire: Read + Write {}

impl<Stream: Read + Write> Wire for Stream {}

/// Connects to `address` and asks for `host`, over one of `versions`.
pub fn dial(
    announcement: &Announcement,
    address: SocketAddr,
    host: &str,
    certificate: Option<&Arc<CertifiedKey>>,
    versions: &[&'static SupportedProtocolVersion],
) -> Secured {
    dial_over(announcement, connect(address), host, certificate, versions)
}

/// The same over a connection that is there.
pub fn dial_over(
    announcement: &Announcement,
    stream: TcpStream,
    host: &str,
    certificate: Option<&Arc<CertifiedKey>>,
    versions: &[&'static SupportedProtocolVersion],
) -> Secured {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(announcement.ca_pem.as_bytes()).expect("PEM");
    roots.add(ca).expect("a CA");
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(Shown(certificate.cloned())));
    let name = ServerName::try_from(host.to_owned()).expect("a host name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    StreamOwned::new(connection, patient(stream))
}

/// TCP alone.
pub fn connect(address: SocketAddr) -> TcpStream {
    patient(TcpStream::connect(address).expect("the server listens"))
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).expect("a socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

/// The certificate that is shown to whoever asks for one.
#[derive(Debug)]
struct Shown(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}
