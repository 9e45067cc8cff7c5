//! The two axes of a device: how it proves its identity, and over what it speaks.

use std::fmt;

use crate::websocket::SubProtocol;

/// How a device proves its identity to DPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttestationKind {
    /// X.509 leaf below the signing certificate of an enrollment group.
    X509Group,
    /// X.509 leaf named by an individual enrollment.
    X509Individual,
    /// Key derived from that of an enrollment group.
    SymmetricKeyGroup,
    /// Key of an individual enrollment.
    SymmetricKeyIndividual,
    /// Trusted Platform Module: endorsement key, storage root key, nonce challenge.
    Tpm,
}

/// What a device speaks to DPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransportKind {
    /// HTTP/1.1 over TLS, port 443.
    Https,
    /// MQTT 3.1.1 over TLS, port 8883.
    Mqtt,
    /// MQTT 3.1.1 in the messages of a WebSocket, port 443.
    MqttWs,
    /// AMQP 1.0 over TLS, port 5671.
    Amqp,
    /// AMQP 1.0 in the messages of a WebSocket, port 443.
    AmqpWs,
}

/// The language of a [`TransportKind`], whatever carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// MQTT 3.1.1.
    Mqtt,
    /// AMQP 1.0.
    Amqp,
}

impl AttestationKind {
    /// Every kind, in the order reports list them.
    pub const ALL: [Self; 5] = [
        Self::X509Group,
        Self::X509Individual,
        Self::SymmetricKeyGroup,
        Self::SymmetricKeyIndividual,
        Self::Tpm,
    ];

    /// The word scenario files and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::X509Group => "x509-group",
            Self::X509Individual => "x509-individual",
            Self::SymmetricKeyGroup => "symmetric-key-group",
            Self::SymmetricKeyIndividual => "symmetric-key-individual",
            Self::Tpm => "tpm",
        }
    }

    /// Whether DPS offers this attestation over `transport`: a TPM's nonce
    /// challenge has no place in MQTT (DPS documentation, "MQTT support").
    pub fn works_over(self, transport: TransportKind) -> bool {
        !(self == Self::Tpm && transport.protocol() == Protocol::Mqtt)
    }
}

impl TransportKind {
    /// Every kind, in the order reports list them.
    pub const ALL: [Self; 5] = [
        Self::Https,
        Self::Mqtt,
        Self::MqttWs,
        Self::Amqp,
        Self::AmqpWs,
    ];

    /// The word scenario files and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Mqtt => "mqtt",
            Self::MqttWs => "mqtt-ws",
            Self::Amqp => "amqp",
            Self::AmqpWs => "amqp-ws",
        }
    }

    /// The language spoken.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Https => Protocol::Http,
            Self::Mqtt | Self::MqttWs => Protocol::Mqtt,
            Self::Amqp | Self::AmqpWs => Protocol::Amqp,
        }
    }

    /// What the WebSocket is asked for that it travels in, if it does.
    pub fn sub_protocol(self) -> Option<SubProtocol> {
        match self {
            Self::Https | Self::Mqtt | Self::Amqp => None,
            Self::MqttWs => Some(SubProtocol::Mqtt),
            Self::AmqpWs => Some(SubProtocol::Amqp),
        }
    }

    /// Whether it travels in the messages of a WebSocket, on the port of HTTPS.
    pub fn is_websocket(self) -> bool {
        self.sub_protocol().is_some()
    }

    /// What a device that speaks this to DPS speaks to its hub, unless it is told otherwise:
    /// the same, but hubs hold no sessions over HTTPS.
    pub fn at_hub(self) -> Self {
        match self {
            Self::Https => Self::Mqtt,
            other => other,
        }
    }
}

impl fmt::Display for AttestationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
