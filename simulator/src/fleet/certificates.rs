//! The certificates of one X.509 cohort: root, intermediate, a leaf per device.
//!
//! Root and intermediate are the same to the byte wherever and whenever they
//! are derived, and so are the leaves of individual enrollments, because those are
//! enrolled by thumbprint: what was enrolled once stays valid.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

use fleetstorm_scenarios::Flaw;

use super::derive::Derivation;
use super::key::{DeviceKey, RepeatableKey};

/// The certificates of one cohort.
pub struct Certificates {
    derivation: Derivation,
    root: Certificate,
    intermediate: CertificateDer<'static>,
    fast_issuer: Issuer<'static, DeviceKey>,
    repeatable_issuer: Issuer<'static, RepeatableKey>,
    flaw: Option<Flaw>,
}

impl Certificates {
    /// Derives the authorities of `cohort`.
    pub fn derive(seed: u64, cohort: &str, flaw: Option<Flaw>) -> Result<Self, rcgen::Error> {
        let derivation = Derivation::new(seed, cohort);
        let name = format!("fleetstorm {cohort} {seed}");
        let root = Authority::root(&derivation, "root", &name)?;
        // Devices of a wrong root show the right names, and signatures of a stranger.
        let signer = match flaw {
            Some(Flaw::WrongRoot) => Authority::root(&derivation, "another root", &name)?,
            _ => Authority::root(&derivation, "root", &name)?,
        };
        let key = RepeatableKey::derive(&derivation, "intermediate key", 0);
        let params = authority_params(
            &format!("{name} intermediate"),
            serial(&derivation, "intermediate serial", 0),
            0,
        );
        let intermediate = params
            .signed_by(&key, &Issuer::new(signer.params, &signer.key))?
            .der()
            .clone();
        Ok(Self {
            fast_issuer: Issuer::new(params.clone(), key.device_key().clone()),
            repeatable_issuer: Issuer::new(params, key),
            derivation,
            root: root.certificate,
            intermediate,
            flaw,
        })
    }

    /// The root.
    pub fn root(&self) -> &Certificate {
        &self.root
    }

    /// A device below an enrollment group: leaf and intermediate.
    pub fn of_group(
        &self,
        registration_id: &str,
        device: u32,
    ) -> Result<Arc<CertifiedKey>, rcgen::Error> {
        let key = DeviceKey::derive(&self.derivation, "device key", device.into());
        let leaf = self
            .leaf_params(registration_id, device)
            .signed_by(&key, &self.fast_issuer)?;
        let chain = match self.flaw {
            Some(Flaw::MissingIntermediate) => vec![leaf.der().clone()],
            _ => vec![leaf.der().clone(), self.intermediate.clone()],
        };
        Ok(Arc::new(CertifiedKey::new(chain, Arc::new(key))))
    }

    /// A device of an individual enrollment: the leaf that is enrolled.
    pub fn of_individual(
        &self,
        registration_id: &str,
        device: u32,
    ) -> Result<Arc<CertifiedKey>, rcgen::Error> {
        let key = DeviceKey::derive(&self.derivation, "device key", device.into());
        let leaf = self
            .leaf_params(registration_id, device)
            .signed_by(&key, &self.repeatable_issuer)?;
        Ok(Arc::new(CertifiedKey::new(
            vec![leaf.der().clone()],
            Arc::new(key),
        )))
    }

    fn leaf_params(&self, registration_id: &str, device: u32) -> CertificateParams {
        let mut params = params(
            registration_id,
            serial(&self.derivation, "device serial", device.into()),
        );
        if self.flaw == Some(Flaw::ExpiredCertificate) {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params
    }
}

/// A root with its key.
struct Authority {
    certificate: Certificate,
    params: CertificateParams,
    key: RepeatableKey,
}

impl Authority {
    fn root(derivation: &Derivation, purpose: &str, name: &str) -> Result<Self, rcgen::Error> {
        let key = RepeatableKey::derive(derivation, purpose, 0);
        let params = authority_params(&format!("{name} root"), serial(derivation, purpose, 1), 1);
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate,
            params,
            key,
        })
    }
}

fn authority_params(name: &str, serial: SerialNumber, below: u8) -> CertificateParams {
    let mut params = params(name, serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Fixed dates: a certificate must not depend on when it was derived.
fn params(name: &str, serial: SerialNumber) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(serial);
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2054, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

/// 20 bytes, positive (RFC 5280 §4.1.2.2).
fn serial(derivation: &Derivation, purpose: &str, index: u64) -> SerialNumber {
    let mut bytes = derivation.bytes(purpose, index)[..20].to_vec();
    bytes[0] = bytes[0] & 0x3f | 0x40;
    SerialNumber::from(bytes)
}
