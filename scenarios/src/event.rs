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
    /// DPS has these limits from now on.
    Throttle(Rates),
    /// These fault rules, in the form of the server's control port, take the place of all others.
    Faults(Vec<serde_json::Value>),
    /// Devices lose their power, and boot all at once when it is back.
    PowerCut {
        /// Whose.
        whom: Whom,
        /// How long there is none.
        off: Duration,
    },
    /// Devices that stay with their hubs go back to DPS.
    Reprovision(Whom),
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
            Self::Throttle(_) => "throttle",
            Self::Faults(_) => "faults",
            Self::PowerCut { .. } => "power-cut",
            Self::Reprovision(_) => "reprovision",
        }
    }

    /// Whether it is done to the server, by its control port.
    pub fn is_the_servers(&self) -> bool {
        self.whom().is_none()
    }

    /// Which devices it is done to; none where it is the server's.
    pub fn whom(&self) -> Option<&Whom> {
        match self {
            Self::HubDown(_) | Self::HubUp(_) | Self::Throttle(_) | Self::Faults(_) => None,
            Self::PowerCut { whom, .. } | Self::Reprovision(whom) => Some(whom),
        }
    }
}
