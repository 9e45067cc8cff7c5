//! Devices that change their owner: whose they are, and what buyer and seller have to enroll for it.

use std::sync::atomic::Ordering;

use fleetstorm_protocol::enrollment::{
    AttestationMechanism, Enrollment, EnrollmentSettings, IndividualEnrollment, ProvisioningStatus,
    SymmetricKeyAttestation,
};

use super::sale::Sale;
use super::{CohortIdentities, Credential, Fleet, certificates};

/// What a sale takes, instance by instance.
pub struct Transfer<'fleet> {
    cohort: &'fleet CohortIdentities,
    sale: &'fleet Sale,
}

impl CohortIdentities {
    /// Index of the instance that a device belongs to by now.
    pub(super) fn owner(&self, device: u32) -> u8 {
        let sold = self.sale.as_ref().filter(|_| self.is_sold(device));
        sold.map_or(self.tenant, |sale| sale.buyer)
    }

    /// Whether it has been sold.
    pub(super) fn is_sold(&self, device: u32) -> bool {
        let sale = self.sale.as_ref();
        sale.is_some_and(|sale| sale.is_done.load(Ordering::Relaxed) && sale.is_sold(device))
    }
}

impl Fleet {
    /// Index of the instance that a device belongs to by now.
    ///
    /// # Panics
    /// `cohort` is not one of the plan's.
    pub fn owner(&self, cohort: u16, device: u32) -> u8 {
        self.cohorts[usize::from(cohort)].owner(device)
    }

    /// The sale of a cohort; none where no event sells it.
    pub fn transfer(&self, cohort: u16) -> Option<Transfer<'_>> {
        let cohort = self.cohorts.get(usize::from(cohort))?;
        let sale = cohort.sale.as_ref()?;
        Some(Transfer { cohort, sale })
    }
}

impl Transfer<'_> {
    /// Index of the seller's instance.
    pub fn seller(&self) -> u8 {
        self.cohort.tenant
    }

    /// Index of the buyer's instance.
    pub fn buyer(&self) -> u8 {
        self.sale.buyer
    }

    /// What the buyer enrolls.
    pub fn enrolled(&self) -> impl Iterator<Item = Enrollment> + '_ {
        let in_force = self.cohort.in_force();
        let group = self.cohort.group(in_force).map(Enrollment::Group);
        let individuals = self.sold();
        let individuals =
            individuals.filter_map(move |device| self.cohort.individual(device, in_force));
        group.into_iter().chain(individuals).map(|mut enrollment| {
            let settings = match &mut enrollment {
                Enrollment::Group(group) => &mut group.settings,
                Enrollment::Individual(individual) => &mut individual.settings,
            };
            *settings = self.sale.settings.clone();
            enrollment
        })
    }

    /// Registration ids of what was sold.
    pub fn registration_ids(&self) -> impl Iterator<Item = String> + '_ {
        self.sold()
            .map(|device| self.cohort.identity(device, 0).registration_id.to_string())
    }

    /// What the seller enrolls to shut single devices of a group out: individual enrollments that let
    /// nobody in (DPS documentation, "How to disenroll a device", "Disallow specific devices in an
    /// enrollment group"). None where each device has an enrollment of its own, which can go.
    pub fn shut_out(&self) -> Option<impl Iterator<Item = Enrollment> + '_> {
        self.cohort.group(self.cohort.in_force())?;
        Some(self.sold().filter_map(|device| self.disabled(device)))
    }

    /// From now on the devices are the buyer's.
    pub fn done(&self) {
        self.sale.is_done.store(true, Ordering::Relaxed);
    }

    fn sold(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.cohort.devices).filter(|device| self.sale.is_sold(*device))
    }

    fn disabled(&self, device: u32) -> Option<Enrollment> {
        let identity = self.cohort.identity(device, 0);
        let attestation = match identity.credential {
            Credential::X509(key) => certificates::enrolled_leaf(&key)?,
            Credential::SymmetricKey(key) => AttestationMechanism::SymmetricKey {
                symmetric_key: SymmetricKeyAttestation {
                    primary_key: Some(key.clone()),
                    secondary_key: Some(key),
                },
            },
            Credential::Tpm(_) => return None,
        };
        Some(Enrollment::Individual(IndividualEnrollment {
            registration_id: identity.registration_id.to_string(),
            device_id: None,
            attestation,
            settings: EnrollmentSettings {
                provisioning_status: ProvisioningStatus::Disabled,
                ..EnrollmentSettings::default()
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetstorm_scenarios::{Overrides, Plan};

    fn fleet(attestation: &str) -> Fleet {
        let text = format!(
            r#"
            name = "sale"
            arrival = {{ kind = "all-at-once" }}
            [[tenant]]
            name = "acme"
            [[tenant]]
            name = "globex"
            [[cohort]]
            name = "meters"
            tenant = "acme"
            devices = 40
            attestation = "{attestation}"
            transport = "https"
            desired = {{ interval = 30 }}
            after = {{ hold = "1m" }}
            [[event]]
            at = "1s"
            do = "change-owner"
            cohort = "meters"
            share = 0.25
            to = "globex"
            desired = {{ interval = 60 }}
            "#
        );
        let scenario = fleetstorm_scenarios::parse(&text, "sale.toml");
        let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
        let plan = Plan::new(scenario, &Overrides::default()).expect("a plan");
        let fleet = Fleet::prepare(&plan, None, &|_, _| {});
        fleet.unwrap_or_else(|error| panic!("{error}"))
    }

    fn owned_by(fleet: &Fleet, owner: u8) -> usize {
        (0..40)
            .filter(|&device| fleet.owner(0, device) == owner)
            .count()
    }

    #[test]
    fn what_is_sold_has_another_owner_from_then_on() {
        let fleet = fleet("symmetric-key-group");
        let transfer = fleet.transfer(0).expect("a sale");
        assert_eq!((transfer.seller(), transfer.buyer()), (1, 2));
        assert_eq!(owned_by(&fleet, 1), 40);
        let sold = transfer.registration_ids().count();
        assert!((1..30).contains(&sold), "{sold}");
        transfer.done();
        assert_eq!(
            (owned_by(&fleet, 1), owned_by(&fleet, 2)),
            (40 - sold, sold)
        );
        assert_eq!(fleet.identity(0, 0).owner, fleet.owner(0, 0));
    }

    #[test]
    fn devices_of_a_group_are_shut_out_and_the_buyer_has_the_group() {
        let fleet = fleet("x509-group");
        let transfer = fleet.transfer(0).expect("a sale");
        let enrolled: Vec<_> = transfer.enrolled().collect();
        let [Enrollment::Group(group)] = enrolled.as_slice() else {
            panic!("{enrolled:?}")
        };
        let twin = group.settings.initial_twin.as_ref().expect("a twin");
        assert_eq!(twin.properties.desired["interval"], 60);
        let shut_out: Vec<_> = transfer.shut_out().expect("a group's").collect();
        assert_eq!(shut_out.len(), transfer.registration_ids().count());
        for enrollment in shut_out {
            let Enrollment::Individual(one) = enrollment else {
                panic!("one device's")
            };
            let status = one.settings.provisioning_status;
            assert_eq!(status, ProvisioningStatus::Disabled);
        }
    }

    #[test]
    fn enrollments_of_single_devices_go_over() {
        let fleet = fleet("symmetric-key-individual");
        let transfer = fleet.transfer(0).expect("a sale");
        assert!(transfer.shut_out().is_none());
        let ids: Vec<_> = transfer.registration_ids().collect();
        let enrolled: Vec<_> = transfer.enrolled().map(|one| one.id().to_owned()).collect();
        assert_eq!(enrolled, ids);
        assert_eq!(fleet.enrollments(1).count(), 40);
        transfer.done();
        assert_eq!(
            fleet.enrollments(1).count(),
            40 - ids.len(),
            "what is rolled then"
        );
    }
}
