//! Whether a device is who it says it is.

use std::sync::Arc;

use fleetstorm_protocol::ids::{DeviceId, RegistrationId};
use fleetstorm_protocol::registration::{DeviceRegistration, TpmAttestation};
use fleetstorm_protocol::sas::{SasError, SasToken};
use fleetstorm_protocol::x509::{Thumbprint, check_validity, common_name, thumbprint};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;

use super::chain::Chain;
use super::device_keys::KeyPair;
use super::enrollment_list::EnrollmentList;
use super::enrollment_list::compiled::{
    Enrolled, Group, GroupMechanism, Individual, IndividualMechanism, Settings,
};
use super::refusal::Refusal;
use super::request::RegistrationRequest;
use super::tpm_challenge;
use super::tpm_challenge::{Challenges, HmacKey, PresentedTpm};

/// How the attestation of a device stands.
pub enum Attestation {
    /// By certificate, by key or by solving the challenge.
    Attested(Attested),
    /// Its TPM has to solve a challenge first.
    Challenged(Box<PresentedTpm>),
}

/// A device that has been attested, and what follows from that.
pub struct Attested {
    /// What it was proven by, so that later requests are compared and not proven anew.
    pub credential: Credential,
    /// The group that let it in.
    pub group: Option<String>,
    /// Its name at the hub, where its enrollment says one.
    pub device_id: Option<DeviceId>,
    /// What its enrollment says.
    pub settings: Arc<Settings>,
}

/// What a device has proven itself by.
#[derive(Debug, Clone)]
pub enum Credential {
    /// This certificate; that it holds the key is proven by each TLS handshake.
    Certificate(Thumbprint),
    /// Its enrollment's keys, or those that derive from its group's for it.
    SymmetricKey(Box<KeyPair>),
    /// A key that only its TPM could unwrap.
    Tpm {
        /// The nonce key.
        key: HmacKey,
        /// Endorsement key, a TPM2B_PUBLIC.
        endorsement_key: Box<[u8]>,
        /// Storage root key, a TPM2B_PUBLIC, where the TPM said it as it proved itself.
        storage_root_key: Option<Box<[u8]>>,
    },
}

impl Credential {
    /// Whether a later request comes from the same device.
    pub fn is_shown_by(
        &self,
        request: &RegistrationRequest<'_>,
        resource: &str,
        now: Timestamp,
    ) -> bool {
        match self {
            Self::Certificate(known) => request
                .certificates
                .first()
                .is_some_and(|leaf| thumbprint(leaf) == *known),
            Self::SymmetricKey(keys) => request
                .sas
                .and_then(|token| SasToken::parse(token).ok())
                .is_some_and(|token| keys.verify(&token, resource, now).is_ok()),
            Self::Tpm { key, .. } => request
                .sas
                .and_then(|token| SasToken::parse(token).ok())
                .is_some_and(|token| {
                    token
                        .verify(resource, key.as_bytes(), now.as_second())
                        .is_ok()
                }),
        }
    }
}

/// Looks for the enrollment that lets the device in: its own first, then the groups.
///
/// # Errors
/// There is none, or the proof does not hold.
pub fn attest(
    list: &EnrollmentList,
    challenges: &Challenges,
    id: &RegistrationId,
    registration: &DeviceRegistration,
    request: &RegistrationRequest<'_>,
    resource: &str,
    now: Timestamp,
) -> Result<Attestation, Refusal> {
    match list.individual(id) {
        Some(individual) => match &individual.proof {
            IndividualMechanism::Certificate { certificates } => {
                let thumbprint = individual_certificate(request, certificates, id, now)?;
                let credential = Credential::Certificate(thumbprint);
                Ok(Attestation::Attested(individual.attested(credential)))
            }
            IndividualMechanism::SymmetricKey(keys) => {
                keys.verify(&token(request)?, resource, now)
                    .map_err(|_| Refusal::Unauthorized)?;
                let credential = Credential::SymmetricKey(keys.clone());
                Ok(Attestation::Attested(individual.attested(credential)))
            }
            IndividualMechanism::Tpm { endorsement_key } => {
                let presented = registration.tpm.as_ref().or(request.tpm);
                if request.sas.is_none() {
                    let tpm = PresentedTpm::of(presented, endorsement_key)?;
                    return Ok(Attestation::Challenged(Box::new(tpm)));
                }
                // Who answers a challenge need not say again whom it was for: IoT Edge does not.
                let storage_root_key = presented
                    .map(|tpm| tpm_challenge::storage_root_key(tpm, endorsement_key))
                    .transpose()?
                    .flatten();
                let credential = Credential::Tpm {
                    key: challenges
                        .solved(
                            &id.canonical(),
                            endorsement_key,
                            &token(request)?,
                            resource,
                            now,
                        )
                        .ok_or(Refusal::Unauthorized)?,
                    endorsement_key: endorsement_key.clone(),
                    storage_root_key,
                };
                Ok(Attestation::Attested(individual.attested(credential)))
            }
        },
        None if registration.tpm.is_some() || request.tpm.is_some() => {
            Err(Refusal::EnrollmentNotFound)
        }
        None if request.shows_certificates() => {
            by_chain(list, id, request, now).map(Attestation::Attested)
        }
        None => by_derived_key(&list.groups(), id, &token(request)?, resource, now)
            .map(Attestation::Attested),
    }
}

/// The TPM as it presents itself, where it is the one that is enrolled by this name.
pub fn enrolled_tpm(
    list: &EnrollmentList,
    id: &RegistrationId,
    presented: &TpmAttestation,
) -> Option<PresentedTpm> {
    match &list.individual(id)?.proof {
        IndividualMechanism::Tpm { endorsement_key } => {
            PresentedTpm::of(Some(presented), endorsement_key).ok()
        }
        _ => None,
    }
}

impl Individual {
    fn attested(&self, credential: Credential) -> Attested {
        Attested {
            credential,
            group: None,
            device_id: self.device_id.clone(),
            settings: Arc::clone(&self.settings),
        }
    }
}

/// The presented leaf is an enrolled one, in the device's name, and valid.
fn individual_certificate(
    request: &RegistrationRequest<'_>,
    enrolled: &[Enrolled],
    id: &RegistrationId,
    now: Timestamp,
) -> Result<Thumbprint, Refusal> {
    let leaf = leaf(request)?;
    let presented = thumbprint(leaf);
    if !enrolled.iter().any(|one| one.thumbprint == presented) {
        let problem = "it is not the one of the individual enrollment";
        return Err(Refusal::InvalidCertificate(problem.into()));
    }
    is_good_for(leaf, id, now)?;
    Ok(presented)
}

/// The group whose signing certificate the presented chain leads to: the one nearest to the device,
/// where several do (DPS documentation, "X.509 certificate attestation").
fn by_chain(
    list: &EnrollmentList,
    id: &RegistrationId,
    request: &RegistrationRequest<'_>,
    now: Timestamp,
) -> Result<Attested, Refusal> {
    let leaf = leaf(request)?;
    is_good_for(leaf, id, now)?;
    let chain = Chain::of(request.certificates).map_err(Refusal::InvalidCertificate)?;
    // A certificate that groups name by reference may be several's: the first one's.
    let groups = list.groups();
    let (mut signers, mut trusting) = (Vec::new(), Vec::new());
    for group in groups.iter() {
        group.each_signer(list.authorities(), |signer| {
            if chain.names(signer) {
                signers.push(Arc::clone(signer));
                trusting.push((signer.der().to_vec(), group));
            }
        });
    }
    let signer = chain
        .signer(signers, list.signatures(), now)
        .map_err(Refusal::InvalidCertificate)?;
    let mut trusting = trusting.iter();
    let group = trusting.find(|(der, _)| **der == *signer.der());
    let (_, group) = group.ok_or(Refusal::Internal)?;
    Ok(group.attested(Credential::Certificate(thumbprint(leaf))))
}

/// The first group below whose keys the device's own derives. Whether devices derive it from
/// their id as they write it or in lower case is not documented: both are taken.
fn by_derived_key(
    groups: &[Arc<Group>],
    id: &RegistrationId,
    token: &SasToken,
    resource: &str,
    now: Timestamp,
) -> Result<Attested, Refusal> {
    let lower_case = Some(id.canonical()).filter(|lower| lower != id.as_str());
    for group in groups {
        let GroupMechanism::SymmetricKey(keys) = &group.proof else {
            continue;
        };
        for written in [Some(id.as_str()), lower_case.as_deref()]
            .into_iter()
            .flatten()
        {
            let derived = keys.derive(written);
            match derived.verify(token, resource, now) {
                Ok(()) => return Ok(group.attested(Credential::SymmetricKey(Box::new(derived)))),
                Err(SasError::BadSignature) => {}
                // No other key makes it better.
                Err(SasError::Expired | SasError::WrongResource) => {
                    return Err(Refusal::Unauthorized);
                }
            }
        }
    }
    Err(Refusal::Unauthorized)
}

impl Group {
    fn attested(&self, credential: Credential) -> Attested {
        Attested {
            credential,
            group: Some(self.id.clone()),
            device_id: None,
            settings: Arc::clone(&self.settings),
        }
    }
}

/// The token that a device without certificate must show.
fn token(request: &RegistrationRequest<'_>) -> Result<SasToken, Refusal> {
    let token = request.sas.ok_or(Refusal::Unauthorized)?;
    SasToken::parse(token).map_err(|_| Refusal::Unauthorized)
}

/// The device's certificate, if it has proven to hold its key.
fn leaf<'a>(request: &RegistrationRequest<'a>) -> Result<&'a CertificateDer<'static>, Refusal> {
    let unproven = || match request.unproven {
        Some(problem) => Refusal::InvalidCertificate(problem.to_owned()),
        None => Refusal::Unauthorized,
    };
    request.certificates.first().ok_or_else(unproven)
}

/// A certificate's common name is the registration id of its device, whatever the case.
fn is_good_for(
    leaf: &CertificateDer<'_>,
    id: &RegistrationId,
    now: Timestamp,
) -> Result<(), Refusal> {
    let wrong = |problem: String| Err(Refusal::InvalidCertificate(problem));
    match common_name(leaf) {
        Ok(name) if name.eq_ignore_ascii_case(id.as_str()) => {}
        Ok(name) => return wrong(format!("it is in the name of \"{name}\"")),
        Err(problem) => return wrong(problem.to_string()),
    }
    check_validity(leaf, now).or_else(|problem| wrong(problem.to_string()))
}
