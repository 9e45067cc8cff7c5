//! Whether a client holds the key of the certificate that it shows.
//!
//! Whose certificate it is and whether that is good is for DPS and the hubs to say, in their own
//! words. Here any certificate is taken, of X.509 version 1 as well, and each handshake proves that
//! the client holds its key. A key of a kind that can't be verified proves nothing: the handshake
//! goes on, so that its client is told why, and what it shows counts as not shown.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{
    CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved,
    SignatureScheme,
};
use webpki::RawPublicKeyEntity;
use x509_parser::asn1_rs::Tag;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::oid;
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

const RSA: Oid<'static> = oid!(1.2.840.113549.1.1.1);
const RSA_PSS: Oid<'static> = oid!(1.2.840.113549.1.1.10);
const EC: Oid<'static> = oid!(1.2.840.10045.2.1);
const ED25519: Oid<'static> = oid!(1.3.101.112);
const CURVES: [Oid<'static>; 3] = [
    oid!(1.2.840.10045.3.1.7),
    oid!(1.3.132.0.34),
    oid!(1.3.132.0.35),
];
const SECP256K1: Oid<'static> = oid!(1.3.132.0.10);
/// What aws-lc verifies with.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Whether signatures of a key can be verified.
///
/// # Errors
/// They can't, for this reason.
pub(crate) fn is_verifiable(key: &SubjectPublicKeyInfo<'_>) -> Result<(), String> {
    let kind = &key.algorithm.algorithm;
    let curve = key.algorithm.parameters.as_ref();
    let curve = curve.filter(|curve| curve.tag() == Tag::Oid);
    let curve = curve.and_then(|curve| curve.as_oid().ok());
    let is = match curve {
        _ if *kind == RSA => match key.parsed() {
            Ok(PublicKey::RSA(rsa)) if RSA_BITS.contains(&bits(rsa.modulus)) => return Ok(()),
            Ok(PublicKey::RSA(rsa)) => format!("an RSA key of {} bits", bits(rsa.modulus)),
            _ => "a broken RSA key".into(),
        },
        Some(curve) if *kind == EC && CURVES.contains(&curve) => return Ok(()),
        Some(curve) if *kind == EC && curve == SECP256K1 => "an ECDSA key on secp256k1".into(),
        Some(curve) if *kind == EC => format!("an ECDSA key on curve {curve}"),
        None if *kind == EC => "an ECDSA key on a curve without a name".into(),
        _ if *kind == ED25519 => return Ok(()),
        _ if *kind == RSA_PSS => "an RSA key for RSA-PSS alone".into(),
        _ => format!("a key of kind {kind}"),
    };
    Err(format!(
        "it has {is}, which can't be verified: use RSA of 2048 bits or more, ECDSA on P-256, P-384 or P-521, or Ed25519"
    ))
}

/// Why the key of a certificate that a client shows proves nothing, if so.
pub(crate) fn unproven(leaf: &CertificateDer<'_>) -> Option<String> {
    verifiable_key(leaf).err()
}

fn verifiable_key(leaf: &CertificateDer<'_>) -> Result<Vec<u8>, String> {
    let read = X509Certificate::from_der(leaf);
    let (_, leaf) = read.map_err(|problem| format!("it can't be read: {problem}"))?;
    is_verifiable(leaf.public_key())?;
    Ok(leaf.public_key().raw.to_vec())
}

fn bits(modulus: &[u8]) -> usize {
    let first = modulus.iter().position(|byte| *byte != 0);
    first.map_or(0, |first| {
        let zeros = modulus[first].leading_zeros() as usize;
        (modulus.len() - first) * 8 - zeros
    })
}

/// Whether `signature` over `message` is of the key, by one of these algorithms.
///
/// # Errors
/// It is not.
pub(crate) fn is_signed(
    key: &SubjectPublicKeyInfoDer<'_>,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    (message, signature): (&[u8], &[u8]),
) -> Result<(), webpki::Error> {
    let key = RawPublicKeyEntity::try_from(key)?;
    let mut last = webpki::Error::InvalidSignatureForPublicKey;
    for algorithm in algorithms {
        match key.verify_signature(*algorithm, message, signature) {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Takes any client certificates, or none.
#[derive(Debug)]
pub(crate) struct AnyChain {
    provider: Arc<CryptoProvider>,
}

impl AnyChain {
    /// Verifies with what `provider` has.
    pub(crate) fn over(provider: Arc<CryptoProvider>) -> Arc<Self> {
        Arc::new(Self { provider })
    }

    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

impl ClientCertVerifier for AnyChain {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(key) = key_to_verify(leaf) else {
            return Ok(HandshakeSignatureValid::assertion());
        };
        let mut known = self.algorithms().mapping.iter();
        let algorithms = known.find(|(scheme, _)| *scheme == signed.scheme);
        let (_, algorithms) =
            algorithms.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        is_signed(&key, algorithms, (message, signed.signature()))
            .map_err(|_| CertificateError::BadSignature)?;
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match key_to_verify(leaf) {
            None => Ok(HandshakeSignatureValid::assertion()),
            Some(key) => {
                verify_tls13_signature_with_raw_key(message, &key, signed, self.algorithms())
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}

/// The leaf's key; none where it proves nothing, for [`unproven`] tells why.
fn key_to_verify(leaf: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let key = verifiable_key(leaf).ok()?;
    Some(key.into())
}
