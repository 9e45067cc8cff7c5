//! What happens to a running fleet and its service, and when.

use std::time::Duration;

use fleetstorm_protocol::quota::Rates;

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
    Provisioned(f64),
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
    /// DPS has these limits from now on.
    Throttle(Rates),
    /// These fault rules, in the form of the server's control port, take the place of all others.
    Faults(Vec<serde_json::Value>),
    /// The enrollment group of this cohort lets nobody in any more, or does again.
    Enrollment {
        /// Index of the cohort.
        cohort: u16,
        /// Whether it does.
        enabled: bool,
    },
    /// This cohort's group gets a new primary key; the one before stays as the secondary. Devices
    /// take the new one when they are made, or told to go back to DPS.
    KeyRoll(u16),
    /// The key before goes: whoever still has it is refused.
    KeyRetire(u16),
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
}

/// Which of the devices that stay with their hubs.
#[derive(Debug, Clone, PartialEq)]
pub struct Whom {
    /// Index of their cohort; any cohort when `None`.
    pub cohort: Option<u16>,
    /// How many of them, 0 to 1; the seed chooses which.
    pub share: f64,
}

impl Action {
    /// The word scenario files use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::HubDown(_) => "hub-down",
            Self::HubUp(_) => "hub-up",
            Self::RegionDown(_) => "region-down",
            Self::RegionUp(_) => "region-up",
            Self::Throttle(_) => "throttle",
            Self::Faults(_) => "faults",
            Self::Enrollment { enabled: false, .. } => "disable-enrollment",
            Self::Enrollment { enabled: true, .. } => "enable-enrollment",
            Self::KeyRoll(_) => "key-roll",
            Self::KeyRetire(_) => "key-retire",
            Self::PowerCut { .. } => "power-cut",
            Self::Reprovision(_) => "reprovision",
            Self::Move { .. } => "move",
        }
    }

    /// Whether it is done to the server, by its control port.
    pub fn is_the_servers(&self) -> bool {
        self.whom().is_none()
    }

    /// Which devices it is done to; none where it is the server's.
    pub fn whom(&self) -> Option<&Whom> {
        match self {
            Self::HubDown(_)
            | Self::HubUp(_)
            | Self::RegionDown(_)
            | Self::RegionUp(_)
            | Self::Throttle(_)
            | Self::Faults(_)
            | Self::Enrollment { .. }
            | Self::KeyRoll(_)
            | Self::KeyRetire(_) => None,
            Self::PowerCut { whom, .. } | Self::Reprovision(whom) | Self::Move { whom, .. } => {
                Some(whom)
            }
        }
    }
}
