//! `[webhook]`: how custom allocation webhooks are called.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Webhooks of all instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct WebhookConfig {
    /// Certificates (PEM) of the CAs whose servers are trusted; without it, `https` webhooks are not
    /// called, and `http` ones are. What the machine trusts does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<PathBuf>,
    /// Milliseconds for a call, from the name's look-up to the last byte of the answer.
    #[serde(rename = "timeout-ms", with = "crate::configured::milliseconds")]
    pub timeout: Duration,
    /// Calls under way at once.
    pub concurrent: usize,
    /// Calls that may wait for those under way; registrations beyond are refused with 429.
    pub waiting: usize,
}

impl WebhookConfig {
    /// The key of a number that nothing could be called with.
    pub(crate) fn zero(&self) -> Option<&'static str> {
        match self {
            Self { timeout, .. } if timeout.is_zero() => Some("webhook.timeout-ms"),
            Self { concurrent: 0, .. } => Some("webhook.concurrent"),
            Self { waiting: 0, .. } => Some("webhook.waiting"),
            _ => None,
        }
    }
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            trust: None,
            timeout: Duration::from_secs(5),
            concurrent: 64,
            waiting: 10_000,
        }
    }
}
