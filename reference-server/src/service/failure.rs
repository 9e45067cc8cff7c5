//! Why a registration that was accepted comes to nothing. Its operation ends as `failed`, with a code
//! and a text in registrationState, and the next register starts anew (DPS REST API, "Operation
//! Status Lookup").

use std::collections::BTreeMap;

use fleetstorm_protocol::service_error::{ServiceError, code};
use fleetstorm_protocol::timestamp;
use jiff::Timestamp;
use uuid::Uuid;

use super::request::ServiceResponse;
use crate::hub::HubRefusal;
use crate::webhook::WebhookError;

/// What a device hears from its operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No linked hub is left that its enrollment names.
    #[error("No linked IoT hub is there to assign the device to")]
    NoHub,
    /// The hub does not let the service enter the device.
    #[error("The IoT hub refused the device: {0}")]
    HubRefused(HubRefusal),
    /// The webhook answered with this HTTP status, in the real service's words.
    #[error("Custom allocation failed with status code: {0}")]
    WebhookStatus(u16),
    /// The webhook did not answer.
    #[error("Custom allocation failed: {0}")]
    Webhook(WebhookError),
    /// The server was started anew before the webhook answered.
    #[error("Custom allocation failed: the webhook's answer was lost, register again")]
    WebhookLost,
    /// The webhook's answer has not the documented form.
    #[error("Custom allocation failed: {0}")]
    WebhookAnswer(String),
    /// The webhook chose a hub that it was not offered, or none.
    #[error("Custom allocation failed: {0}")]
    WebhookHub(String),
    /// As it was told before the server was started anew.
    #[error("{message}")]
    Told {
        /// errorCode.
        code: u32,
        /// errorMessage.
        message: String,
    },
}

impl Failure {
    /// errorCode of registrationState.
    pub fn code(&self) -> u32 {
        match self {
            Self::Told { code, .. } => *code,
            Self::NoHub | Self::WebhookHub(_) => code::NO_HUB,
            Self::HubRefused(_) => code::HUB_REFUSED,
            Self::WebhookStatus(_)
            | Self::Webhook(_)
            | Self::WebhookLost
            | Self::WebhookAnswer(_) => code::CUSTOM_ALLOCATION_FAILED,
        }
    }

    /// The same as the body of an error, for logs.
    pub(crate) fn answer(&self, now: Timestamp) -> ServiceResponse {
        let error = ServiceError {
            error_code: self.code(),
            tracking_id: Uuid::new_v4().to_string(),
            message: self.to_string(),
            info: BTreeMap::new(),
            timestamp_utc: timestamp::format(now),
        };
        ServiceResponse {
            status: error.http_status(),
            retry_after: None,
            body: serde_json::to_vec(&error).expect("text and numbers are JSON"),
            detail: None,
        }
    }
}
