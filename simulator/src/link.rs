//! Connections: dialled, secured and timed by us, framed by libraries.
//!
//! A link asks and returns; it never records, retries or decides.

use bytes::Bytes;
use fleetstorm_protocol::attestation::{Protocol, TransportKind};
use fleetstorm_protocol::ids::{IdScope, OperationId, RegistrationId};
use fleetstorm_reports::Fault;

pub mod amqp;
pub mod carrier;
pub mod dial;
pub mod http;
pub mod hub;
pub mod line;
pub mod mqtt;
pub mod shaped;

mod trust;

use carrier::Carrier;
use dial::Secured;

/// Longest answer that a device takes, bytes.
const MAX_ANSWER: usize = 256 * 1024;
/// What devices say they are.
const CLIENT_VERSION: &str = concat!("fleetstorm/", env!("CARGO_PKG_VERSION"));

/// A device towards one DPS instance.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The instance.
    pub id_scope: &'a IdScope,
    /// The device.
    pub registration_id: &'a RegistrationId,
}

/// What a device asks of DPS.
#[derive(Debug, Clone, Copy)]
pub enum Ask<'a> {
    /// To be registered: the JSON body.
    Register(&'a [u8]),
    /// How a registration stands.
    OperationStatus(&'a OperationId),
}

/// What DPS answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status, also over MQTT.
    pub status: u16,
    /// Seconds to wait.
    pub retry_after: Option<u32>,
    /// JSON.
    pub body: Bytes,
}

/// Why a link did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkError {
    /// It broke.
    Broken(Fault),
    /// The peer refused the connection; in terms of HTTP.
    Refused {
        /// HTTP status.
        status: u16,
    },
}

impl From<Fault> for LinkError {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

/// How a device proves itself while a link is opened.
pub enum Proof<'a> {
    /// Not now: its certificate has done so, or each question will.
    None,
    /// By a SAS token.
    Sas(&'a str),
    /// By its TPM, where the protocol has a place for the challenge.
    Tpm(&'a mut dyn Tpm),
}

/// A TPM that can be challenged while a link is opened.
pub trait Tpm {
    /// The challenge begins: shows the endorsement key and the storage root key, both TPM2B_PUBLIC.
    fn begin(&mut self) -> (Vec<u8>, Vec<u8>);

    /// The SAS token signed with the key in an activation blob.
    ///
    /// # Errors
    /// The blob is for another TPM.
    fn solve(&mut self, blob: &[u8]) -> Result<String, LinkError>;

    /// The server took the proof.
    fn proven(&mut self);
}

impl<'a> Proof<'a> {
    fn sas(&self) -> Option<&'a str> {
        match self {
            Self::Sas(sas) => Some(sas),
            Self::None | Self::Tpm(_) => None,
        }
    }
}

/// An open link to DPS, whatever it speaks.
pub enum DpsLink {
    /// HTTPS.
    Http(http::HttpLink),
    /// MQTT.
    Mqtt(Box<mqtt::MqttLink>),
    /// AMQP.
    Amqp(Box<amqp::dps::DpsAmqp>),
}

impl DpsLink {
    /// Speaks `transport` to DPS at `host` over a secured connection. `proof` is for a
    /// device that has no certificate, where the protocol asks for it now.
    ///
    /// # Errors
    /// The connection broke, or DPS refused the device.
    pub async fn open(
        transport: TransportKind,
        stream: Secured,
        host: &str,
        caller: Caller<'_>,
        proof: Proof<'_>,
    ) -> Result<Self, LinkError> {
        Ok(match transport.protocol() {
            Protocol::Http => Self::Http(http::HttpLink::open(stream, host).await?),
            Protocol::Mqtt => {
                let carrier = Carrier::open(transport, stream, host).await?;
                Self::Mqtt(Box::new(
                    mqtt::MqttLink::open_dps(carrier, caller, proof.sas()).await?,
                ))
            }
            Protocol::Amqp => {
                let carrier = Carrier::open(transport, stream, host).await?;
                let link = amqp::dps::DpsAmqp::open(carrier, host, caller, proof).await?;
                Self::Amqp(Box::new(link))
            }
        })
    }

    /// Asks, and waits for the answer. `sas` proves a device that has no certificate.
    ///
    /// # Errors
    /// The link broke.
    pub async fn ask(
        &mut self,
        caller: Caller<'_>,
        ask: Ask<'_>,
        sas: Option<&str>,
    ) -> Result<Reply, LinkError> {
        match self {
            Self::Http(link) => link.ask(caller, ask, sas).await,
            Self::Mqtt(link) => link.ask_dps(ask).await,
            Self::Amqp(link) => link.ask(ask).await,
        }
    }

    /// Whether the peer has closed it since the last answer.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Http(link) => link.is_closed(),
            Self::Mqtt(_) | Self::Amqp(_) => false,
        }
    }

    /// Says good-bye.
    pub async fn close(self) {
        match self {
            Self::Http(link) => link.close().await,
            Self::Mqtt(link) => link.close().await,
            Self::Amqp(link) => link.close().await,
        }
    }
}
