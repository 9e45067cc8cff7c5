//! Where a DPS endpoint and its hubs listen.

use fleetstorm_protocol::attestation::{Protocol, TransportKind};

/// Ports of an endpoint; its hubs have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// HTTPS, and whatever comes by WebSocket.
    pub https: u16,
    /// MQTT over TLS.
    pub mqtt: u16,
    /// AMQP over TLS.
    pub amqp: u16,
}

impl Ports {
    /// The one that `transport` connects to.
    pub fn of(self, transport: TransportKind) -> u16 {
        if transport.is_websocket() {
            return self.https;
        }
        match transport.protocol() {
            Protocol::Http => self.https,
            Protocol::Mqtt => self.mqtt,
            Protocol::Amqp => self.amqp,
        }
    }
}

/// The registered ones, which the real service has.
impl Default for Ports {
    fn default() -> Self {
        Self {
            https: 443,
            mqtt: 8883,
            amqp: 5671,
        }
    }
}
