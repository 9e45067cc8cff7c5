//! Who the service is.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::{ENDPOINT, HUBS};

/// A certificate for all hosts, and PEM of its CA.
pub fn certified() -> (ServerConfig, String) {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).expect("a CA").pem();
    let key = KeyPair::generate().expect("a key");
    let names = HUBS.into_iter().chain([ENDPOINT]).map(str::to_owned);
    let leaf = CertificateParams::new(names.collect::<Vec<_>>()).expect("host names");
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key));
    let chain = vec![leaf.expect("a certificate").der().clone()];
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(chain, key.into())
        .expect("a certificate");
    (config, ca_pem)
}
