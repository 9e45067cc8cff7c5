//! What happens to a running fleet and its service, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetstorm_protocol::attestation::AttestationKind;
use fleetstorm_protocol::fault::FaultRule;
use fleetstorm_protocol::quota::Rates;
use fleetstorm_reports::exact::Decimal;

use crate::chance::Chance;
use crate::cohort::Cohort;
use crate::region::LinkProperty;

/// Something that happens once.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When.
    pub when: When,
    /// What.
    pub action: Action,
}

/// When an event happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// So long after the start.
    At(Duration),
    /// Once this share of the planned devices is provisioned.
    Provisioned(Decimal),
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
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
    /// The certificates that devices of a batch began with expire: whoever shows one from then on is refused.
    /// They carry that moment from the beginning, so it is a time, not a condition.
    Expire {
        /// Index of their cohort.
        cohort: u16,
        /// How many of it, 0 to 1; the seed chooses which.
        share: f64,
    },
    /// The bundled server ends, and starts again with what it has kept: enrollments, registrations and twins.
    /// Quotas, faults and hubs that events had changed are as at the start.
    RestartServer {
        /// How it ends.
        end: End,
        /// How long nobody listens, beside what ending and starting take.
        off: Duration,
    },
    /// The lines of a region's devices are others from now on, those that are in use, too.
    Latency {
        /// Index of the region.
        region: u8,
        /// What is different; other properties stay.
        properties: Vec<LinkProperty>,
    },
    /// Devices lose their power, and boot all at once when it is back.
    PowerCut {
        /// Whose.
        whom: Whom,
        /// How long there is none.
        off: Duration,
    },
    /// Devices that stay with their hubs go back to DPS.
    Reprovision(Whom),
    /// The same from another place: they are in another region from now on.
    Move {
        /// Which.
        whom: Whom,
        /// Index of the region that they are in then.
        to: u8,
    },
    /// Devices that stay forget all that they have got since they left the factory, and go to DPS like new ones:
    /// with another storage root key, where they have a TPM, and the same endorsement key (TPM 2.0 part 1,
    /// "TPM2_Clear": it changes the seed of the storage hierarchy alone).
    FactoryReset(Whom),
    /// Devices are sold: the buyer enrolls them at its instance, the seller takes them off its own and out
    /// of its hubs (DPS documentation, "How to deprovision devices"). Those that stay go to the buyer's;
    /// those that come later do so at once.
    ChangeOwner {
        /// Which; of one cohort, which is sold but once.
        whom: Whom,
        /// Index of the buyer's instance.
        to: u8,
        /// Desired properties that the buyer's enrollments ask for; as the cohort's when `None`.
        desired: Option<BTreeMap<String, serde_json::Value>>,
    },
}

/// What can be rolled: replaced while devices that have the one before still get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Symmetric keys (DPS documentation, "How to roll device certificates", the note on keys).
    Key,
    /// Certificates: of groups the CA, of individual enrollments the device's own (same page).
    Certificate,
}

/// How a server ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum End {
    /// It is asked to, and says what it has counted.
    #[default]
    Stop,
    /// Without a chance to do anything about it (SIGKILL).
    Kill,
}

impl End {
    /// Both, in the order messages list them.
    pub const ALL: [Self; 2] = [Self::Stop, Self::Kill];

    /// The word scenario files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Kill => "kill",
        }
    }
}

/// Which of the devices that stay with their hubs.
#[derive(Debug, Clone, PartialEq)]
pub struct Whom {
    /// Index of their cohort; any cohort when `None`.
    pub cohort: Option<u16>,
    /// How many of them, 0 to 1; the seed chooses which.
    pub share: f64,
}

impl Whom {
    /// Whether a device is one of them: by the number of the event, and its cohort's chance for events.
    pub fn takes(&self, (cohort, device): (u16, u32), event: u16, chance: &Chance) -> bool {
        self.cohort.is_none_or(|meant| meant == cohort)
            && chance.share(device, event.into()) < self.share
    }
}

impl Action {
    /// The word scenario files use.
    pub fn name(&self) -> &'static str {
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
            Self::Expire { .. } => "expire-batch",
            Self::RestartServer { .. } => "restart-server",
            Self::Latency { .. } => "latency",
            Self::PowerCut { .. } => "power-cut",
            Self::Reprovision(_) => "reprovision",
            Self::Move { .. } => "move",
            Self::FactoryReset(_) => "factory-reset",
            Self::ChangeOwner { .. } => "change-owner",
        }
    }

    /// Whether it is done to the server, by its control port or its service APIs.
    pub fn is_the_servers(&self) -> bool {
        match self {
            Self::ChangeOwner { .. } => true,
            Self::Expire { .. } | Self::Latency { .. } => false,
            _ => self.whom().is_none(),
        }
    }

    /// Whether it can happen with the bundled server alone, given the scenario's cohorts.
    pub fn needs_own_server(&self, cohorts: &[Cohort]) -> bool {
        match self {
            // Individual enrollments name certificates, which are new ones in each such run.
            Self::Expire { cohort, .. } => cohorts
                .get(usize::from(*cohort))
                .is_some_and(|cohort| cohort.attestation == AttestationKind::X509Individual),
            _ => self.is_the_servers(),
        }
    }

    /// Which of the devices that stay it is done to; none where it is done to others.
    pub fn whom(&self) -> Option<&Whom> {
        match self {
            Self::HubDown(_)
            | Self::HubUp(_)
            | Self::RegionDown(_)
            | Self::RegionUp(_)
            | Self::Throttle { .. }
            | Self::Faults(_)
            | Self::Enrollment { .. }
            | Self::Roll { .. }
            | Self::Retire { .. }
            | Self::Expire { .. }
            | Self::RestartServer { .. }
            | Self::Latency { .. } => None,
            Self::PowerCut { whom, .. }
            | Self::Reprovision(whom)
            | Self::FactoryReset(whom)
            | Self::Move { whom, .. }
            | Self::ChangeOwner { whom, .. } => Some(whom),
        }
    }
}
