//! Whom devices trust: a verifier that checks each server chain once and then knows it again.
//!
//! A fleet meets the same few servers a million times. Building and checking
//! the path costs 100 µs; comparing with a chain that was checked this hour costs nothing.
//! That the server holds the key is proven in every handshake.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// Chains known at once; beyond it the oldest is forgotten.
const KNOWN: usize = 64;
/// How long a verdict holds, seconds: a certificate that expires is noticed within it.
const HOLDS: u64 = 60;

/// Verifies server certificates, and remembers.
#[derive(Debug)]
pub struct CachingVerifier {
    inner: Arc<WebPkiServerVerifier>,
    known: Mutex<Vec<Known>>,
}

#[derive(Debug)]
struct Known {
    name: ServerName<'static>,
    chain: Vec<CertificateDer<'static>>,
    period: u64,
}

impl CachingVerifier {
    /// Remembers what `inner` found good.
    pub fn new(inner: Arc<WebPkiServerVerifier>) -> Self {
        Self {
            inner,
            known: Mutex::new(Vec::new()),
        }
    }
}

impl Known {
    fn is(
        &self,
        name: &ServerName<'_>,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        period: u64,
    ) -> bool {
        self.period == period
            && self.name == *name
            && self.chain.split_first().is_some_and(|(first, others)| {
                first == leaf
                    && others.len() == rest.len()
                    && others.iter().zip(rest).all(|(a, b)| a == b)
            })
    }
}

impl ServerCertVerifier for CachingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let period = now.as_secs() / HOLDS;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known
            .iter()
            .any(|known| known.is(server_name, end_entity, intermediates, period))
        {
            return Ok(ServerCertVerified::assertion());
        }
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        known.retain(|known| known.period == period);
        if known.len() == KNOWN {
            known.remove(0);
        }
        let chain = std::iter::once(end_entity)
            .chain(intermediates)
            .map(|cert| cert.clone().into_owned());
        known.push(Known {
            name: server_name.to_owned(),
            chain: chain.collect(),
            period,
        });
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
