//! The assigned hub: log in, read the twin, report to it, send messages.

use fleetstorm_protocol::attestation::{Protocol, TransportKind};
use fleetstorm_protocol::ids::DeviceId;
use fleetstorm_protocol::twin::DeviceTwin;
use fleetstorm_reports::Fault;

use super::LinkError;
use super::carrier::Carrier;
use super::dial::Secured;

mod amqp;
mod mqtt;

/// A device's session with its hub, whatever it speaks.
pub enum HubLink {
    /// MQTT.
    Mqtt(Box<mqtt::HubMqtt>),
    /// AMQP.
    Amqp(Box<amqp::HubAmqp>),
}

impl HubLink {
    /// Logs in at `host`: by the certificate of the TLS handshake, or by `sas`.
    ///
    /// # Errors
    /// The connection broke, or the hub refused the device.
    pub async fn open(
        transport: TransportKind,
        stream: Secured,
        host: &str,
        device: &DeviceId,
        sas: Option<String>,
    ) -> Result<Self, LinkError> {
        match transport.protocol() {
            // Devices hold no session with their hub over HTTPS, so there is no twin to read.
            Protocol::Http => Err(Fault::Protocol.into()),
            Protocol::Mqtt => {
                let carrier = Carrier::open(transport, stream, host).await?;
                let session = mqtt::HubMqtt::open(carrier, host, device, sas).await?;
                Ok(Self::Mqtt(Box::new(session)))
            }
            Protocol::Amqp => {
                let carrier = Carrier::open(transport, stream, host).await?;
                let session = amqp::HubAmqp::open(carrier, host, device, sas).await?;
                Ok(Self::Amqp(Box::new(session)))
            }
        }
    }

    /// Reads the twin.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn read_twin(&mut self) -> Result<DeviceTwin, LinkError> {
        match self {
            Self::Mqtt(session) => session.read_twin().await,
            Self::Amqp(session) => session.read_twin().await,
        }
    }

    /// Reports properties: a JSON merge patch of the twin's reported part.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn report(&mut self, patch: &[u8]) -> Result<(), LinkError> {
        match self {
            Self::Mqtt(session) => session.report(patch).await,
            Self::Amqp(session) => session.report(patch).await,
        }
    }

    /// Sends a message and waits until the hub has it.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), LinkError> {
        match self {
            Self::Mqtt(session) => session.send(message).await,
            Self::Amqp(session) => session.send(message).await,
        }
    }

    /// Says good-bye.
    pub async fn close(self) {
        match self {
            Self::Mqtt(session) => session.close().await,
            Self::Amqp(session) => session.close().await,
        }
    }
}
