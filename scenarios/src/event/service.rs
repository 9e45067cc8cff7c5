//! What is done to the service: to its hubs, quotas, faults and enrollments.

pub(crate) mod faults;

use fleetstorm_protocol::attestation::AttestationKind;
use fleetstorm_protocol::fault::FaultRule;
use fleetstorm_protocol::quota::Rates;

use faults::FaultsKeys;

use super::effects::{Effects, FaultChange, Foreseen, IntentChange};
use super::proof::{Proof, proven};
use super::refs::{Read, Refs, enrolled};
use crate::diagnostics::did_you_mean;
use crate::keys::{Fields, Reader, Section, Variant, keys};
use crate::parse::kinds::Text;
use crate::parse::server::Throttle;
use crate::parse::{region, tenant};
use crate::server::Hub;
use crate::table::Value;

/// How the service is set up from now on.
#[derive(Debug, Clone, PartialEq)]
pub enum ServiceAction {
    /// A hub goes down: it resets whoever is connected, and whoever connects. All hubs when `None`.
    HubDown(Option<String>),
    /// It comes back.
    HubUp(Option<String>),
    /// All hubs of the region of this name go down.
    RegionDown(String),
    /// They come back.
    RegionUp(String),
    /// A DPS instance has these limits from now on.
    Throttle {
        /// Which.
        rates: Rates,
        /// Index of the instance, the scenario's own being the first; all instances when `None`.
        tenant: Option<u8>,
    },
    /// These fault rules take the place of all others.
    Faults(Vec<FaultRule>),
    /// The enrollment group of this cohort lets nobody in any more, or does again.
    Enrollment {
        /// Index of the cohort.
        cohort: u16,
        /// Whether it does.
        enabled: bool,
    },
    /// This cohort's enrollments get a new primary proof; the one before stays as the secondary. Devices
    /// take the new one when they are made, or told to go back to DPS.
    Roll {
        /// Index of the cohort.
        cohort: u16,
        /// What it proves itself by.
        proof: Proof,
    },
    /// The proof before goes: whoever still has it is refused.
    Retire {
        /// Index of the cohort.
        cohort: u16,
        /// What it proves itself by.
        proof: Proof,
    },
}

keys! {
    struct HubKeys: "A hub." {
        "hub" hub: optional Text,
            "Which hub; all when left out.";
    }
}

keys! {
    struct RegionKeys: "The hubs of a region." {
        "region" region: required Text,
            "Name of the [[region]].";
    }
}

keys! {
    struct ThrottleKeys: "Limits." {
        "to" rates: required Throttle,
            "The limits.";
        "tenant" tenant: optional Text,
            "Name of the [[tenant]]; all instances when left out.";
    }
}

keys! {
    struct CohortKeys: "The enrollments of a cohort." {
        "cohort" cohort: required Text,
            "Whose.";
    }
}

/// By the word that scenario files use.
pub(crate) const READERS: [Variant<Read<ServiceAction>>; 12] = {
    use ServiceAction::{Enrollment, Faults, HubDown, HubUp, RegionDown, RegionUp, Retire, Roll};
    [
        Variant {
            word: "hub-down",
            about: "A hub goes down: it resets whoever is connected, and whoever connects.",
            keys: &[HubKeys::KEYS],
            read: |reader, refs| hub(reader, refs).map(HubDown),
        },
        Variant {
            word: "hub-up",
            about: "A hub comes back.",
            keys: &[HubKeys::KEYS],
            read: |reader, refs| hub(reader, refs).map(HubUp),
        },
        Variant {
            word: "region-down",
            about: "All hubs of a region go down.",
            keys: &[RegionKeys::KEYS],
            read: |reader, refs| region_of_hubs(reader, refs).map(RegionDown),
        },
        Variant {
            word: "region-up",
            about: "All hubs of a region come back.",
            keys: &[RegionKeys::KEYS],
            read: |reader, refs| region_of_hubs(reader, refs).map(RegionUp),
        },
        Variant {
            word: "throttle",
            about: "DPS has these limits from now on.",
            keys: &[ThrottleKeys::KEYS],
            read: |reader, refs| throttle(reader, refs),
        },
        Variant {
            word: "faults",
            about: "These fault rules take the place of all others.",
            keys: &[FaultsKeys::KEYS],
            read: |reader, refs| faults::read(reader, refs).map(Faults),
        },
        Variant {
            word: "disable-enrollment",
            about: "A cohort's enrollment group lets nobody in any more.",
            keys: &[CohortKeys::KEYS],
            read: |reader, refs| {
                let (cohort, enabled) = (group(&whose(reader)?, refs)?, false);
                Some(Enrollment { cohort, enabled })
            },
        },
        Variant {
            word: "enable-enrollment",
            about: "A cohort's enrollment group lets its devices in again.",
            keys: &[CohortKeys::KEYS],
            read: |reader, refs| {
                let (cohort, enabled) = (group(&whose(reader)?, refs)?, true);
                Some(Enrollment { cohort, enabled })
            },
        },
        Variant {
            word: "key-roll",
            about: "The cohort's enrollments get a new primary key; the one before stays as the secondary. Devices take the new one when they are made, or told to reprovision.",
            keys: &[CohortKeys::KEYS],
            read: |reader, refs| {
                let proof = Proof::Key;
                proven(&whose(reader)?, refs, proof).map(|cohort| Roll { cohort, proof })
            },
        },
        Variant {
            word: "key-retire",
            about: "The key before goes: whoever still has it is refused.",
            keys: &[CohortKeys::KEYS],
            read: |reader, refs| {
                let proof = Proof::Key;
                proven(&whose(reader)?, refs, proof).map(|cohort| Retire { cohort, proof })
            },
        },
        Variant {
            word: "certificate-roll",
            about: "The cohort's X.509 enrollments get a new certificate beside the old one; devices take one of the new generation when they are made, or told to go back to DPS.",
            keys: &[CohortKeys::KEYS],
            read: |reader, refs| {
                let proof = Proof::Certificate;
                proven(&whose(reader)?, refs, proof).map(|cohort| Roll { cohort, proof })
            },
        },
        Variant {
            word: "certificate-retire",
            about: "The certificate before goes: whoever still has one of it is refused.",
            keys: &[CohortKeys::KEYS],
            read: |reader, refs| {
                let proof = Proof::Certificate;
                proven(&whose(reader)?, refs, proof).map(|cohort| Retire { cohort, proof })
            },
        },
    ]
};

impl ServiceAction {
    /// The word scenario files use.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::HubDown(_) => "hub-down",
            Self::HubUp(_) => "hub-up",
            Self::RegionDown(_) => "region-down",
            Self::RegionUp(_) => "region-up",
            Self::Throttle { .. } => "throttle",
            Self::Faults(_) => "faults",
            Self::Enrollment { enabled: false, .. } => "disable-enrollment",
            Self::Enrollment { enabled: true, .. } => "enable-enrollment",
            Self::Roll { proof, .. } => match proof {
                Proof::Key => "key-roll",
                Proof::Certificate => "certificate-roll",
            },
            Self::Retire { proof, .. } => match proof {
                Proof::Key => "key-retire",
                Proof::Certificate => "certificate-retire",
            },
        }
    }

    pub(super) fn in_words(&self, refs: &Refs<'_>) -> String {
        let name = self.name();
        match self {
            Self::HubDown(Some(hub)) | Self::HubUp(Some(hub)) => format!("{name} {hub}"),
            Self::HubDown(None) | Self::HubUp(None) => format!("{name}, all hubs"),
            Self::RegionDown(region) | Self::RegionUp(region) => format!("{name} {region}"),
            Self::Throttle { rates, tenant } => {
                let tenant = tenant.and_then(|tenant| refs.tenant(tenant));
                let of = tenant.map_or(String::new(), |tenant| format!(" of {}", tenant.name));
                if *rates == Rates::NONE {
                    format!("{name}{of} off")
                } else {
                    let registrations = rates.registrations_per_minute;
                    format!("{name}{of}: {registrations} registrations a minute")
                }
            }
            Self::Faults(rules) if rules.is_empty() => format!("{name} off"),
            Self::Faults(rules) => format!("{name}: {} rules", rules.len()),
            Self::Enrollment { cohort, .. }
            | Self::Roll { cohort, .. }
            | Self::Retire { cohort, .. } => format!("{name} {}", refs.cohort_name(*cohort)),
        }
    }

    pub(super) fn effects(&self) -> Effects<'_> {
        let intended = |change| Effects {
            intended: Some(change),
            ..Effects::default()
        };
        match self {
            Self::HubDown(_) | Self::HubUp(_) | Self::RegionDown(_) | Self::RegionUp(_) => {
                Effects::default()
            }
            Self::Throttle { rates, tenant } => Effects {
                foreseen: Some(Foreseen::Rates {
                    rates: *rates,
                    tenant: *tenant,
                }),
                ..Effects::default()
            },
            Self::Faults(rules) => Effects {
                faults: Some(FaultChange::Replaced(rules)),
                ..Effects::default()
            },
            Self::Enrollment { cohort, enabled } => intended(IntentChange::Enrollment {
                cohort: *cohort,
                enabled: *enabled,
            }),
            Self::Roll { cohort, .. } => intended(IntentChange::Roll { cohort: *cohort }),
            Self::Retire { cohort, .. } => intended(IntentChange::Retire { cohort: *cohort }),
        }
    }
}

fn hub(reader: &mut Reader<'_>, refs: &Refs<'_>) -> Option<Option<String>> {
    HubKeys::take(reader).hub.resolved(|value, name| {
        let known = refs.hubs.unwrap_or_default();
        if refs.hubs.is_some() && known.iter().all(|hub| hub.name != name) {
            let names: Vec<_> = known.iter().map(|hub| hub.name.as_str()).collect();
            return value.wrong(
                format!("there is no hub \"{name}\""),
                did_you_mean(&name, &names),
            );
        }
        Some(name)
    })
}

/// A region with a hub in it, which can go down.
fn region_of_hubs(reader: &mut Reader<'_>, refs: &Refs<'_>) -> Option<String> {
    let value = RegionKeys::take(reader).region.written()?;
    let name = region::named(&value, refs.regions)?;
    let stands_there = |hub: &Hub| hub.region.as_ref() == Some(&name);
    if refs.hubs.is_some_and(|hubs| !hubs.iter().any(stands_there)) {
        return value.wrong(
            format!("no hub stands in {name}"),
            format!("give one a place: hub = [{{ name = \"hub-1\", region = \"{name}\" }}]"),
        );
    }
    Some(name)
}

fn throttle(reader: &mut Reader<'_>, refs: &Refs<'_>) -> Option<ServiceAction> {
    let keys = ThrottleKeys::take(reader);
    let tenant = keys
        .tenant
        .resolved(|value, _| tenant::named(value, refs.tenants));
    Some(ServiceAction::Throttle {
        rates: keys.rates.read?,
        tenant: tenant?.map(|(index, _)| index),
    })
}

fn whose<'f>(reader: &mut Reader<'f>) -> Option<Value<'f>> {
    CohortKeys::take(reader).cohort.written()
}

/// The cohort that is meant, which must be enrolled by a group.
fn group(value: &Value<'_>, refs: &Refs<'_>) -> Option<u16> {
    let (index, cohort) = refs.cohort(value)?;
    enrolled(value, cohort)?;
    match cohort.attestation {
        AttestationKind::X509Group | AttestationKind::SymmetricKeyGroup => Some(index),
        AttestationKind::X509Individual
        | AttestationKind::SymmetricKeyIndividual
        | AttestationKind::Tpm => value.wrong(
            "has an enrollment for each of its devices, not one for all",
            "events change groups: attestation x509-group or symmetric-key-group".to_string(),
        ),
    }
}
