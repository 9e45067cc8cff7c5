//! Where a device's time goes, and what is measured of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One step of a provisioning, in order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Intended start to actual start.
    Queue,
    /// Name to address.
    Resolve,
    /// TCP connect to the global endpoint.
    Connect,
    /// TLS handshake with the global endpoint.
    Tls,
    /// Opening the protocol: WebSocket upgrade, MQTT CONNECT and SUBSCRIBE, AMQP open and attach;
    /// nothing for HTTPS.
    Open,
    /// TPM challenge until the SAS token is signed.
    Attest,
    /// The register request until it is accepted.
    Register,
    /// Accepted until assigned, waits between polls included.
    Assign,
    /// Resolve, TCP, TLS and opening the protocol with the assigned hub.
    HubConnect,
    /// Subscribing for and reading the twin: the end of provisioning.
    Twin,
    /// Reporting properties to the twin until they are taken.
    Report,
    /// Sending messages to the hub until the last is acknowledged.
    Telemetry,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 12] = [
        Self::Queue,
        Self::Resolve,
        Self::Connect,
        Self::Tls,
        Self::Open,
        Self::Attest,
        Self::Register,
        Self::Assign,
        Self::HubConnect,
        Self::Twin,
        Self::Report,
        Self::Telemetry,
    ];
    /// What comes after provisioning, up to the end.
    pub const AFTER: [Self; 2] = [Self::Report, Self::Telemetry];

    /// The word thresholds and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Open => "open",
            Self::Attest => "attest",
            Self::Register => "register",
            Self::Assign => "assign",
            Self::HubConnect => "hub-connect",
            Self::Twin => "twin",
            Self::Report => "report",
            Self::Telemetry => "telemetry",
        }
    }
}

/// Everything that has a histogram.
///
/// Response time counts from the intended start (no coordinated omission),
/// service time from the actual start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Intended start to assigned hub in hand.
    RegistrationResponse,
    /// Actual start to assigned hub in hand.
    RegistrationService,
    /// Intended start to twin read.
    ProvisioningResponse,
    /// Actual start to twin read.
    ProvisioningService,
    /// What the generator itself added, until the twin was read or the device ended without: a part of
    /// every other metric.
    Generator,
    /// Intended start to failure, of devices that started and failed.
    FailedResponse,
    /// Actual start to failure.
    FailedService,
    /// One phase.
    Phase(Phase),
}

impl Metric {
    /// Those that are told with all of their distribution, of parts and of intervals, too.
    pub const RESPONSES: [Self; 2] = [Self::RegistrationResponse, Self::ProvisioningResponse];
    /// How many there are.
    pub const COUNT: usize = 7 + Phase::ALL.len();

    /// Every metric: the four totals, the generator's part, and the time until failure; then the phases in order.
    pub fn all() -> impl Iterator<Item = Self> {
        [
            Self::RegistrationResponse,
            Self::RegistrationService,
            Self::ProvisioningResponse,
            Self::ProvisioningService,
            Self::Generator,
            Self::FailedResponse,
            Self::FailedService,
        ]
        .into_iter()
        .chain(Phase::ALL.into_iter().map(Self::Phase))
    }

    /// Position in [`Metric::all`].
    pub fn index(self) -> usize {
        match self {
            Self::RegistrationResponse => 0,
            Self::RegistrationService => 1,
            Self::ProvisioningResponse => 2,
            Self::ProvisioningService => 3,
            Self::Generator => 4,
            Self::FailedResponse => 5,
            Self::FailedService => 6,
            Self::Phase(phase) => 7 + phase as usize,
        }
    }

    /// The name thresholds and reports use, like `registration.response` or `tls`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RegistrationResponse => "registration.response",
            Self::RegistrationService => "registration.service",
            Self::ProvisioningResponse => "provisioning.response",
            Self::ProvisioningService => "provisioning.service",
            Self::Generator => "generator",
            Self::FailedResponse => "failed.response",
            Self::FailedService => "failed.service",
            Self::Phase(phase) => phase.name(),
        }
    }
}
