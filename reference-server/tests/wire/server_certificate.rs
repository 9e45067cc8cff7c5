//! What the server shows of itself: an ECDSA certificate, and an RSA one to those that take no other.

use std::io::Write;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    SupportedProtocolVersion, version,
};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::instance::{Instance, quick};
use crate::tls::connect;

/// Whether a client of these suites is shown an RSA key, over a version of TLS.
fn is_shown_rsa(
    instance: &Instance,
    versions: &[&'static SupportedProtocolVersion],
    takes: impl Fn(CipherSuite) -> bool,
) -> bool {
    let server = instance.server.announcement();
    let mut provider = default_provider();
    provider.cipher_suites.retain(|suite| takes(suite.suite()));
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(server.ca_pem.as_bytes()).expect("PEM");
    roots.add(ca).expect("a CA");
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut wire = StreamOwned::new(connection, connect(server.https));
    wire.write_all(b"GET / HTTP/1.1\r\n").expect("secured");
    let shown = wire.conn.peer_certificates().expect("certificates");
    let (_, leaf) = X509Certificate::from_der(&shown[0]).expect("a certificate");
    matches!(leaf.public_key().parsed(), Ok(PublicKey::RSA(_)))
}

#[test]
fn a_client_that_takes_rsa_alone_is_served() {
    let instance = Instance::start(quick());
    let tls12 = &[&version::TLS12][..];
    let is_rsa = |suite: CipherSuite| format!("{suite:?}").contains("ECDHE_RSA");
    for _ in 0..2 {
        assert!(is_shown_rsa(&instance, tls12, is_rsa));
        assert!(!is_shown_rsa(&instance, tls12, |_| true));
        assert!(!is_shown_rsa(&instance, rustls::ALL_VERSIONS, |_| true));
    }
}
