//! How one device's provisioning ended: small, `Copy`, counted by value.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::breach::Breach;
use crate::phase::Phase;

/// How a device's provisioning ended, in JSON as `{"kind": "refused", "phase": "register", "status": 401, "code": 401002}`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(tag = "kind", rename_all = "kebab-case")]
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
    /// The service answered with an error.
    Refused {
        /// The phase that the answer ended.
        phase: Phase,
        /// The status, as of HTTP, like 401; absent where there were too many outcomes to tell them apart.
        #[serde(default, skip_serializing_if = "is_zero")]
        status: u16,
        /// DPS's error code, like 401002; absent where none was given.
        #[serde(default, skip_serializing_if = "is_zero")]
        code: u32,
    },
    /// Accepted, then ended as `failed`.
    AssignmentFailed {
        /// DPS's error code, like 400209; absent where none was given.
        #[serde(default, skip_serializing_if = "is_zero")]
        code: u32,
    },
    /// The enrollment is disabled.
    Disabled,
    /// Took longer than the scenario allows.
    TimedOut {
        /// The phase that lasted too long.
        phase: Phase,
    },
    /// The connection or the protocol failed.
    Broken {
        /// The phase that it failed in.
        phase: Phase,
        /// What failed.
        fault: Fault,
    },
    /// The run stopped before it ended.
    Cancelled,
    /// It was due and never started: as many as allowed were under way.
    NotStarted,
}

/// A number that stands for one that was not given.
fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
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

    /// The word of its kind, as in JSON.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Provisioned => "provisioned",
            Self::Registered => "registered",
            Self::TwinMismatch => "twin-mismatch",
            Self::DataMismatch => "data-mismatch",
            Self::Refused { .. } => "refused",
            Self::AssignmentFailed { .. } => "assignment-failed",
            Self::Disabled => "disabled",
            Self::TimedOut { .. } => "timed-out",
            Self::Broken { .. } => "broken",
            Self::Cancelled => "cancelled",
            Self::NotStarted => "not-started",
        }
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

    /// Every one.
    fn all() -> impl Iterator<Item = Self> {
        let breaches = Breach::ALL.into_iter().map(Self::Protocol);
        Self::PLAIN.into_iter().chain(breaches)
    }

    /// In JSON.
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

impl JsonSchema for Fault {
    fn schema_name() -> Cow<'static, str> {
        "Fault".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let codes: Vec<_> = Self::all().map(Self::code).collect();
        json_schema!({
            "description": "How a connection or protocol failed.",
            "type": "string",
            "enum": codes,
        })
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
        let known = Self::all().find(|fault| fault.code() == code);
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
                if let Fault::Protocol(breach) = fault {
                    write!(f, ": {}", breach.name())?;
                }
                Ok(())
            }
            Self::Cancelled => f.write_str("cancelled"),
            Self::NotStarted => f.write_str("not started"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_a_code_in_json() {
        let broken = |fault| Outcome::Broken {
            phase: Phase::Register,
            fault,
        };
        for fault in Fault::all() {
            let written = serde_json::to_string(&broken(fault)).expect("JSON");
            let code = format!(
                r#"{{"kind":"broken","phase":"register","fault":"{}"}}"#,
                fault.code()
            );
            assert_eq!(written, code);
            let read: Outcome = serde_json::from_str(&written).expect("its own");
            assert_eq!(read, broken(fault));
        }
        let named = broken(Fault::Protocol(Breach::OperationId));
        assert_eq!(
            named.to_string(),
            "protocol broken at register: the operation has no usable id"
        );
        assert!(serde_json::from_str::<Fault>("\"broken\"").is_err());
    }

    #[test]
    fn an_outcome_is_told_by_kind_phase_status_and_code() {
        let refused = |status, code| Outcome::Refused {
            phase: Phase::HubConnect,
            status,
            code,
        };
        for (outcome, json) in [
            (Outcome::Provisioned, r#"{"kind":"provisioned"}"#),
            (Outcome::NotStarted, r#"{"kind":"not-started"}"#),
            (
                refused(401, 401_002),
                r#"{"kind":"refused","phase":"hub-connect","status":401,"code":401002}"#,
            ),
            (
                refused(503, 0),
                r#"{"kind":"refused","phase":"hub-connect","status":503}"#,
            ),
            (
                Outcome::AssignmentFailed { code: 400_209 },
                r#"{"kind":"assignment-failed","code":400209}"#,
            ),
            (
                Outcome::TimedOut { phase: Phase::Tls },
                r#"{"kind":"timed-out","phase":"tls"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&outcome).expect("JSON"), json);
            let read: Outcome = serde_json::from_str(json).expect("its own");
            assert_eq!(read, outcome);
        }
    }
}
