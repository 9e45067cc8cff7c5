//! A certificate that an enrollment group trusts: devices below it may register.

use fleetstorm_protocol::x509::{check_validity, common_name, validity};
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, TrustAnchor};
use webpki::{ALL_VERIFICATION_ALGS, anchor_from_trusted_cert};
use x509_parser::extensions::{ParsedExtension, X509Extension};

use super::fitness;
use crate::possession::is_signed;

/// A root or intermediate.
#[derive(Debug)]
pub struct SigningCertificate {
    der: Box<[u8]>,
    subject: Box<[u8]>,
    key: SubjectPublicKeyInfoDer<'static>,
    key_id: Option<Box<[u8]>>,
    trust: TrustAnchor<'static>,
    path_length: Option<usize>,
    not_before: i64,
    not_after: i64,
}

impl SigningCertificate {
    /// Trusts the certificate in `der`.
    ///
    /// # Errors
    /// It may not sign devices' certificates.
    pub fn new(der: Vec<u8>) -> Result<Self, String> {
        let certificate = fitness::read(&der)?;
        fitness::of_enrolled_signer(&certificate)?;
        let constraints = certificate.basic_constraints().ok().flatten();
        let path_length = constraints.and_then(|constraints| constraints.value.path_len_constraint);
        let (not_before, not_after) = validity(&der).map_err(|e| e.to_string())?;
        let key_id = certificate.iter_extensions().find_map(key_id);
        Ok(Self {
            subject: certificate.subject().as_raw().into(),
            key: certificate.public_key().raw.to_vec().into(),
            key_id,
            trust: anchor_from_trusted_cert(&CertificateDer::from(der.as_slice()))
                .map_err(|problem| format!("it can't sign devices: {problem}"))?
                .to_owned(),
            path_length: path_length.map(|length| usize::try_from(length).unwrap_or(usize::MAX)),
            not_before,
            not_after,
            der: der.into(),
        })
    }

    /// In DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its subject's name in DER, as what it signs repeats it.
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// What it signs with.
    pub(super) fn key(&self) -> &SubjectPublicKeyInfoDer<'static> {
        &self.key
    }

    /// What certificates that it signs may call its key (RFC 5280, 4.2.1.2).
    pub(super) fn key_id(&self) -> Option<&[u8]> {
        self.key_id.as_deref()
    }

    /// The last second that it is good for, Unix time.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Whether it is good for signing at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now.as_second())
    }

    /// How many CA certificates may stand between it and a device's, if it says.
    pub(super) fn path_length(&self) -> Option<usize> {
        self.path_length
    }

    /// As the end of a path.
    pub(super) fn trust(&self) -> TrustAnchor<'_> {
        let TrustAnchor {
            subject,
            subject_public_key_info,
            name_constraints,
        } = &self.trust;
        TrustAnchor {
            subject: subject.as_ref().into(),
            subject_public_key_info: subject_public_key_info.as_ref().into(),
            name_constraints: name_constraints.as_ref().map(|der| der.as_ref().into()),
        }
    }

    /// Proof of possession: `proof` is good at `now`, signed with this certificate's key, and its common
    /// name is `code`. What else is in it does not matter, nor does its version.
    ///
    /// # Errors
    /// It proves nothing, for this reason.
    pub(super) fn is_proven_by(
        &self,
        proof: &[u8],
        code: &str,
        now: Timestamp,
    ) -> Result<(), String> {
        if common_name(proof).ok().as_deref() != Some(code) {
            return Err("its common name is not the verification code".into());
        }
        let certificate = fitness::read(proof)?;
        if certificate.issuer().as_raw() != self.subject() {
            return Err(format!(
                "its issuer is \"{}\", and not the CA certificate",
                certificate.issuer()
            ));
        }
        check_validity(proof, now).map_err(|e| format!("it {}", e.problem))?;
        let signed = certificate.tbs_certificate.as_ref();
        let signature = &certificate.signature_value.data;
        is_signed(&self.key, ALL_VERIFICATION_ALGS, (signed, signature))
            .map_err(|_| "it is not signed with the key of the CA certificate".into())
    }
}

fn key_id(extension: &X509Extension<'_>) -> Option<Box<[u8]>> {
    match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.into()),
        _ => None,
    }
}
