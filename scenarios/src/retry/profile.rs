//! Retry profiles, what they decide on, and what they come to.

use std::time::Duration;

use fleetstorm_protocol::attestation::Protocol;

/// What a device does when it is not served at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RetryProfile {
    /// Waits as told up to five minutes, 2 s untold; asks again after 429 and 5xx, and connects to
    /// its hub again, for as long as the scenario's device timeout allows.
    #[default]
    Patient,
    /// Azure IoT device SDK for Node.js.
    SdkNode,
    /// Azure IoT device SDK for Python.
    SdkPython,
    /// Azure IoT device SDK for C.
    SdkC,
    /// Azure IoT device SDK for .NET.
    SdkCsharp,
    /// Azure IoT device SDK for Java.
    SdkJava,
    /// IoT Edge's identity service.
    Edge,
    /// Asks again every second whatever happened and whatever it is told: how storms are made.
    Naive,
    /// Waits as told; backs off exponentially by chance; connects again; ten tries.
    WellBehaved,
}

/// Which question was not answered with a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Register.
    Register,
    /// How the operation stands.
    Poll,
    /// To be let in and served by the assigned hub.
    Hub,
}

/// Why there is no result yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setback {
    /// The assignment is under way (202): no failure.
    Unfinished,
    /// This status, 400 or above.
    Status(u16),
    /// The connection could not be made, broke, or stayed silent.
    Disconnected,
}

/// What a device knows when it decides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Situation {
    /// What it speaks to whom it asked; a WebSocket does not matter.
    pub protocol: Protocol,
    /// What it asked.
    pub step: Step,
    /// What came instead of a result.
    pub setback: Setback,
    /// Failures in a row so far, this one included; only they count towards a limit of tries.
    pub failures: u32,
    /// What the service told it to wait.
    pub retry_after: Option<Duration>,
    /// Since its first question to DPS; at a hub, since it began to look for it.
    pub elapsed: Duration,
    /// A random number from 0 up to and without 1, for waits by chance.
    pub chance: f64,
}

/// What a device does then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Wait so long, then ask the same again; over a new connection if there is none.
    Wait(Duration),
    /// Report the failure.
    GiveUp,
}

impl RetryProfile {
    /// Every profile, in the order messages list them.
    pub const ALL: [Self; 9] = [
        Self::Patient,
        Self::SdkNode,
        Self::SdkPython,
        Self::SdkC,
        Self::SdkCsharp,
        Self::SdkJava,
        Self::Edge,
        Self::Naive,
        Self::WellBehaved,
    ];

    /// The word scenario files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::SdkNode => "sdk-node",
            Self::SdkPython => "sdk-python",
            Self::SdkC => "sdk-c",
            Self::SdkCsharp => "sdk-csharp",
            Self::SdkJava => "sdk-java",
            Self::Edge => "edge",
            Self::Naive => "naive",
            Self::WellBehaved => "well-behaved",
        }
    }
}
