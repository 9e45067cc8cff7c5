//! The fleet's identities: derived from `(seed, cohort, index)`, never stored.
//!
//! No files and no set-up phase; any shard of any machine can act for any
//! device, and the same seed gives the same fleet next year.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::attestation::AttestationKind;
use fleetstorm_protocol::enrollment::{
    AttestationMechanism, Enrollment, EnrollmentGroup, EnrollmentSettings, IndividualEnrollment,
    ProvisioningStatus, X509Attestation, X509CertificateWithInfo, X509Certificates,
};
use fleetstorm_protocol::ids::RegistrationId;
use fleetstorm_protocol::registration::TpmAttestation;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use fleetstorm_protocol::tpm::registration_id_of;
use fleetstorm_protocol::twin::{InitialTwin, InitialTwinProperties};
use fleetstorm_scenarios::{Cohort, Flaw, Plan};
use rustls::sign::CertifiedKey;

use crate::failure::Failure;
use certificates::Certificates;
use derive::Derivation;
use primes::PrimePool;
use symmetric_keys::{Roll, SymmetricKeys};

mod certificates;
mod derive;
mod key;
mod primes;
pub mod symmetric_keys;
pub mod tpm;

pub use tpm::VirtualTpm;

/// Everything that identities derive from: authorities and prime pools of every cohort.
pub struct Fleet {
    cohorts: Vec<CohortIdentities>,
}

/// Who a device is.
pub struct Identity {
    /// Its name.
    pub registration_id: RegistrationId,
    /// Its proof.
    pub credential: Credential,
}

/// How it proves it.
pub enum Credential {
    /// Leaf and chain as presented in TLS, with the leaf's key.
    X509(Arc<CertifiedKey>),
    /// Shared with the service.
    SymmetricKey(SymmetricKey),
    /// Endorsement key and storage root key.
    Tpm(Box<VirtualTpm>),
}

/// One cohort's.
struct CohortIdentities {
    name: String,
    devices: u32,
    flaw: Option<Flaw>,
    settings: EnrollmentSettings,
    source: Source,
}

enum Source {
    Group(Box<Certificates>),
    Individual(Box<Certificates>),
    KeyGroup(Box<SymmetricKeys>),
    KeyIndividual(Box<SymmetricKeys>),
    Tpm(PrimePool),
}

/// Host name of a hub of the bundled server.
pub fn hub_host(label: &str) -> String {
    format!("{label}.fleetstorm.test")
}

impl Fleet {
    /// Derives authorities and finds the primes that the plan needs; primes found
    /// before are read from `cache`, when given. `progress` hears of (found, needed).
    ///
    /// # Errors
    /// The cache can't be written.
    pub fn prepare(
        plan: &Plan,
        cache: Option<&Path>,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, Failure> {
        let seed = plan.scenario().seed;
        let cohorts = plan.scenario().cohorts.iter();
        let cohorts =
            cohorts.map(|cohort| CohortIdentities::prepare(cohort, seed, cache, progress));
        Ok(Self {
            cohorts: cohorts.collect::<Result<_, _>>()?,
        })
    }

    /// One device. Costs tens of microseconds.
    ///
    /// # Panics
    /// `cohort` is not one of the plan's.
    pub fn identity(&self, cohort: u16, device: u32) -> Identity {
        self.cohorts[usize::from(cohort)].identity(device)
    }

    /// The enrollment list that lets the fleet in, one after another.
    pub fn enrollments(&self) -> impl Iterator<Item = Enrollment> + '_ {
        let enrolled = self
            .cohorts
            .iter()
            .filter(|cohort| cohort.flaw != Some(Flaw::Unenrolled));
        enrolled.flat_map(|cohort| {
            let group = cohort.group().map(Enrollment::Group);
            group.into_iter().chain(cohort.individuals())
        })
    }
}

impl Fleet {
    /// The group of a cohort as its enrollment would be; none for a cohort without a group.
    pub fn group(&self, cohort: u16, enabled: bool) -> Option<EnrollmentGroup> {
        let mut group = self.cohorts.get(usize::from(cohort))?.group()?;
        group.settings.provisioning_status = if enabled {
            ProvisioningStatus::Enabled
        } else {
            ProvisioningStatus::Disabled
        };
        Some(group)
    }

    /// The same while its keys are rolled, and those keys; none for a cohort without a group key.
    pub fn rolled(&self, cohort: u16, roll: Roll) -> Option<(EnrollmentGroup, &SymmetricKeys)> {
        let cohort = self.cohorts.get(usize::from(cohort))?;
        let Source::KeyGroup(keys) = &cohort.source else {
            return None;
        };
        let mut group = cohort.group()?;
        group.attestation = keys.rolled_group(roll);
        Some((group, keys))
    }
}

impl CohortIdentities {
    fn prepare(
        cohort: &Cohort,
        seed: u64,
        cache: Option<&Path>,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, Failure> {
        let devices = u32::try_from(cohort.devices).map_err(|_| {
            Failure::usage(format!(
                "cohort {}: more than {} devices",
                cohort.name,
                u32::MAX
            ))
        })?;
        let certificates = || {
            Certificates::derive(seed, &cohort.name, cohort.flaw)
                .map(Box::new)
                .map_err(|e| Failure::bug(format!("cohort {}: no certificates: {e}", cohort.name)))
        };
        let keys = || Box::new(SymmetricKeys::derive(seed, &cohort.name, cohort.flaw));
        let source = match cohort.attestation {
            AttestationKind::X509Group => Source::Group(certificates()?),
            AttestationKind::X509Individual => Source::Individual(certificates()?),
            AttestationKind::SymmetricKeyGroup => Source::KeyGroup(keys()),
            AttestationKind::SymmetricKeyIndividual => Source::KeyIndividual(keys()),
            AttestationKind::Tpm => {
                let needed = primes::primes_for(2 * u64::from(devices));
                let derivation = Derivation::new(seed, &cohort.name);
                let pool =
                    PrimePool::prepare(&derivation, needed, cache, progress).map_err(|e| {
                        Failure::usage(format!("the cache of primes can't be written: {e}"))
                            .hint("set XDG_CACHE_HOME to a folder that can")
                    })?;
                Source::Tpm(pool)
            }
        };
        Ok(Self {
            name: cohort.name.clone(),
            devices,
            flaw: cohort.flaw,
            settings: settings(cohort),
            source,
        })
    }

    fn identity(&self, device: u32) -> Identity {
        let named = || format!("{}-{device:07}", self.name);
        let x509 =
            |certified: fn(&Certificates, &str, u32) -> Result<Arc<CertifiedKey>, rcgen::Error>,
             from| {
                let registration_id = named();
                let key = certified(from, &registration_id, device)
                    .expect("a derived key signs a derived certificate");
                (registration_id, Credential::X509(key))
            };
        let (registration_id, credential) = match &self.source {
            Source::Group(certificates) => x509(Certificates::of_group, certificates),
            Source::Individual(certificates) => x509(Certificates::of_individual, certificates),
            Source::KeyGroup(keys) => {
                let registration_id = named();
                let key = keys.of_group(&registration_id);
                (registration_id, Credential::SymmetricKey(key))
            }
            Source::KeyIndividual(keys) => (
                named(),
                Credential::SymmetricKey(keys.of_individual(device)),
            ),
            Source::Tpm(pool) => {
                let tpm = VirtualTpm::new(pool, device, self.flaw == Some(Flaw::WrongTpmKey));
                (
                    registration_id_of(tpm.endorsement_public()),
                    Credential::Tpm(Box::new(tpm)),
                )
            }
        };
        let registration_id =
            RegistrationId::parse(&registration_id).expect("cohort names are fit for ids");
        Identity {
            registration_id,
            credential,
        }
    }

    fn group(&self) -> Option<EnrollmentGroup> {
        let attestation = match &self.source {
            Source::Group(certificates) => AttestationMechanism::X509 {
                x509: X509Attestation {
                    signing_certificates: Some(primary(STANDARD.encode(certificates.root().der()))),
                    ..X509Attestation::default()
                },
            },
            Source::KeyGroup(keys) => keys.enrolled_group(),
            Source::Individual(_) | Source::KeyIndividual(_) | Source::Tpm(_) => return None,
        };
        Some(EnrollmentGroup {
            enrollment_group_id: self.name.clone(),
            attestation,
            settings: self.settings.clone(),
        })
    }

    fn individuals(&self) -> impl Iterator<Item = Enrollment> + '_ {
        let devices = match self.source {
            Source::Group(_) | Source::KeyGroup(_) => 0,
            Source::Individual(_) | Source::KeyIndividual(_) | Source::Tpm(_) => self.devices,
        };
        (0..devices).filter_map(|device| self.individual(device))
    }

    fn individual(&self, device: u32) -> Option<Enrollment> {
        let identity = self.identity(device);
        let attestation = match (&identity.credential, &self.source) {
            (Credential::X509(key), _) => AttestationMechanism::X509 {
                x509: X509Attestation {
                    client_certificates: key
                        .cert
                        .first()
                        .map(|leaf| primary(STANDARD.encode(leaf))),
                    ..X509Attestation::default()
                },
            },
            (Credential::Tpm(tpm), _) => AttestationMechanism::Tpm {
                tpm: TpmAttestation {
                    endorsement_key: STANDARD.encode(tpm.endorsement_public().as_tpm2b()),
                    storage_root_key: None,
                },
            },
            // What the device holds may be the wrong key.
            (Credential::SymmetricKey(_), Source::KeyIndividual(keys)) => {
                keys.enrolled_individual(device)
            }
            (Credential::SymmetricKey(_), _) => return None,
        };
        Some(Enrollment::Individual(IndividualEnrollment {
            registration_id: identity.registration_id.to_string(),
            device_id: None,
            attestation,
            settings: self.settings.clone(),
        }))
    }
}

fn settings(cohort: &Cohort) -> EnrollmentSettings {
    let desired = cohort.desired.clone().into_iter().collect();
    EnrollmentSettings {
        provisioning_status: if cohort.enabled {
            ProvisioningStatus::Enabled
        } else {
            ProvisioningStatus::Disabled
        },
        allocation_policy: Some(cohort.allocation.name().into()),
        iot_hubs: cohort.hubs.iter().map(|hub| hub_host(hub)).collect(),
        reprovision_policy: Some(cohort.reprovision.policy()),
        initial_twin: Some(InitialTwin {
            properties: InitialTwinProperties { desired },
            ..InitialTwin::default()
        }),
        ..EnrollmentSettings::default()
    }
}

fn primary(certificate: String) -> X509Certificates {
    X509Certificates {
        primary: Some(X509CertificateWithInfo { certificate }),
        secondary: None,
    }
}
