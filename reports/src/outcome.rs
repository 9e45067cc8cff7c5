//! How one device's provisioning ended: small, `Copy`, counted by value.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::breach::Breach;
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
#[serde(try_from = "String", into = "&'static str")]
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
    Protocol(Breach),
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
    /// Those that need no more to be told.
    const PLAIN: [Self; 7] = [
        Self::Unresolvable,
        Self::ConnectionRefused,
        Self::ConnectionLost,
        Self::UntrustedServer,
        Self::Tls,
        Self::Activation,
        Self::LocalResources,
    ];

    /// In the journal.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unresolvable => "unresolvable",
            Self::ConnectionRefused => "connection-refused",
            Self::ConnectionLost => "connection-lost",
            Self::UntrustedServer => "untrusted-server",
            Self::Tls => "tls",
            Self::Protocol(breach) => breach.code(),
            Self::Activation => "activation",
            Self::LocalResources => "local-resources",
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unresolvable => "name does not resolve",
            Self::ConnectionRefused => "connection refused",
            Self::ConnectionLost => "connection lost",
            Self::UntrustedServer => "server certificate not trusted",
            Self::Tls => "TLS failure",
            Self::Protocol(_) => "protocol broken",
            Self::Activation => "TPM activation failed",
            Self::LocalResources => "out of local ports, files or memory",
        }
    }
}

impl From<Fault> for &'static str {
    fn from(fault: Fault) -> Self {
        fault.code()
    }
}

impl TryFrom<String> for Fault {
    type Error = String;

    fn try_from(code: String) -> Result<Self, String> {
        let breaches = Breach::ALL.into_iter().map(Self::Protocol);
        let mut all = Self::PLAIN.into_iter().chain(breaches);
        let known = all.find(|fault| fault.code() == code);
        known.ok_or_else(|| format!("\"{code}\" is no fault"))
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
            Self::Broken { phase, fault } => {
                write!(f, "{} at {}", fault.name(), phase.name())?;
                if let Fault::Protocol(breach) = fault
                    && let Some(what) = breach.name()
                {
                    write!(f, ": {what}")?;
                }
                Ok(())
            }
            Self::Cancelled => f.write_str("cancelled"),
            Self::NotStarted => f.write_str("not started"),
        }
    }
}

/// How many devices ended in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeCount {
    /// The outcome, for people.
    pub outcome: String,
    /// Whether it is the wanted one.
    pub provisioned: bool,
    /// Devices.
    pub count: u64,
    /// Where the peer broke the protocol: an answer that did so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_a_code_in_the_journal_and_older_ones_are_read() {
        let broken = |fault| Outcome::Broken {
            phase: Phase::Register,
            fault,
        };
        let breaches = Breach::ALL.into_iter().map(Fault::Protocol);
        for fault in Fault::PLAIN.into_iter().chain(breaches) {
            let written = serde_json::to_string(&broken(fault)).expect("JSON");
            let code = format!(
                r#"{{"broken":{{"phase":"register","fault":"{}"}}}}"#,
                fault.code()
            );
            assert_eq!(written, code);
            let read: Outcome = serde_json::from_str(&written).expect("its own");
            assert_eq!(read, broken(fault));
        }
        let unnamed = broken(Fault::Protocol(Breach::Unnamed));
        assert_eq!(unnamed.to_string(), "protocol broken at register");
        let named = broken(Fault::Protocol(Breach::OperationId));
        assert_eq!(
            named.to_string(),
            "protocol broken at register: the operation has no usable id"
        );
        assert!(serde_json::from_str::<Fault>("\"broken\"").is_err());
    }
}
