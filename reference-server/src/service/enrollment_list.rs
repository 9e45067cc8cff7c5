//! The enrollment list: who may register, checked when it is entered.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::enrollment::{
    AllocationPolicy, AttestationMechanism, Enrollment, EnrollmentGroup, EnrollmentSettings,
    IndividualEnrollment, ProvisioningStatus, ReprovisionPolicy, X509Attestation, X509Certificates,
};
use fleetstorm_protocol::ids::{DeviceId, RegistrationId};
use fleetstorm_protocol::registration::TpmAttestation;
use fleetstorm_protocol::tpm::PublicArea;
use fleetstorm_protocol::twin::InitialTwin;
use fleetstorm_protocol::x509::{Thumbprint, certificate_from_text, thumbprint};

use super::chain::SigningCertificate;
use super::device_keys::KeyPair;
use super::link::Link;

/// Groups with symmetric keys that an instance may have (DPS documentation, "Quotas and limits").
const MAX_KEY_GROUPS: usize = 100;

/// Individual enrollments by registration id, and groups in their order.
#[derive(Debug, Default)]
pub struct EnrollmentList {
    links: Vec<Link>,
    default_policy: AllocationPolicy,
    individuals: HashMap<Box<str>, Individual>,
    groups: Vec<Arc<Group>>,
    last_settings: Option<(EnrollmentSettings, Arc<Settings>)>,
}

/// One device that may register.
#[derive(Debug)]
pub struct Individual {
    /// Its name at the hub, when it is not the registration id.
    pub device_id: Option<DeviceId>,
    /// How it proves who it is.
    pub proof: IndividualProof,
    /// The rest.
    pub settings: Arc<Settings>,
}

/// How one device proves who it is.
#[derive(Debug)]
pub enum IndividualProof {
    /// By the TPM with this endorsement key, a TPM2B_PUBLIC.
    Tpm {
        /// Compared byte for byte.
        endorsement_key: Box<[u8]>,
    },
    /// By either of these keys.
    SymmetricKey(Box<KeyPair>),
    /// By this very certificate: primary or secondary.
    Certificate {
        /// Their thumbprints.
        thumbprints: Box<[Thumbprint]>,
    },
}

/// Devices below a signing certificate or a pair of keys.
#[derive(Debug)]
pub struct Group {
    /// Its name.
    pub id: String,
    /// How its devices prove who they are.
    pub proof: GroupProof,
    /// The rest.
    pub settings: Arc<Settings>,
}

/// How the devices of a group prove who they are.
#[derive(Debug)]
pub enum GroupProof {
    /// By a chain to one of these, primary and secondary.
    Certificates(Vec<SigningCertificate>),
    /// By a key that derives from one of these.
    SymmetricKey(KeyPair),
}

/// What individual enrollments and groups have in common.
#[derive(Debug)]
pub struct Settings {
    /// Whether its devices may register.
    pub enabled: bool,
    /// How a hub is chosen among them.
    pub policy: AllocationPolicy,
    /// Indices of the linked hubs to choose from.
    pub hubs: Box<[usize]>,
    /// What happens when a device registers again.
    pub reprovision: Option<ReprovisionPolicy>,
    /// What the twin starts with.
    pub initial_twin: Option<InitialTwin>,
}

impl EnrollmentList {
    /// Empty; enrollments may name linked hubs, and those that name no allocation policy have
    /// this one.
    pub fn new(links: &[Link], default_policy: AllocationPolicy) -> Self {
        Self {
            links: links.to_vec(),
            default_policy,
            ..Self::default()
        }
    }

    /// Enters one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, enrollment: &Enrollment) -> Result<(), String> {
        match enrollment {
            Enrollment::Individual(individual) => self.add_individual(individual),
            Enrollment::Group(group) => self.add_group(group),
        }
    }

    /// The device's own enrollment.
    pub fn individual(&self, id: &RegistrationId) -> Option<&Individual> {
        self.individuals.get(id.canonical().as_str())
    }

    /// Groups in the order they were entered.
    pub fn groups(&self) -> &[Arc<Group>] {
        &self.groups
    }

    fn add_individual(&mut self, individual: &IndividualEnrollment) -> Result<(), String> {
        let id = RegistrationId::parse(&individual.registration_id).map_err(|e| e.to_string())?;
        let device_id = individual
            .device_id
            .as_deref()
            .map(DeviceId::parse)
            .transpose()
            .map_err(|e| e.to_string())?;
        let proof = match &individual.attestation {
            AttestationMechanism::Tpm { tpm } => IndividualProof::Tpm {
                endorsement_key: endorsement_key(tpm)?.as_tpm2b().into(),
            },
            AttestationMechanism::SymmetricKey { symmetric_key } => {
                IndividualProof::SymmetricKey(Box::new(KeyPair::of(symmetric_key)))
            }
            AttestationMechanism::X509 { x509 } => {
                let certificates = x509.client_certificates.as_ref();
                let certificates =
                    certificates.ok_or("attestation.x509.clientCertificates: is missing")?;
                let thumbprints = each_certificate(certificates)?
                    .iter()
                    .map(|der| thumbprint(der))
                    .collect();
                IndividualProof::Certificate { thumbprints }
            }
        };
        let settings = self.settings(&individual.settings)?;
        let entry = Individual {
            device_id,
            proof,
            settings,
        };
        match self.individuals.insert(id.canonical().into(), entry) {
            None => Ok(()),
            Some(_) => Err(format!("registrationId: \"{id}\" was enrolled before")),
        }
    }

    fn add_group(&mut self, group: &EnrollmentGroup) -> Result<(), String> {
        let id = group.enrollment_group_id.clone();
        if self
            .groups
            .iter()
            .any(|known| known.id.eq_ignore_ascii_case(&id))
        {
            return Err(format!("enrollmentGroupId: \"{id}\" was entered before"));
        }
        let proof = match &group.attestation {
            AttestationMechanism::X509 { x509 } => {
                GroupProof::Certificates(signing_certificates(x509)?)
            }
            AttestationMechanism::SymmetricKey { symmetric_key } => {
                self.room_for_a_key_group()?;
                GroupProof::SymmetricKey(KeyPair::of(symmetric_key))
            }
            AttestationMechanism::Tpm { .. } => {
                return Err(
                    "attestation.type: a group can't be attested by TPM: enroll each TPM by itself"
                        .into(),
                );
            }
        };
        let settings = self.settings(&group.settings)?;
        self.groups.push(Arc::new(Group {
            id,
            proof,
            settings,
        }));
        Ok(())
    }

    /// A device's token does not name its group: each one more costs every registration.
    fn room_for_a_key_group(&self) -> Result<(), String> {
        let by_key = |group: &&Arc<Group>| matches!(group.proof, GroupProof::SymmetricKey(_));
        if self.groups.iter().filter(by_key).count() < MAX_KEY_GROUPS {
            return Ok(());
        }
        Err(format!(
            "attestation.type: there are {MAX_KEY_GROUPS} groups with symmetric keys already, which is the limit: use individual enrollments"
        ))
    }

    /// Neighbours in a list mostly share their settings: kept once.
    fn settings(&mut self, settings: &EnrollmentSettings) -> Result<Arc<Settings>, String> {
        if let Some((known, shared)) = &self.last_settings
            && known == settings
        {
            return Ok(Arc::clone(shared));
        }
        let shared = Arc::new(self.check(settings)?);
        self.last_settings = Some((settings.clone(), Arc::clone(&shared)));
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
        if policy == AllocationPolicy::Static && settings.iot_hubs.len() != 1 {
            return Err(format!(
                "iotHubs: static allocation needs the one hub that devices go to, not {}",
                settings.iot_hubs.len()
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
        let hubs: Box<[usize]> = match settings.iot_hubs.as_slice() {
            [] => {
                let links = self.links.iter().enumerate();
                let applying = links.filter(|(_, link)| link.applies);
                applying.map(|(index, _)| index).collect()
            }
            named => named.iter().map(index_of).collect::<Result<_, _>>()?,
        };
        Ok(Settings {
            enabled: settings.provisioning_status == ProvisioningStatus::Enabled,
            policy,
            hubs,
            reprovision: settings.reprovision_policy,
            initial_twin: settings.initial_twin.clone(),
        })
    }
}

fn signing_certificates(x509: &X509Attestation) -> Result<Vec<SigningCertificate>, String> {
    let certificates = x509.signing_certificates.as_ref();
    let certificates = certificates.ok_or("attestation.x509.signingCertificates: is missing")?;
    each_certificate(certificates)?
        .into_iter()
        .map(SigningCertificate::new)
        .collect::<Result<_, _>>()
        .map_err(|problem| format!("attestation.x509.signingCertificates: {problem}"))
}

fn endorsement_key(tpm: &TpmAttestation) -> Result<PublicArea, String> {
    let field = "attestation.tpm.endorsementKey";
    let bytes = STANDARD
        .decode(&tpm.endorsement_key)
        .map_err(|e| format!("{field}: is not base64: {e}"))?;
    PublicArea::parse(&bytes).map_err(|e| format!("{field}: {e}"))
}

/// Primary and secondary, in DER; at least one.
fn each_certificate(certificates: &X509Certificates) -> Result<Vec<Vec<u8>>, String> {
    let given = [
        ("primary", &certificates.primary),
        ("secondary", &certificates.secondary),
    ];
    let given = given
        .into_iter()
        .filter_map(|(name, certificate)| Some((name, certificate.as_ref()?)));
    let ders: Vec<_> = given
        .map(|(name, with_info)| {
            certificate_from_text(&with_info.certificate).map_err(|e| format!("{name}: {e}"))
        })
        .collect::<Result<_, _>>()?;
    if ders.is_empty() {
        Err("attestation.x509: has no certificate".into())
    } else {
        Ok(ders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> Vec<Link> {
        vec![Link {
            hub: 0,
            host_name: "hub-1.test".into(),
            region: None,
            weight: 1,
            applies: true,
        }]
    }

    fn add(line: &str) -> Result<(), String> {
        let enrollment = Enrollment::from_json(line).map_err(|e| e.to_string())?;
        EnrollmentList::new(&links(), AllocationPolicy::Hashed).add(&enrollment)
    }

    #[test]
    fn what_can_not_serve_is_refused_with_its_field() {
        let certificate =
            rcgen::generate_simple_self_signed(["a".to_owned()]).expect("a certificate");
        let pem = serde_json::to_string(&certificate.cert.pem()).expect("JSON");
        let x509 = format!(
            r#""attestation":{{"type":"x509","x509":{{"clientCertificates":{{"primary":{{"certificate":{pem}}}}}}}}}"#
        );
        assert_eq!(add(&format!(r#"{{"registrationId":"a",{x509}}}"#)), Ok(()));
        for (line, words) in [
            (format!(r#"{{"registrationId":"a b",{x509}}}"#), "registration id"),
            (format!(r#"{{"registrationId":"a","iotHubs":["hub-9.test"],{x509}}}"#), "iotHubs: \"hub-9.test\" is not linked"),
            (format!(r#"{{"registrationId":"a","allocationPolicy":"custom",{x509}}}"#), "allocationPolicy"),
            (format!(r#"{{"registrationId":"a","allocationPolicy":"static",{x509}}}"#), "static allocation needs the one hub"),
            (format!(r#"{{"enrollmentGroupId":"g",{x509}}}"#), "signingCertificates: is missing"),
            (r#"{"registrationId":"a","attestation":{"type":"tpm","tpm":{"endorsementKey":"AAAA"}}}"#.into(), "endorsementKey"),
            (r#"{"enrollmentGroupId":"g","attestation":{"type":"tpm","tpm":{"endorsementKey":"AAAA"}}}"#.into(), "by TPM"),
            (r#"{"registrationId":"a","attestation":{"type":"x509","x509":{"clientCertificates":{}}}}"#.into(), "no certificate"),
        ] {
            let problem = add(&line).expect_err(&line);
            assert!(problem.contains(words), "{line}: {problem}");
        }
    }

    #[test]
    fn there_are_a_hundred_groups_with_keys_and_no_more() {
        let mut list = EnrollmentList::new(&links(), AllocationPolicy::Hashed);
        let mut add = |number: usize| {
            let text = format!(
                r#"{{"enrollmentGroupId":"g-{number}","attestation":{{"type":"symmetricKey"}}}}"#
            );
            list.add(&Enrollment::from_json(&text).expect("an enrollment"))
        };
        for number in 0..100 {
            assert_eq!(add(number), Ok(()));
        }
        assert!(add(100).is_err_and(|problem| problem.contains("limit")));
    }

    #[test]
    fn a_second_enrollment_of_the_same_device_is_refused() {
        let certificate =
            rcgen::generate_simple_self_signed(["a".to_owned()]).expect("a certificate");
        let pem = serde_json::to_string(&certificate.cert.pem()).expect("JSON");
        let line = |id: &str| {
            let text = format!(
                r#"{{"registrationId":"{id}","attestation":{{"type":"x509","x509":{{"clientCertificates":{{"primary":{{"certificate":{pem}}}}}}}}}}}"#
            );
            Enrollment::from_json(&text).expect("an enrollment")
        };
        let mut list = EnrollmentList::new(&links(), AllocationPolicy::Hashed);
        assert_eq!(list.add(&line("pump")), Ok(()));
        assert!(
            list.add(&line("PUMP"))
                .is_err_and(|problem| problem.contains("enrolled before"))
        );
    }
}
