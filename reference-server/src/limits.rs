//! How long a server waits for its clients.
//!
//! Whatever a peer does or leaves undone, its connection moves on or ends within these.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Table `limits` of the configuration; all in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// For a TLS handshake.
    #[serde(rename = "handshake-ms", with = "crate::configured::milliseconds")]
    pub handshake: Duration,
    /// For the first request or packet, once the connection is secured.
    #[serde(rename = "first-request-ms", with = "crate::configured::milliseconds")]
    pub first_request: Duration,
    /// AMQP: for all of SASL; the Java SDK waits a minute for its TPM.
    #[serde(rename = "login-ms", with = "crate::configured::milliseconds")]
    pub login: Duration,
    /// HTTP: from one request to the head of the next; above the longest Retry-After that SDKs
    /// obey, 300 s.
    #[serde(
        rename = "between-requests-ms",
        with = "crate::configured::milliseconds"
    )]
    pub between_requests: Duration,
    /// HTTP: for a body, once its head is there.
    #[serde(rename = "body-ms", with = "crate::configured::milliseconds")]
    pub body: Duration,
    /// HTTP: for a whole connection; the SDKs open new ones.
    #[serde(rename = "connection-ms", with = "crate::configured::milliseconds")]
    pub connection: Duration,
    /// MQTT and AMQP: longest silence, whatever keep-alive a client announces; the longest that
    /// IoT Hub allows, 1767 s, and half. AMQP announces a shorter one itself.
    #[serde(rename = "silence-ms", with = "crate::configured::milliseconds")]
    pub silence: Duration,
    /// For the rest of a packet, frame or message of a WebSocket, once it began.
    #[serde(rename = "packet-ms", with = "crate::configured::milliseconds")]
    pub packet: Duration,
    /// For a client to take anything at all of what it is sent.
    #[serde(rename = "stalled-write-ms", with = "crate::configured::milliseconds")]
    pub stalled_write: Duration,
}

impl Limits {
    /// The key of a limit that nobody could keep.
    pub(crate) fn zero(&self) -> Option<&'static str> {
        let each = [
            ("limits.handshake-ms", self.handshake),
            ("limits.first-request-ms", self.first_request),
            ("limits.login-ms", self.login),
            ("limits.between-requests-ms", self.between_requests),
            ("limits.body-ms", self.body),
            ("limits.connection-ms", self.connection),
            ("limits.silence-ms", self.silence),
            ("limits.packet-ms", self.packet),
            ("limits.stalled-write-ms", self.stalled_write),
        ];
        each.into_iter()
            .find(|(_, limit)| limit.is_zero())
            .map(|(key, _)| key)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(15),
            first_request: Duration::from_secs(30),
            login: Duration::from_secs(90),
            between_requests: Duration::from_secs(310),
            body: Duration::from_secs(30),
            connection: Duration::from_secs(3600),
            silence: Duration::from_secs(1767 * 3 / 2),
            packet: Duration::from_secs(30),
            stalled_write: Duration::from_secs(30),
        }
    }
}
