//! The assigned hub: log in, read the twin, report to it, send messages; and, for a device that
//! stays, receive what the hub has to say.

use std::time::Duration;

use fleetstorm_protocol::attestation::{Protocol, TransportKind};
use fleetstorm_protocol::ids::DeviceId;
use fleetstorm_protocol::twin::DeviceTwin;
use fleetstorm_reports::{Breach, Fault};

use super::carrier::Carrier;
use super::dial::Secured;
use super::error::LinkError;

mod amqp;
mod event;
mod mqtt;

pub use event::{Call, HubEvent};

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
            Protocol::Http => Err(Fault::Protocol(Breach::Request).into()),
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

    /// Makes ready to ask for the twin and to report to it: what has to be said before once a session.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn prepare_for_twin(&mut self) -> Result<(), LinkError> {
        match self {
            Self::Mqtt(session) => session.prepare_for_twin().await,
            // Its links were attached with the session.
            Self::Amqp(_) => Ok(()),
        }
    }

    /// Reads the twin, once it is prepared for.
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

    /// Makes ready to send messages: what has to be said before the first.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn prepare_for_messages(&mut self) -> Result<(), LinkError> {
        match self {
            Self::Mqtt(_) => Ok(()),
            Self::Amqp(session) => session.prepare_for_messages().await,
        }
    }

    /// Sends a message, once they are prepared for, and waits until the hub has it.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), LinkError> {
        match self {
            Self::Mqtt(session) => session.send(message).await,
            Self::Amqp(session) => session.send(message).await,
        }
    }

    /// Asks to be told of direct methods and of changes of desired properties, once the twin was read.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn listen(&mut self) -> Result<(), LinkError> {
        match self {
            Self::Mqtt(session) => session.listen().await,
            Self::Amqp(session) => session.listen().await,
        }
    }

    /// Waits for what the hub says next. Nothing is lost if the wait is given up.
    ///
    /// # Errors
    /// The connection broke, or the hub ended the session.
    pub async fn receive(&mut self) -> Result<HubEvent, LinkError> {
        match self {
            Self::Mqtt(session) => session.receive().await,
            Self::Amqp(session) => session.receive().await,
        }
    }

    /// Acknowledges what was received, where the protocol asks for it.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn settle(&mut self) -> Result<(), LinkError> {
        match self {
            Self::Mqtt(session) => session.settle().await,
            // Went out with the next look for frames.
            Self::Amqp(_) => Ok(()),
        }
    }

    /// Answers a direct method with 200 and `result`, JSON.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn answer(&mut self, call: Call, result: &[u8]) -> Result<(), LinkError> {
        match (self, call) {
            (Self::Mqtt(session), Call::Mqtt { rid }) => session.answer(rid, result).await,
            (Self::Amqp(session), Call::Amqp { correlation_id }) => {
                session.answer(correlation_id, result).await
            }
            _ => Err(Fault::Protocol(Breach::Unexpected).into()),
        }
    }

    /// How long it may say nothing.
    pub fn keep_alive(&self) -> Duration {
        match self {
            Self::Mqtt(_) => mqtt::KEEP_ALIVE,
            Self::Amqp(session) => session.keep_alive(),
        }
    }

    /// A sign of life.
    ///
    /// # Errors
    /// The connection broke, or the hub has not answered the last one.
    pub async fn show_life(&mut self) -> Result<(), LinkError> {
        match self {
            Self::Mqtt(session) => session.ping().await,
            Self::Amqp(session) => session.beat().await,
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
