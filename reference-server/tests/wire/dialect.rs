//! How a device asks, whatever it speaks: one file a dialect.

use std::sync::Arc;

use fleetstorm_protocol::attestation::TransportKind;
use fleetstorm_reference_server::Announcement;
use rustls::sign::CertifiedKey;
use serde_json::Value;

pub mod amqp;
pub mod https;
pub mod mqtt;

mod amqp_ws;
mod mqtt_ws;

/// Every dialect.
pub const ALL: [Dialect; 5] = [
    https::DIALECT,
    mqtt::DIALECT,
    mqtt_ws::DIALECT,
    amqp::DIALECT,
    amqp_ws::DIALECT,
];

/// One way to ask.
pub struct Dialect {
    /// Its name.
    pub transport: TransportKind,
    /// Asks once, on a connection of its own.
    pub ask: fn(&Announcement, &Caller, &Ask) -> Response,
}

/// Who asks, and what it shows.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The instance it asks for.
    pub id_scope: String,
    /// Its name.
    pub registration_id: String,
    /// What it speaks.
    pub api_version: &'static str,
    /// Shown in TLS.
    pub certificate: Option<Arc<CertifiedKey>>,
    /// Shown in the protocol's place for it.
    pub sas: Option<String>,
}

/// What it asks.
#[derive(Debug, Clone)]
pub enum Ask {
    /// To be registered, with this body.
    Register(Vec<u8>),
    /// How an operation stands.
    OperationStatus(String),
}

/// What it hears.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// HTTP status, wherever the dialect has it.
    pub status: u16,
    /// Seconds until the next poll.
    pub retry_after: Option<u32>,
    /// JSON.
    pub body: Value,
}
