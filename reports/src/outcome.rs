//! How one device's provisioning ended: small, `Copy`, counted by value.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::phase::Phase;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Assigned, connected to the hub, twin read and as the enrollment asked; and what the
    /// scenario has devices do after that is done.
    Provisioned,
    /// Assigned to a hub, and that was all that was asked for.
    Registered,
    /// The twin was read and is not what the enrollment asked for.
    TwinMismatch,
    /// The twin of a device that came back lacks what the device had reported, or holds it in spite of
    /// a reset.
    DataMismatch,
    /// The service answered with an error: HTTP-like status and DPS error code (0 when none was given).
    Refused {
        /// When.
        phase: Phase,
        /// Like 401.
        status: u16,
        /// Like 401002.
        code: u32,
    },
    /// Accepted, then ended as `failed`, with the service's error code.
    AssignmentFailed {
        /// Like 400209.
        code: u32,
    },
    /// The enrollment is disabled.
    Disabled,
    /// Took longer than the scenario allows.
    TimedOut {
        /// What it waited for.
        phase: Phase,
    },
    /// The connection or the protocol failed.
    Broken {
        /// When.
        phase: Phase,
        /// How.
        fault: Fault,
    },
    /// The run stopped before it ended.
    Cancelled,
    /// It was due and never started: as many as allowed were under way.
    NotStarted,
}

/// How a connection or protocol failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The name does not resolve.
    Unresolvable,
    /// Nobody listens.
    ConnectionRefused,
    /// Reset or closed by the peer.
    ConnectionLost,
    /// The server's certificate is not trusted.
    UntrustedServer,
    /// Any other TLS failure.
    Tls,
    /// The peer broke the protocol.
    Protocol,
    /// The TPM could not activate what the service sent.
    Activation,
    /// This machine ran out of ports, files or memory.
    LocalResources,
}

impl Outcome {
    /// Whether the device got its twin, and did what it had to do after that.
    pub fn is_provisioned(self) -> bool {
        matches!(self, Self::Provisioned)
    }

    /// Whether the device has started at all.
    pub fn is_started(self) -> bool {
        self != Self::NotStarted
    }

    /// The same kind, without what the service put into it.
    pub(crate) fn without_codes(self) -> Self {
        match self {
            Self::Refused { phase, .. } => Self::Refused {
                phase,
                status: 0,
                code: 0,
            },
            Self::AssignmentFailed { .. } => Self::AssignmentFailed { code: 0 },
            other => other,
        }
    }

    /// Whether the device got as far as it was asked to: to its twin, or to its hub's name only.
    pub fn reached(self, provisioning: bool) -> bool {
        if provisioning {
            self.is_provisioned()
        } else {
            self == Self::Registered
        }
    }
}

impl Fault {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unresolvable => "name does not resolve",
            Self::ConnectionRefused => "connection refused",
            Self::ConnectionLost => "connection lost",
            Self::UntrustedServer => "server certificate not trusted",
            Self::Tls => "TLS failure",
            Self::Protocol => "protocol broken",
            Self::Activation => "TPM activation failed",
            Self::LocalResources => "out of local ports, files or memory",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provisioned => f.write_str("provisioned"),
            Self::Registered => f.write_str("registered"),
            Self::TwinMismatch => f.write_str("twin mismatch"),
            Self::DataMismatch => f.write_str("twin not kept, or not reset"),
            Self::Refused {
                phase,
                status,
                code: 0,
            } => write!(f, "refused at {}: {status}", phase.name()),
            Self::Refused {
                phase,
                status,
                code,
            } => {
                write!(f, "refused at {}: {status} ({code})", phase.name())
            }
            Self::AssignmentFailed { code } => write!(f, "assignment failed ({code})"),
            Self::Disabled => f.write_str("enrollment disabled"),
            Self::TimedOut { phase } => write!(f, "timed out at {}", phase.name()),
            Self::Broken { phase, fault } => write!(f, "{} at {}", fault.name(), phase.name()),
            Self::Cancelled => f.write_str("cancelled"),
            Self::NotStarted => f.write_str("not started"),
        }
    }
}
