//! What is done to devices that stay with their hubs.

pub(crate) mod sale;

use std::time::Duration;

use serde_json::{Map, Value};

use sale::SaleKeys;

use super::effects::{Effects, Foreseen, IntentChange, Leave};
use super::refs::{Read, Refs, percent};
use super::selector::Selector;
use crate::keys::{Fields, Reader, Section, Variant, keys};
use crate::parse::kinds::{AnyDuration, Share, Text};

/// What devices are made to do.
#[derive(Debug, Clone, PartialEq)]
pub enum DeviceAction {
    /// They lose their power, and boot all at once when it is back.
    PowerCut {
        /// How long there is none.
        off: Duration,
    },
    /// They go back to DPS.
    Reprovision,
    /// The same from another place: they are in another region from now on.
    Move {
        /// Index of the region that they are in then.
        to: u8,
    },
    /// They forget all that they have got since they left the factory, and go to DPS like new ones:
    /// with another storage root key, where they have a TPM, and the same endorsement key (TPM 2.0 part 1,
    /// "TPM2_Clear": it changes the seed of the storage hierarchy alone).
    FactoryReset,
    /// They are sold: the buyer enrolls them at its instance, the seller takes them off its own and out
    /// of its hubs (DPS documentation, "How to deprovision devices"). Those that stay go to the buyer's;
    /// those that come later do so at once. They are of one cohort, which is sold but once.
    ChangeOwner {
        /// Index of the buyer's instance.
        to: u8,
        /// Desired properties that the buyer's enrollments ask for; as the cohort's when `None`.
        desired: Option<Map<String, Value>>,
    },
}

keys! {
    struct SelectorKeys: "Which devices." {
        "share" share: default Share = 1,
            "How many of those that stay with their hubs; the seed chooses which.";
        "cohort" cohort: optional Text,
            "Whose; any cohort's when left out.";
    }
}

keys! {
    struct PowerCutKeys: "A power cut." {
        "for" off: default AnyDuration = "0s",
            "How long there is none.";
    }
}

keys! {
    struct MoveKeys: "A move." {
        "to" to: required Text,
            "Name of the [[region]] that they move to.";
    }
}

/// By the word that scenario files use.
pub(crate) const READERS: [Variant<Read<(Selector, DeviceAction)>>; 6] = [
    Variant {
        word: "power-cut",
        about: "Devices lose their power, and boot all at once when it is back.",
        keys: &[PowerCutKeys::KEYS, SelectorKeys::KEYS],
        read: |reader, refs| {
            let keys = PowerCutKeys::take(reader);
            let selector = selector(reader, refs);
            let off = keys.off.read?;
            Some((selector?, DeviceAction::PowerCut { off }))
        },
    },
    Variant {
        word: "reboot",
        about: "Devices boot again.",
        keys: &[SelectorKeys::KEYS],
        read: |reader, refs| {
            let off = Duration::ZERO;
            Some((selector(reader, refs)?, DeviceAction::PowerCut { off }))
        },
    },
    Variant {
        word: "reprovision",
        about: "Devices go back to DPS.",
        keys: &[SelectorKeys::KEYS],
        read: |reader, refs| Some((selector(reader, refs)?, DeviceAction::Reprovision)),
    },
    Variant {
        word: "move",
        about: "Devices are in another region from now on, and go back to DPS from there.",
        keys: &[SelectorKeys::KEYS, MoveKeys::KEYS],
        read: |reader, refs| {
            let selector = selector(reader, refs);
            let to = MoveKeys::take(reader).to.written();
            let to = to.and_then(|to| refs.region(&to));
            Some((selector?, DeviceAction::Move { to: to? }))
        },
    },
    Variant {
        word: "factory-reset",
        about: "Devices forget all that they have got since they left the factory, and go to DPS like new ones: with another storage root key, where they have a TPM.",
        keys: &[SelectorKeys::KEYS],
        read: |reader, refs| Some((selector(reader, refs)?, DeviceAction::FactoryReset)),
    },
    Variant {
        word: "change-owner",
        about: "Devices are sold: the buyer enrolls them, the seller takes them off its instance and its hubs, and they go to the buyer's. Needs the bundled server.",
        keys: &[SaleKeys::KEYS],
        read: |reader, refs| {
            let (selector, to, desired) = sale::read(reader, refs)?;
            Some((selector, DeviceAction::ChangeOwner { to, desired }))
        },
    },
];

fn selector(reader: &mut Reader<'_>, refs: &Refs<'_>) -> Option<Selector> {
    let keys = SelectorKeys::take(reader);
    let cohort = keys.cohort.resolved(|value, _| refs.cohort(value));
    Some(Selector {
        cohort: cohort?.map(|(index, _)| index),
        share: keys.share.read?,
    })
}

impl DeviceAction {
    /// The word scenario files use.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::PowerCut { .. } => "power-cut",
            Self::Reprovision => "reprovision",
            Self::Move { .. } => "move",
            Self::FactoryReset => "factory-reset",
            Self::ChangeOwner { .. } => "change-owner",
        }
    }

    /// Whether the service has a part in it.
    pub(super) fn changes_service(&self) -> bool {
        match self {
            Self::ChangeOwner { .. } => true,
            Self::PowerCut { .. } | Self::Reprovision | Self::Move { .. } | Self::FactoryReset => {
                false
            }
        }
    }

    pub(super) fn in_words(&self, selector: Selector, refs: &Refs<'_>) -> String {
        let whose = selector
            .cohort
            .map_or("those that stay", |cohort| refs.cohort_name(cohort));
        let devices = format!("{}, {} of {whose}", self.name(), percent(selector.share));
        match self {
            Self::PowerCut { off } if !off.is_zero() => format!("{devices} for {off:?}"),
            Self::PowerCut { .. } | Self::Reprovision | Self::FactoryReset => devices,
            Self::Move { to } => format!("{devices}, to {}", refs.region_name(*to)),
            Self::ChangeOwner { to, .. } => {
                let to = refs.tenant(*to).map_or("", |tenant| tenant.name.as_str());
                format!("{devices}, to {to}")
            }
        }
    }

    pub(super) fn effects(&self, selector: Selector) -> Effects<'static> {
        let (turn, intended) = match self {
            Self::PowerCut { off } => (Leave::Boot(*off), None),
            // Its registration id, and so its enrollment, outlives a reset.
            Self::Reprovision | Self::FactoryReset => (Leave::Reprovision, None),
            // Where a device is now, its record says.
            Self::Move { to } => (Leave::Move(*to), None),
            Self::ChangeOwner { to, .. } => {
                let sale = IntentChange::Sale {
                    sold: selector,
                    to: *to,
                };
                (Leave::ChangeOwner(*to), Some(sale))
            }
        };
        Effects {
            foreseen: Some(Foreseen::Leave(selector, turn)),
            intended,
            faults: None,
        }
    }

    /// How long it lasts, where it ends by itself.
    pub(super) fn lasts(&mut self) -> Option<&mut Duration> {
        match self {
            Self::PowerCut { off } => Some(off),
            Self::Reprovision
            | Self::Move { .. }
            | Self::FactoryReset
            | Self::ChangeOwner { .. } => None,
        }
    }
}
