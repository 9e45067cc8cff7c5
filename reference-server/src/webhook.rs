//! Webhooks: their URLs, and one POST to one of them.

use std::time::Duration;

pub mod config;

pub(crate) mod client;
pub(crate) mod url;

/// Why a webhook gave no answer. Tells nothing of its URL, which holds a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Not in its time.
    #[error("the webhook did not answer within {} ms", .0.as_millis())]
    TooSlow(Duration),
    /// No name, no connection, no trust.
    #[error("the webhook can't be reached: {0}")]
    Unreachable(String),
    /// Its certificate can't be good.
    #[error(
        "the webhook can't be trusted: webhook.trust of the server's configuration names no CA"
    )]
    NoTrust,
    /// What came is not HTTP, or breaks off.
    #[error("the webhook's answer is broken: {0}")]
    Broken(String),
    /// More than DPS takes.
    #[error("the webhook's answer is too long")]
    TooLong,
}
