//! Connections: dialled, secured and timed by us, framed by libraries.
//!
//! A link asks and returns; it never records, retries or decides.

use fleetstorm_protocol::attestation::{Protocol, TransportKind};

pub mod amqp;
pub mod carrier;
mod client;
pub mod dial;
mod error;
pub mod http;
pub mod hub;
pub mod mqtt;
pub mod region_link;
mod request;
pub mod shaped;

mod trust;

use carrier::Carrier;
use dial::Secured;
pub use error::LinkError;
pub use request::{Proof, Registrant, Request, Response, Tpm};

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
        registrant: Registrant<'_>,
        proof: Proof<'_>,
    ) -> Result<Self, LinkError> {
        Ok(match transport.protocol() {
            Protocol::Http => Self::Http(http::HttpLink::open(stream, host).await?),
            Protocol::Mqtt => {
                let carrier = Carrier::open(transport, stream, host).await?;
                Self::Mqtt(Box::new(
                    mqtt::MqttLink::open_dps(carrier, registrant, proof.sas()).await?,
                ))
            }
            Protocol::Amqp => {
                let carrier = Carrier::open(transport, stream, host).await?;
                let link = amqp::dps::DpsAmqp::open(carrier, host, registrant, proof).await?;
                Self::Amqp(Box::new(link))
            }
        })
    }

    /// Asks, and waits for the answer. `sas` proves a device that has no certificate.
    ///
    /// # Errors
    /// The link broke.
    pub async fn request(
        &mut self,
        registrant: Registrant<'_>,
        request: Request<'_>,
        sas: Option<&str>,
    ) -> Result<Response, LinkError> {
        match self {
            Self::Http(link) => link.request(registrant, request, sas).await,
            Self::Mqtt(link) => link.request_dps(request).await,
            Self::Amqp(link) => link.request(request).await,
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
