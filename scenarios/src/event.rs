//! What happens to a running fleet and its service, when, and who carries it out. The events of each
//! executor are a file: their names and keys, what they are in words, and what comes of them.

pub(crate) mod certificates;
pub(crate) mod devices;
pub(crate) mod effects;
pub(crate) mod line;
pub(crate) mod refs;
pub(crate) mod server;
pub(crate) mod service;

mod proof;
mod selector;

use std::time::Duration;

use fleetstorm_protocol::attestation::AttestationKind;
use fleetstorm_reports::exact::Decimal;

pub use certificates::Expiry;
pub use devices::DeviceAction;
pub use devices::sale::Sale;
pub use effects::{Effects, FaultChange, IntentChange};
pub use line::LineChange;
pub use proof::Proof;
pub use selector::Selector;
pub use server::{End, Restart};
pub use service::ServiceAction;

use crate::cohort::Cohort;
use refs::Refs;

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

/// What happens, by who carries it out.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The bundled server's control endpoint and service APIs.
    Service(ServiceAction),
    /// Whoever started the bundled server's process.
    Server(Restart),
    /// The regions' lines.
    Line(LineChange),
    /// The devices themselves, of those that stay with their hubs.
    Devices(Selector, DeviceAction),
    /// Time.
    Certificates(Expiry),
}

impl Action {
    /// The word scenario files use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Service(action) => action.name(),
            Self::Server(_) => Restart::NAME,
            Self::Line(_) => LineChange::NAME,
            Self::Devices(_, action) => action.name(),
            Self::Certificates(_) => Expiry::NAME,
        }
    }

    /// What happens, and to whom.
    pub(crate) fn in_words(&self, refs: &Refs<'_>) -> String {
        match self {
            Self::Service(action) => action.in_words(refs),
            Self::Server(restart) => restart.in_words(),
            Self::Line(change) => change.in_words(refs),
            Self::Devices(selector, action) => action.in_words(*selector, refs),
            Self::Certificates(expiry) => expiry.in_words(refs),
        }
    }

    /// What comes of it.
    pub fn effects(&self) -> Effects<'_> {
        match self {
            Self::Service(action) => action.effects(),
            Self::Server(restart) => restart.effects(),
            Self::Line(change) => change.effects(),
            Self::Devices(selector, action) => action.effects(*selector),
            Self::Certificates(expiry) => expiry.effects(),
        }
    }

    /// How long it lasts, where it ends by itself.
    pub(crate) fn lasts(&mut self) -> Option<&mut Duration> {
        match self {
            Self::Server(restart) => Some(&mut restart.off),
            Self::Devices(_, action) => action.lasts(),
            // Fault rules are the server's, which counts its own time.
            Self::Service(_) | Self::Line(_) | Self::Certificates(_) => None,
        }
    }

    /// Whether the service, or its server, has a part in it.
    pub(crate) fn changes_service(&self) -> bool {
        match self {
            Self::Service(_) | Self::Server(_) => true,
            Self::Devices(_, action) => action.changes_service(),
            Self::Line(_) | Self::Certificates(_) => false,
        }
    }

    /// Whether it can happen with the bundled server alone, given the scenario's cohorts.
    pub fn needs_own_server(&self, cohorts: &[Cohort]) -> bool {
        match self {
            // Individual enrollments name certificates, which are new ones in each such run.
            Self::Certificates(expiry) => cohorts
                .get(usize::from(expiry.cohort))
                .is_some_and(|cohort| cohort.attestation == AttestationKind::X509Individual),
            Self::Service(_) | Self::Server(_) | Self::Line(_) | Self::Devices(..) => {
                self.changes_service()
            }
        }
    }
}
