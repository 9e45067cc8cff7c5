//! What comes of an event, for those who lay a run beside what had to come: the forecast and the oracle.

use std::time::Duration;

use fleetstorm_protocol::fault::FaultRule;
use fleetstorm_protocol::quota::Rates;

use super::selector::Selector;

/// What comes of an event; an event that has none of it lets devices fall short, no more.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Effects<'a> {
    /// What a forecast makes of it; none where it foresees nothing.
    pub foreseen: Option<Foreseen>,
    /// What must become of devices from then on; none where that stays.
    pub intended: Option<IntentChange>,
    /// Which fault rules are in force from then on; none where they stay.
    pub faults: Option<FaultChange<'a>>,
}

/// What a forecast makes of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Foreseen {
    /// An instance has these rates from now on; all instances when `None`.
    Rates {
        /// They.
        rates: Rates,
        /// Index of the instance.
        tenant: Option<u8>,
    },
    /// Devices leave their hubs.
    Leave(Selector, Leave),
}

/// Where devices that leave their hubs turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// They have no power for so long, and boot.
    Boot(Duration),
    /// To DPS.
    Reprovision,
    /// To DPS, from the region of this index.
    Move(u8),
    /// To the DPS instance of this index.
    ChangeOwner(u8),
}

/// What must become of devices from an event on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IntentChange {
    /// The cohort's enrollment lets devices in, or does not.
    Enrollment {
        /// Index of the cohort.
        cohort: u16,
        /// Whether it does.
        enabled: bool,
    },
    /// The cohort's proof gets a successor: the one before the last is out of force then.
    Roll {
        /// Index of the cohort.
        cohort: u16,
    },
    /// The cohort's proof before the newest is out of force.
    Retire {
        /// Index of the cohort.
        cohort: u16,
    },
    /// Their certificates hold until then.
    Expiry(Selector),
    /// They belong to the instance of another tenant.
    Sale {
        /// Which.
        sold: Selector,
        /// Index of the instance.
        to: u8,
    },
}

/// Which fault rules are in force from an event on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FaultChange<'a> {
    /// These alone.
    Replaced(&'a [FaultRule]),
    /// None: they went with the server's process.
    Gone,
}
