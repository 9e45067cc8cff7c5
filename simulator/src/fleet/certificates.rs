//! The certificates of one X.509 cohort: root, intermediate, a leaf per device.
//!
//! Root and intermediate are the same to the byte wherever and whenever they
//! are derived, and so are the leaves of individual enrollments, because those are
//! enrolled by thumbprint: what was enrolled once stays valid. Only leaves that expire during a run are
//! of that run.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::enrollment::{
    AttestationMechanism, X509Attestation, X509CertificateWithInfo, X509Certificates,
};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

use fleetstorm_scenarios::Flaw;

use super::batches::Batches;
use super::derive::Derivation;
use super::generations::{self, Generations, InForce};
use super::key::{DeviceKey, RepeatableKey};

/// The certificates of one cohort.
pub struct Certificates {
    derivation: Derivation,
    /// By generation.
    authorities: Vec<Authorities>,
    flaw: Option<Flaw>,
    /// Which of them are in force.
    pub generations: Generations,
    /// Whose first ones expire during the run.
    batches: Batches,
}

/// Who signs the leaves of one generation.
struct Authorities {
    root: Certificate,
    intermediate: CertificateDer<'static>,
    fast_issuer: Issuer<'static, DeviceKey>,
    repeatable_issuer: Issuer<'static, RepeatableKey>,
}

impl Certificates {
    /// Derives the authorities of `cohort`, and those that take their place in as many `rolls`.
    pub fn derive(
        seed: u64,
        cohort: &str,
        flaw: Option<Flaw>,
        rolls: u64,
    ) -> Result<Self, rcgen::Error> {
        let derivation = Derivation::new(seed, cohort);
        let name = format!("fleetstorm {cohort} {seed}");
        let authorities =
            (0..=rolls).map(|generation| Authorities::derive(&derivation, &name, flaw, generation));
        Ok(Self {
            authorities: authorities.collect::<Result<_, _>>()?,
            derivation,
            flaw,
            generations: Generations::default(),
            batches: Batches::default(),
        })
    }

    /// From now on leaves are made for a run in which these expire.
    pub fn expire(&mut self, batches: Batches) {
        self.batches = batches;
    }

    /// A device below an enrollment group: leaf and intermediate.
    pub fn of_group(
        &self,
        registration_id: &str,
        device: u32,
    ) -> Result<Arc<CertifiedKey>, rcgen::Error> {
        let generation = self.generations.newest();
        let authorities = self.authorities(generation);
        let key = self.device_key(device, generation);
        let leaf = self
            .leaf_params(registration_id, device, generation)
            .signed_by(&key, &authorities.fast_issuer)?;
        let chain = match self.flaw {
            Some(Flaw::MissingIntermediate) => vec![leaf.der().clone()],
            _ => vec![leaf.der().clone(), authorities.intermediate.clone()],
        };
        Ok(Arc::new(CertifiedKey::new(chain, Arc::new(key))))
    }

    /// A device of an individual enrollment: the leaf that is enrolled.
    pub fn of_individual(
        &self,
        registration_id: &str,
        device: u32,
    ) -> Result<Arc<CertifiedKey>, rcgen::Error> {
        let generation = self.generations.newest();
        let leaf = self.enrolled_leaf(registration_id, device, generation)?;
        let key = self.device_key(device, generation);
        Ok(Arc::new(CertifiedKey::new(vec![leaf], Arc::new(key))))
    }

    /// What the group's enrollment holds: the roots.
    pub fn enrolled_group(&self, in_force: InForce) -> AttestationMechanism {
        let root = |generation| written(self.authorities(generation).root.der());
        AttestationMechanism::X509 {
            x509: X509Attestation {
                signing_certificates: Some(X509Certificates {
                    primary: Some(root(in_force.newest)),
                    secondary: in_force.before.map(root),
                }),
                ..X509Attestation::default()
            },
        }
    }

    /// What a device's own enrollment holds: its leaves.
    pub fn enrolled_individual(
        &self,
        registration_id: &str,
        device: u32,
        in_force: InForce,
    ) -> Result<AttestationMechanism, rcgen::Error> {
        let leaf = |generation| {
            let leaf = self.enrolled_leaf(registration_id, device, generation)?;
            Ok::<_, rcgen::Error>(written(&leaf))
        };
        Ok(AttestationMechanism::X509 {
            x509: X509Attestation {
                client_certificates: Some(X509Certificates {
                    primary: Some(leaf(in_force.newest)?),
                    secondary: in_force.before.map(leaf).transpose()?,
                }),
                ..X509Attestation::default()
            },
        })
    }

    fn enrolled_leaf(
        &self,
        registration_id: &str,
        device: u32,
        generation: u64,
    ) -> Result<CertificateDer<'static>, rcgen::Error> {
        let key = self.device_key(device, generation);
        let leaf = self
            .leaf_params(registration_id, device, generation)
            .signed_by(&key, &self.authorities(generation).repeatable_issuer)?;
        Ok(leaf.der().clone())
    }

    fn authorities(&self, generation: u64) -> &Authorities {
        let index = usize::try_from(generation).unwrap_or(usize::MAX);
        // There are as many as events roll; should there be fewer, the newest serves.
        &self.authorities[index.min(self.authorities.len() - 1)]
    }

    fn device_key(&self, device: u32, generation: u64) -> DeviceKey {
        let purpose = generations::purpose("device key", generation);
        DeviceKey::derive(&self.derivation, &purpose, device.into())
    }

    fn leaf_params(
        &self,
        registration_id: &str,
        device: u32,
        generation: u64,
    ) -> CertificateParams {
        let purpose = generations::purpose("device serial", generation);
        let mut params = params(
            registration_id,
            serial(&self.derivation, &purpose, device.into()),
        );
        if self.flaw == Some(Flaw::ExpiredCertificate) {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        } else if generation == 0
            && let Some(last_second) = self.batches.last_second(device)
        {
            params.not_after = last_second.into();
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params
    }
}

impl Authorities {
    fn derive(
        derivation: &Derivation,
        name: &str,
        flaw: Option<Flaw>,
        generation: u64,
    ) -> Result<Self, rcgen::Error> {
        let name = generations::purpose(name, generation);
        let root_of = |purpose| {
            let purpose = generations::purpose(purpose, generation);
            Authority::root(derivation, &purpose, &name)
        };
        let root = root_of("root")?;
        // Devices of a wrong root show the right names, and signatures of a stranger.
        let signer = match flaw {
            Some(Flaw::WrongRoot) => root_of("another root")?,
            _ => root_of("root")?,
        };
        let key = RepeatableKey::derive(
            derivation,
            &generations::purpose("intermediate key", generation),
            0,
        );
        let params = authority_params(
            &format!("{name} intermediate"),
            serial(
                derivation,
                &generations::purpose("intermediate serial", generation),
                0,
            ),
            0,
        );
        let intermediate = params
            .signed_by(&key, &Issuer::new(signer.params, &signer.key))?
            .der()
            .clone();
        Ok(Self {
            fast_issuer: Issuer::new(params.clone(), key.device_key().clone()),
            repeatable_issuer: Issuer::new(params, key),
            root: root.certificate,
            intermediate,
        })
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

/// What an enrollment holds of a device that is known by its certificates.
pub fn enrolled_leaf(key: &CertifiedKey) -> Option<AttestationMechanism> {
    Some(AttestationMechanism::X509 {
        x509: X509Attestation {
            client_certificates: Some(X509Certificates {
                primary: Some(written(key.cert.first()?)),
                secondary: None,
            }),
            ..X509Attestation::default()
        },
    })
}

/// As enrollments hold it.
fn written(certificate: &CertificateDer<'_>) -> X509CertificateWithInfo {
    X509CertificateWithInfo {
        certificate: STANDARD.encode(certificate),
    }
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
