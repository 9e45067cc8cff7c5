//! What an enrollment says, taken apart and checked.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::enrollment::{
    AllocationPolicy, AttestationMechanism, EnrollmentGroup, EnrollmentSettings,
    IndividualEnrollment, ProvisioningStatus, ReprovisionPolicy, X509Attestation, X509CaReferences,
    X509Certificates,
};
use fleetstorm_protocol::ids::DeviceId;
use fleetstorm_protocol::registration::TpmAttestation;
use fleetstorm_protocol::tpm::PublicArea;
use fleetstorm_protocol::twin::InitialTwin;
use fleetstorm_protocol::x509::{Thumbprint, certificate_from_text, thumbprint};

use super::authorities::Authorities;
use super::stamp::Stamp;
use crate::service::device_keys::KeyPair;
use crate::service::fitness;
use crate::service::linked_hub::LinkedHub;
use crate::service::signing_certificate::SigningCertificate;
use crate::webhook::url::Webhook;

/// One device that may register.
#[derive(Debug)]
pub struct Individual {
    /// Its name at the hub, when it is not the registration id.
    pub device_id: Option<DeviceId>,
    /// How it proves who it is.
    pub proof: IndividualMechanism,
    /// The rest.
    pub settings: Arc<Settings>,
    /// When it was written.
    pub stamp: Stamp,
}

/// How one device proves who it is.
#[derive(Debug)]
pub enum IndividualMechanism {
    /// By the TPM with this endorsement key, a TPM2B_PUBLIC.
    Tpm {
        /// Compared byte for byte.
        endorsement_key: Box<[u8]>,
    },
    /// By either of these keys.
    SymmetricKey(Box<KeyPair>),
    /// By this very certificate: primary or secondary.
    Certificate {
        /// Which.
        certificates: Box<[Enrolled]>,
    },
}

/// A device's own certificate.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// SHA-256.
    pub thumbprint: Thumbprint,
    /// In DER.
    pub der: Box<[u8]>,
}

/// Devices below a signing certificate or a pair of keys.
#[derive(Debug)]
pub struct Group {
    /// Its name.
    pub id: String,
    /// How its devices prove who they are.
    pub proof: GroupMechanism,
    /// The rest.
    pub settings: Arc<Settings>,
    /// When it was written.
    pub stamp: Stamp,
}

impl Group {
    /// Tells each of its signing certificates, if it has any.
    pub fn each_signer(
        &self,
        authorities: &Authorities,
        tell: impl FnMut(&Arc<SigningCertificate>),
    ) {
        match &self.proof {
            GroupMechanism::Certificates(signers) => signers.iter().for_each(tell),
            GroupMechanism::CaReferences(names) => {
                let signers: Vec<_> = names
                    .names()
                    .filter_map(|name| authorities.verified(name))
                    .collect();
                signers.iter().for_each(tell);
            }
            GroupMechanism::SymmetricKey(_) => {}
        }
    }
}

/// How the devices of a group prove who they are.
#[derive(Debug)]
pub enum GroupMechanism {
    /// By a chain to one of these, primary and secondary.
    Certificates(Arc<[Arc<SigningCertificate>]>),
    /// By a chain to a CA certificate of the instance with one of these names.
    CaReferences(X509CaReferences),
    /// By a key that derives from one of these.
    SymmetricKey(KeyPair),
}

/// What individual enrollments and groups have in common.
#[derive(Debug, Default)]
pub struct Settings {
    /// As they were written.
    pub written: EnrollmentSettings,
    /// Whether its devices may register.
    pub enabled: bool,
    /// How a hub is chosen among them.
    pub policy: AllocationPolicy,
    /// Indices of the linked hubs to choose from; never empty.
    pub hubs: Box<[usize]>,
    /// Who chooses among them, with custom allocation.
    pub webhook: Option<Webhook>,
    /// What happens when a device registers again.
    pub reprovision: Option<ReprovisionPolicy>,
    /// What the twin starts with.
    pub initial_twin: Option<InitialTwin>,
}

/// Checks enrollments against what the instance has.
#[derive(Debug)]
pub(super) struct EnrollmentCompiler {
    links: Vec<LinkedHub>,
    default_policy: AllocationPolicy,
    /// Names of the credential policies.
    pub(super) credential_policies: Vec<String>,
    last: Mutex<Option<Arc<Settings>>>,
}

impl EnrollmentCompiler {
    pub(super) fn new(links: &[LinkedHub], default_policy: AllocationPolicy) -> Self {
        Self {
            links: links.to_vec(),
            default_policy,
            credential_policies: Vec::new(),
            last: Mutex::new(None),
        }
    }

    /// An individual enrollment; what it leaves out of its proof stays as it is in `known`.
    pub(super) fn individual(
        &self,
        individual: &IndividualEnrollment,
        known: Option<&Individual>,
        stamp: Stamp,
    ) -> Result<Individual, String> {
        let device_id = individual.device_id.as_deref().map(DeviceId::parse);
        let device_id = device_id.transpose().map_err(|e| e.to_string())?;
        let proof = match &individual.attestation {
            AttestationMechanism::Tpm { tpm } => IndividualMechanism::Tpm {
                endorsement_key: endorsement_key(tpm)?.as_tpm2b().into(),
            },
            AttestationMechanism::SymmetricKey { symmetric_key } => {
                let known = match known.map(|known| &known.proof) {
                    Some(IndividualMechanism::SymmetricKey(keys)) => Some(&**keys),
                    _ => None,
                };
                IndividualMechanism::SymmetricKey(Box::new(KeyPair::over(symmetric_key, known)))
            }
            AttestationMechanism::X509 { x509 } => {
                let certificates = x509.client_certificates.as_ref();
                let certificates =
                    certificates.ok_or("attestation.x509.clientCertificates: is missing")?;
                let certificates = match known.map(|known| &known.proof) {
                    Some(IndividualMechanism::Certificate { certificates })
                        if is_left_out(x509.client_certificates.as_ref()) =>
                    {
                        certificates.clone()
                    }
                    _ => each_certificate("clientCertificates", certificates)?
                        .into_iter()
                        .map(|(place, der)| {
                            fitness::read(&der)
                                .and_then(|read| fitness::of_device(&read))
                                .map_err(|problem| format!("{place}: {problem}"))?;
                            Ok(Enrolled {
                                thumbprint: thumbprint(&der),
                                der: der.into(),
                            })
                        })
                        .collect::<Result<_, String>>()?,
                };
                IndividualMechanism::Certificate { certificates }
            }
        };
        let settings = self.settings(&individual.settings)?;
        Ok(Individual {
            device_id,
            proof,
            settings,
            stamp,
        })
    }

    /// A group; what it leaves out of its proof stays as it is in `known`.
    pub(super) fn group(
        &self,
        group: &EnrollmentGroup,
        known: Option<&Group>,
        stamp: Stamp,
    ) -> Result<Group, String> {
        let proof = match &group.attestation {
            AttestationMechanism::X509 { x509 } if x509.ca_references.is_some() => {
                GroupMechanism::CaReferences(ca_references(x509)?)
            }
            AttestationMechanism::X509 { x509 } => match known.map(|known| &known.proof) {
                Some(GroupMechanism::Certificates(signers))
                    if is_left_out(x509.signing_certificates.as_ref()) =>
                {
                    GroupMechanism::Certificates(Arc::clone(signers))
                }
                _ => GroupMechanism::Certificates(signing_certificates(x509)?.into()),
            },
            AttestationMechanism::SymmetricKey { symmetric_key } => {
                let known = match known.map(|known| &known.proof) {
                    Some(GroupMechanism::SymmetricKey(keys)) => Some(keys),
                    _ => None,
                };
                GroupMechanism::SymmetricKey(KeyPair::over(symmetric_key, known))
            }
            AttestationMechanism::Tpm { .. } => {
                return Err(
                    "attestation.type: a group can't be attested by TPM: enroll each TPM by itself"
                        .into(),
                );
            }
        };
        let settings = self.settings(&group.settings)?;
        Ok(Group {
            id: group.enrollment_group_id.clone(),
            proof,
            settings,
            stamp,
        })
    }

    /// Neighbours in a list mostly share their settings: kept once.
    pub(super) fn settings(&self, settings: &EnrollmentSettings) -> Result<Arc<Settings>, String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = &*last
            && shared.written == *settings
        {
            return Ok(Arc::clone(shared));
        }
        let shared = Arc::new(self.check(settings)?);
        *last = Some(Arc::clone(&shared));
        Ok(shared)
    }

    fn check(&self, settings: &EnrollmentSettings) -> Result<Settings, String> {
        let policy = match settings.allocation_policy.as_deref() {
            None => self.default_policy,
            Some(name) => AllocationPolicy::from_name(name).ok_or_else(|| {
                let known = AllocationPolicy::ALL.map(AllocationPolicy::name).join(", ");
                format!("allocationPolicy: \"{name}\" is not served here; there are {known}")
            })?,
        };
        if let Some(name) = &settings.credential_policy_name {
            let known = &self.credential_policies;
            if !known.iter().any(|policy| policy.eq_ignore_ascii_case(name)) {
                return Err(format!(
                    "credentialPolicyName: \"{name}\" is no credential policy of this instance; there are {}",
                    if known.is_empty() {
                        "none".into()
                    } else {
                        known.join(", ")
                    }
                ));
            }
        }
        let named = match settings.iot_hubs.as_slice() {
            [] => settings.iot_hub_host_name.as_slice(),
            named => named,
        };
        let webhook = match (policy, &settings.custom_allocation_definition) {
            (AllocationPolicy::Custom, None) => {
                return Err(
                    "customAllocationDefinition: is missing: custom allocation needs a webhook"
                        .into(),
                );
            }
            (_, None) => None,
            (_, Some(definition)) => Some(Webhook::of(definition)?),
        };
        // Another policy's enrollment may keep the definition for later.
        let webhook = webhook.filter(|_| policy == AllocationPolicy::Custom);
        if policy == AllocationPolicy::Static && named.len() != 1 {
            return Err(format!(
                "iotHubs: static allocation needs the one hub that devices go to, not {}",
                named.len()
            ));
        }
        let index_of = |host: &String| {
            let index = self
                .links
                .iter()
                .position(|link| link.host_name.eq_ignore_ascii_case(host));
            index.ok_or_else(|| {
                let linked: Vec<_> = self
                    .links
                    .iter()
                    .map(|link| link.host_name.as_str())
                    .collect();
                format!(
                    "iotHubs: \"{host}\" is not linked; linked are {}",
                    linked.join(", ")
                )
            })
        };
        let hubs: Box<[usize]> = match named {
            [] => {
                let links = self.links.iter().enumerate();
                let applying = links.filter(|(_, link)| link.applies);
                applying.map(|(index, _)| index).collect()
            }
            named => named.iter().map(index_of).collect::<Result<_, _>>()?,
        };
        if hubs.is_empty() {
            return Err("iotHubs: name a hub, for no linked one applies by itself".into());
        }
        Ok(Settings {
            written: settings.clone(),
            enabled: settings.provisioning_status == ProvisioningStatus::Enabled,
            policy,
            hubs,
            webhook,
            reprovision: settings.reprovision_policy,
            initial_twin: settings.initial_twin.clone(),
        })
    }
}

/// Whether an update names certificates and gives none: answers leave them out, and clients
/// send back what they got.
fn is_left_out(certificates: Option<&X509Certificates>) -> bool {
    certificates.is_some_and(|certificates| {
        let given = [&certificates.primary, &certificates.secondary];
        let mut given = given.into_iter().flatten().peekable();
        given.peek().is_some() && given.all(|with_info| with_info.certificate.is_empty())
    })
}

/// Names of CA certificates; a group has those or certificates of its own.
fn ca_references(x509: &X509Attestation) -> Result<X509CaReferences, String> {
    let names = x509.ca_references.clone().unwrap_or_default();
    if x509.signing_certificates.is_some() {
        return Err(
            "attestation.x509.caReferences: stand beside signingCertificates: choose one".into(),
        );
    }
    if names.names().next().is_none() {
        return Err("attestation.x509.caReferences: name a CA certificate".into());
    }
    Ok(names)
}

fn signing_certificates(x509: &X509Attestation) -> Result<Vec<Arc<SigningCertificate>>, String> {
    let certificates = x509.signing_certificates.as_ref();
    let certificates = certificates.ok_or("attestation.x509.signingCertificates: is missing")?;
    each_certificate("signingCertificates", certificates)?
        .into_iter()
        .map(|(place, der)| {
            let signer = SigningCertificate::new(der).map(Arc::new);
            signer.map_err(|problem| format!("{place}: {problem}"))
        })
        .collect()
}

fn endorsement_key(tpm: &TpmAttestation) -> Result<PublicArea, String> {
    let field = "attestation.tpm.endorsementKey";
    let bytes = STANDARD
        .decode(&tpm.endorsement_key)
        .map_err(|e| format!("{field}: is not base64: {e}"))?;
    PublicArea::parse(&bytes).map_err(|e| format!("{field}: {e}"))
}

/// Primary and secondary of a member of `attestation.x509`, with their places, in DER; at least one.
fn each_certificate(
    member: &str,
    certificates: &X509Certificates,
) -> Result<Vec<(String, Vec<u8>)>, String> {
    let given = [
        ("primary", &certificates.primary),
        ("secondary", &certificates.secondary),
    ];
    let given = given
        .into_iter()
        .filter_map(|(name, certificate)| Some((name, certificate.as_ref()?)));
    let ders: Vec<_> = given
        .map(|(name, with_info)| {
            let place = format!("attestation.x509.{member}.{name}.certificate");
            match certificate_from_text(&with_info.certificate) {
                Ok(der) => Ok((place, der)),
                Err(problem) => Err(format!("{place}: {}", problem.problem)),
            }
        })
        .collect::<Result<_, String>>()?;
    if ders.is_empty() {
        Err(format!("attestation.x509.{member}: has no certificate"))
    } else {
        Ok(ders)
    }
}
