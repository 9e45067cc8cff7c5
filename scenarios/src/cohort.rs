//! Devices alike.

use std::time::Duration;

use fleetstorm_protocol::attestation::{AttestationKind, TransportKind};
use fleetstorm_protocol::enrollment::{AllocationPolicy, ReprovisionPolicy};
use fleetstorm_reports::threshold::Cut;
use serde_json::{Map, Value};

use crate::arrival::Load;
use crate::retry::RetryProfile;

/// Devices alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    /// Unique in the scenario; part of every device's identity.
    pub name: String,
    /// Index of their DPS instance: [`crate::tenant::OWN`], or one more than that of their tenant.
    pub tenant: u8,
    /// How many, after overrides.
    pub devices: u64,
    /// How they prove who they are.
    pub attestation: AttestationKind,
    /// What they speak to DPS, by weight; at least one, each allowed for the attestation.
    pub transports: Vec<(TransportKind, u32)>,
    /// What they speak to their hub; when `None`, what [`TransportKind::at_hub`] says.
    pub hub_transport: Option<TransportKind>,
    /// When they come.
    pub load: Load,
    /// Host names' first labels of the hubs that the enrollment allows; all when empty.
    pub hubs: Vec<String>,
    /// How the enrollment has a hub chosen among them.
    pub allocation: AllocationPolicy,
    /// What the enrollment says becomes of devices that register again.
    pub reprovision: Reprovision,
    /// Indices of the regions that devices are in, by weight; nowhere when empty.
    pub regions: Vec<(u8, u32)>,
    /// Desired properties that the enrollment asks for.
    pub desired: Map<String, Value>,
    /// What they do once they have their twin.
    pub after: After,
    /// How they take being told to wait, and failures.
    pub retry: RetryProfile,
    /// Where they turn to when they have booted.
    pub boot: Boot,
    /// Whether the enrollment is enabled.
    pub enabled: bool,
    /// What is wrong with the devices, if anything.
    pub flaw: Option<Flaw>,
}

impl Cohort {
    /// Whether devices of it, the cohort of this index, can be in a cut.
    pub(crate) fn may_be_in(&self, cut: &Cut, index: usize) -> bool {
        let is = |wanted: Option<usize>, index: usize| wanted.is_none_or(|wanted| wanted == index);
        is(cut.cohort, index)
            && is(cut.attestation, self.attestation as usize)
            && is(cut.tenant, self.tenant.into())
            && self
                .transports
                .iter()
                .any(|(kind, _)| is(cut.transport, *kind as usize))
            && (cut.region.is_none()
                || self
                    .regions
                    .iter()
                    .any(|(region, _)| is(cut.region, usize::from(*region))))
    }
}

/// What becomes of a device that registers again (DPS documentation, "Reprovisioning devices").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reprovision {
    /// Its hub is chosen anew; where that changes, its twin moves along.
    #[default]
    Migrate,
    /// Its hub is chosen anew, and it starts with a new twin.
    Reset,
    /// It stays where it is.
    Never,
}

impl Reprovision {
    /// All of them, in the order messages list them.
    pub const ALL: [Self; 3] = [Self::Migrate, Self::Reset, Self::Never];

    /// The word scenario files use: those of the Azure CLI's `--reprovision-policy`, shortened.
    pub fn name(self) -> &'static str {
        match self {
            Self::Migrate => "migrate",
            Self::Reset => "reset",
            Self::Never => "never",
        }
    }

    /// As an enrollment says it.
    pub fn policy(self) -> ReprovisionPolicy {
        ReprovisionPolicy {
            update_hub_assignment: self != Self::Never,
            migrate_device_data: self == Self::Migrate,
        }
    }
}

/// Where a device turns to when it boots again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Boot {
    /// To the hub that it knows; to DPS only when that does not know it any more.
    #[default]
    HubFirst,
    /// To DPS, every time: firmware that keeps nothing.
    RegisterAlways,
}

impl Boot {
    /// Both, in the order messages list them.
    pub const ALL: [Self; 2] = [Self::HubFirst, Self::RegisterAlways];

    /// The word scenario files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::HubFirst => "hub-first",
            Self::RegisterAlways => "register-always",
        }
    }
}

/// What devices do at their hub once provisioning is over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct After {
    /// Properties to report to the twin; nothing is reported when empty.
    pub reported: Map<String, Value>,
    /// Messages to send to the hub, one after another.
    pub messages: u32,
    /// How long to stay connected, listening to direct methods and changes of desired properties;
    /// leaves at once when `None`.
    pub hold: Option<Duration>,
    /// Between two messages while it stays; none are sent when `None`.
    pub telemetry: Option<Duration>,
    /// Between two times that it goes back to DPS by itself while it stays, with the proof that it has;
    /// it does not when `None`.
    pub reprovision_every: Option<Duration>,
}

/// A batch that went wrong in the factory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// X.509: the leaf certificates have expired.
    ExpiredCertificate,
    /// X.509: the chain ends at another root than the enrolled one.
    WrongRoot,
    /// X.509: the intermediate is not presented.
    MissingIntermediate,
    /// TPM: the private keys are not those of the enrolled endorsement keys.
    WrongTpmKey,
    /// TPM: two devices each share one endorsement key, and so one registration id and one enrollment. Each
    /// has a storage root key of its own, so that both can prove themselves: the one that registers last has
    /// the hub's key, and the other one is thrown out.
    DuplicateEk,
    /// Symmetric key: not the enrolled one, nor derived from it.
    WrongKey,
    /// Nobody enrolled them.
    Unenrolled,
}

impl Flaw {
    /// Every flaw, in the order messages list them.
    pub const ALL: [Self; 7] = [
        Self::ExpiredCertificate,
        Self::WrongRoot,
        Self::MissingIntermediate,
        Self::WrongTpmKey,
        Self::DuplicateEk,
        Self::WrongKey,
        Self::Unenrolled,
    ];

    /// The word scenario files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExpiredCertificate => "expired-certificate",
            Self::WrongRoot => "wrong-root",
            Self::MissingIntermediate => "missing-intermediate",
            Self::WrongTpmKey => "wrong-tpm-key",
            Self::DuplicateEk => "duplicate-ek",
            Self::WrongKey => "wrong-key",
            Self::Unenrolled => "unenrolled",
        }
    }

    /// Whether it keeps devices out. Those of a duplicate key are let in, and get in each other's way.
    pub fn keeps_out(self) -> bool {
        self != Self::DuplicateEk
    }

    /// Whether devices of this attestation can have the flaw. A chain matters to enrollment
    /// groups alone: an individual X.509 enrollment names the leaf itself.
    pub fn befalls(self, attestation: AttestationKind) -> bool {
        match self {
            Self::ExpiredCertificate => matches!(
                attestation,
                AttestationKind::X509Group | AttestationKind::X509Individual
            ),
            Self::WrongRoot | Self::MissingIntermediate => {
                attestation == AttestationKind::X509Group
            }
            Self::WrongTpmKey | Self::DuplicateEk => attestation == AttestationKind::Tpm,
            Self::WrongKey => matches!(
                attestation,
                AttestationKind::SymmetricKeyGroup | AttestationKind::SymmetricKeyIndividual
            ),
            Self::Unenrolled => true,
        }
    }
}
