//! A certificate as a step of a way up: what it calls itself and its issuer, and what was signed.

use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::Error;
use x509_parser::asn1_rs::{Any, FromDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;

use crate::possession::is_signed;

/// One that a device shows.
#[derive(Debug)]
pub(super) struct Above<'a> {
    pub(super) der: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) key: SubjectPublicKeyInfoDer<'a>,
    /// What it calls its key, and its issuer's (RFC 5280, 4.2.1.1 and 4.2.1.2), where it does.
    pub(super) key_id: Option<&'a [u8]>,
    pub(super) issuer_key_id: Option<&'a [u8]>,
    message: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

/// What a device shows.
#[derive(Debug)]
pub(super) struct Presented<'a> {
    pub(super) leaf: &'a CertificateDer<'static>,
    pub(super) device: Above<'a>,
    /// Those above it by name.
    pub(super) above: Vec<Above<'a>>,
}

impl<'a> Above<'a> {
    /// The certificate in `der`, which was read before.
    ///
    /// # Errors
    /// Its signature is none.
    pub(super) fn read(der: &'a [u8], read: &X509Certificate<'a>) -> Result<Self, String> {
        let (message, algorithm, signature) =
            signed(der).ok_or("it is no certificate: its signature is broken")?;
        Ok(Self {
            der,
            subject: read.tbs_certificate.subject.as_raw(),
            issuer: read.tbs_certificate.issuer.as_raw(),
            key: read.tbs_certificate.subject_pki.raw.into(),
            key_id: key_id(read),
            issuer_key_id: issuer_key_id(read),
            message,
            algorithm,
            signature,
        })
    }

    /// Whether it is signed with a key, by the algorithm that it names.
    ///
    /// # Errors
    /// It is not, or that is none of `algorithms`.
    pub(super) fn is_signed_with(
        &self,
        key: &SubjectPublicKeyInfoDer<'_>,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), Error> {
        let named: Vec<_> = algorithms
            .iter()
            .copied()
            .filter(|one| one.signature_alg_id().as_ref() == self.algorithm)
            .collect();
        is_signed(key, &named, (self.message, self.signature))
    }
}

/// What of a certificate is signed, by which algorithm, and the signature.
fn signed(der: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (_, certificate) = Any::from_der(der).ok()?;
    let (rest, _) = Any::from_der(certificate.data).ok()?;
    let message = certificate.data.strip_suffix(rest)?;
    let (rest, algorithm) = Any::from_der(rest).ok()?;
    let (_, signature) = Any::from_der(rest).ok()?;
    let signature = signature.data.strip_prefix(&[0])?;
    Some((message, algorithm.data, signature))
}

fn key_id<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
            _ => None,
        })
}

fn issuer_key_id<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(issuer) => {
                issuer.key_identifier.as_ref().map(|key| key.0)
            }
            _ => None,
        })
}
