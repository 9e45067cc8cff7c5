//! The fleet's identities: derived from `(seed, cohort, index)`, never stored.
//!
//! No files and no set-up phase; any shard of any machine can act for any
//! device, and the same seed gives the same fleet next year.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::attestation::AttestationKind;
use fleetstorm_protocol::enrollment::{
    AttestationMechanism, Enrollment, EnrollmentGroup, EnrollmentSettings, IndividualEnrollment,
    ProvisioningStatus,
};
use fleetstorm_protocol::ids::RegistrationId;
use fleetstorm_protocol::registration::TpmAttestation;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use fleetstorm_protocol::tpm::registration_id_of;
use fleetstorm_scenarios::event::{Action, DeviceAction, IntentChange};
use fleetstorm_scenarios::{Cohort, Flaw, Plan, Scenario};
use jiff::Timestamp;
use rustls::sign::CertifiedKey;

use crate::failure::Failure;
use batches::Batches;
use certificates::Certificates;
use generations::{Generations, InForce};
use sale::Sale;
use settings::settings;
use symmetric_keys::SymmetricKeys;
use tpms::{Keys, Tpms};

mod batches;
mod certificates;
mod derive;
mod generations;
mod key;
mod primes;
mod sale;
mod settings;
mod symmetric_keys;
pub mod tpm;
mod tpms;
mod transfer;

pub use generations::Roll;
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
    /// Index of the instance that it belongs to.
    pub owner: u8,
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
    tenant: u8,
    devices: u32,
    flaw: Option<Flaw>,
    settings: EnrollmentSettings,
    sale: Option<Sale>,
    source: Source,
}

enum Source {
    Group(Box<Certificates>),
    Individual(Box<Certificates>),
    KeyGroup(Box<SymmetricKeys>),
    KeyIndividual(Box<SymmetricKeys>),
    Tpm(Box<Tpms>),
}

/// Writes the line of a list that says whose the enrollments below it are.
///
/// # Errors
/// It can't be written.
pub fn write_heading(out: &mut impl Write, id_scope: &str) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &serde_json::json!({"idScope": id_scope}))?;
    out.write_all(b"\n")
}

impl Fleet {
    /// Derives authorities and finds the primes that the plan needs; primes found
    /// before are read from `cache`, when given. `progress` hears of (found, needed).
    ///
    /// # Errors
    /// A cohort can't be derived, or the run is called off meanwhile.
    pub fn prepare(
        plan: &Plan,
        cache: Option<&Path>,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, Failure> {
        let seed = plan.scenario().seed;
        let cohorts = plan.scenario().cohorts.iter();
        let cohorts = (0..).zip(cohorts).map(|(index, cohort)| {
            let events = plan.scenario().events.as_slice();
            let count = |happens: fn(&Action, u16) -> bool| {
                let events = events.iter();
                events.filter(|event| happens(&event.action, index)).count() as u64
            };
            let (rolls, resets) = (count(is_rolled), count(is_reset));
            let mut prepared =
                CohortIdentities::prepare(cohort, (seed, rolls, resets), cache, progress)?;
            prepared.sale = Sale::of(cohort, index, plan.scenario());
            Ok(prepared)
        });
        Ok(Self {
            cohorts: cohorts.collect::<Result<_, _>>()?,
        })
    }

    /// Makes it the fleet of a run that starts then: certificates that expire during it know when.
    pub fn start_at(&mut self, start: Timestamp, scenario: &Scenario) {
        for (index, cohort) in (0..).zip(&mut self.cohorts) {
            if let Source::Group(certificates) | Source::Individual(certificates) =
                &mut cohort.source
            {
                certificates.expire(Batches::of(scenario, index, start));
            }
        }
    }

    /// One device. Costs tens of microseconds.
    ///
    /// # Panics
    /// `cohort` is not one of the plan's.
    pub fn identity(&self, cohort: u16, device: u32) -> Identity {
        self.identity_after(0, cohort, device)
    }

    /// The same, of a device whose TPM, if it has one, was cleared so many times.
    ///
    /// # Panics
    /// `cohort` is not one of the plan's.
    pub fn identity_after(&self, resets: u64, cohort: u16, device: u32) -> Identity {
        self.cohorts[usize::from(cohort)].identity(device, resets)
    }

    /// The enrollment list of an instance that lets its devices in, one after another.
    pub fn enrollments(&self, tenant: u8) -> impl Iterator<Item = Enrollment> + '_ {
        let cohorts = self.cohorts.iter();
        let enrolled = cohorts
            .filter(move |cohort| cohort.tenant == tenant && cohort.flaw != Some(Flaw::Unenrolled));
        enrolled.flat_map(|cohort| cohort.enrollments(cohort.in_force()))
    }

    /// Writes it, a line an enrollment.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write_enrollments(&self, out: &mut impl Write, tenant: u8) -> io::Result<()> {
        for enrollment in self.enrollments(tenant) {
            serde_json::to_writer(&mut *out, &enrollment)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }
}

impl Fleet {
    /// The group of a cohort as its enrollment would be; none for a cohort without a group.
    pub fn group(&self, cohort: u16, enabled: bool) -> Option<EnrollmentGroup> {
        let cohort = self.cohorts.get(usize::from(cohort))?;
        let mut group = cohort.group(cohort.in_force())?;
        group.settings.provisioning_status = if enabled {
            ProvisioningStatus::Enabled
        } else {
            ProvisioningStatus::Disabled
        };
        Some(group)
    }

    /// What a cohort's enrollments are once its keys or certificates are rolled a step further; none
    /// for a cohort that has none.
    pub fn rolled(&self, cohort: u16, roll: Roll) -> Option<impl Iterator<Item = Enrollment> + '_> {
        let cohort = self.cohorts.get(usize::from(cohort))?;
        let in_force = cohort.generations()?.after(roll);
        Some(cohort.enrollments(in_force))
    }

    /// From now on devices are made accordingly.
    pub fn roll(&self, cohort: u16, roll: Roll) {
        let cohort = self.cohorts.get(usize::from(cohort));
        if let Some(generations) = cohort.and_then(CohortIdentities::generations) {
            generations.step(roll);
        }
    }
}

impl CohortIdentities {
    fn prepare(
        cohort: &Cohort,
        (seed, rolls, resets): (u64, u64, u64),
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
            Certificates::derive(seed, &cohort.name, cohort.flaw, rolls)
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
                let tpms = Tpms::prepare((seed, &cohort.name), devices, resets, cache, progress);
                Source::Tpm(Box::new(tpms?))
            }
        };
        Ok(Self {
            name: cohort.name.clone(),
            tenant: cohort.tenant,
            devices,
            flaw: cohort.flaw,
            settings: settings(cohort),
            sale: None,
            source,
        })
    }

    fn identity(&self, device: u32, resets: u64) -> Identity {
        let named = || self.named(device);
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
            Source::Tpm(tpms) => {
                let tpm = self.tpm(tpms, device, resets);
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
            owner: self.owner(device),
        }
    }

    fn generations(&self) -> Option<&Generations> {
        match &self.source {
            Source::Group(certificates) | Source::Individual(certificates) => {
                Some(&certificates.generations)
            }
            Source::KeyGroup(keys) | Source::KeyIndividual(keys) => Some(&keys.generations),
            Source::Tpm(_) => None,
        }
    }

    fn in_force(&self) -> InForce {
        let of_tpms = Generations::default;
        let generations = self.generations();
        generations.map_or_else(|| of_tpms().in_force(), Generations::in_force)
    }

    fn enrollments(&self, in_force: InForce) -> impl Iterator<Item = Enrollment> + '_ {
        let group = self.group(in_force).map(Enrollment::Group);
        group.into_iter().chain(self.individuals(in_force))
    }

    fn group(&self, in_force: InForce) -> Option<EnrollmentGroup> {
        let attestation = match &self.source {
            Source::Group(certificates) => certificates.enrolled_group(in_force),
            Source::KeyGroup(keys) => keys.enrolled_group(in_force),
            Source::Individual(_) | Source::KeyIndividual(_) | Source::Tpm(_) => return None,
        };
        Some(EnrollmentGroup {
            enrollment_group_id: self.name.clone(),
            attestation,
            settings: self.settings.clone(),
        })
    }

    fn individuals(&self, in_force: InForce) -> impl Iterator<Item = Enrollment> + '_ {
        let devices = match self.source {
            Source::Group(_) | Source::KeyGroup(_) => 0,
            Source::Individual(_) | Source::KeyIndividual(_) | Source::Tpm(_) => self.devices,
        };
        let is_its_own = |device: &u32| self.bearer(*device) == *device && !self.is_sold(*device);
        let devices = (0..devices).filter(is_its_own);
        devices.filter_map(move |device| self.individual(device, in_force))
    }

    fn individual(&self, device: u32, in_force: InForce) -> Option<Enrollment> {
        let (registration_id, attestation) = match &self.source {
            Source::Group(_) | Source::KeyGroup(_) => return None,
            Source::Individual(certificates) => {
                let registration_id = self.named(device);
                let enrolled = certificates.enrolled_individual(&registration_id, device, in_force);
                let enrolled = enrolled.expect("a derived key signs a derived certificate");
                (registration_id, enrolled)
            }
            // What the device holds may be the wrong key.
            Source::KeyIndividual(keys) => (
                self.named(device),
                keys.enrolled_individual(device, in_force),
            ),
            Source::Tpm(tpms) => {
                let tpm = self.tpm(tpms, device, 0);
                let endorsement_key = tpm.endorsement_public();
                let enrolled = AttestationMechanism::Tpm {
                    tpm: TpmAttestation {
                        endorsement_key: STANDARD.encode(endorsement_key.as_tpm2b()),
                        storage_root_key: None,
                    },
                };
                (registration_id_of(endorsement_key), enrolled)
            }
        };
        Some(Enrollment::Individual(IndividualEnrollment {
            registration_id,
            device_id: None,
            attestation,
            settings: self.settings.clone(),
        }))
    }

    fn named(&self, device: u32) -> String {
        format!("{}-{device:07}", self.name)
    }

    fn tpm(&self, tpms: &Tpms, device: u32, resets: u64) -> VirtualTpm {
        let keys = Keys {
            endorsement: self.bearer(device),
            storage_root: device,
            resets,
        };
        tpms.tpm(keys, self.flaw == Some(Flaw::WrongTpmKey))
    }

    /// The device whose endorsement key it has: its own, but where two have one.
    fn bearer(&self, device: u32) -> u32 {
        match self.flaw {
            Some(Flaw::DuplicateEk) => device & !1,
            _ => device,
        }
    }
}

/// Whether an event rolls a cohort's proof.
fn is_rolled(action: &Action, of: u16) -> bool {
    action.effects().intended == Some(IntentChange::Roll { cohort: of })
}

/// Whether an event may clear a cohort's TPMs.
fn is_reset(action: &Action, of: u16) -> bool {
    matches!(action, Action::Devices(selector, DeviceAction::FactoryReset) if selector.may_select(of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetstorm_scenarios::Overrides;

    #[test]
    fn doubles_have_one_name_and_one_enrollment_and_each_a_storage_root_key() {
        let text = r#"
            name = "doubles"
            [[cohort]]
            name = "doubles"
            devices = 5
            attestation = "tpm"
            transport = "https"
            flaw = "duplicate-ek"
            arrival = { kind = "all-at-once" }
        "#;
        let scenario = fleetstorm_scenarios::parse(text, "doubles.toml").expect("valid");
        let plan = Plan::new(scenario, &Overrides::default()).expect("a plan");
        let fleet = Fleet::prepare(&plan, None, &|_, _| {}).expect("a fleet");
        let devices: Vec<_> = (0..5).map(|device| fleet.identity(0, device)).collect();
        let name = |device: usize| devices[device].registration_id.to_string();
        let storage_root = |device: usize| match &devices[device].credential {
            Credential::Tpm(tpm) => tpm.storage_root_public().as_tpm2b(),
            _ => panic!("a TPM"),
        };
        for pair in [0, 2] {
            assert_eq!(name(pair), name(pair + 1));
            assert_ne!(storage_root(pair), storage_root(pair + 1));
        }
        let enrolled: Vec<_> = fleet
            .enrollments(0)
            .map(|one| one.id().to_owned())
            .collect();
        assert_eq!(enrolled, [name(0), name(2), name(4)]);
    }
}
