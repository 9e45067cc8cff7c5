//! Why a registration that was accepted comes to nothing. Its operation ends as `failed`, with a code
//! and a text in registrationState, and the next register starts anew (DPS REST API, "Operation
//! Status Lookup").

use fleetstorm_protocol::service_error::code;

use crate::hub::HubRefusal;

/// What a device hears from its operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No linked hub is left that its enrollment names.
    #[error("No linked IoT hub is there to assign the device to")]
    NoHub,
    /// The hub does not let the service enter the device.
    #[error("The IoT hub refused the device: {0}")]
    HubRefused(HubRefusal),
}

impl Failure {
    /// errorCode of registrationState.
    pub fn code(&self) -> u32 {
        match self {
            Self::NoHub => code::NO_HUB,
            Self::HubRefused(_) => code::HUB_REFUSED,
        }
    }
}
