//! One fault rule, as the configuration and the control endpoint write it: whom it hits, when, and
//! what it does.

use fleetstorm_protocol::attestation::Protocol;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::time::{Delay, Time};

/// `[[fault]]`. What is left out matches everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FaultRule {
    /// Names it in metrics; unique. `fault-1` and so on when absent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What happens.
    #[serde(rename = "do")]
    pub action: FaultAction,
    /// For `delay` and `stall`: how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Delay>,
    /// For `refuse`: the DPS error code, like 500001, whose first three digits are the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// For `throttle` and `refuse`: `Retry-After`, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// What the device speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<FaultProtocol>,
    /// What the device does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<FaultOperation>,
    /// Registration or device ids, with `*` and `?`; any of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Id scope of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Host name of the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
    /// Region that the device's address lies in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// How many of those it could hit it hits, 0 to 1. Decided by the server's seed, the device
    /// and how often it came by.
    #[serde(default = "all", skip_serializing_if = "is_all")]
    pub share: f64,
    /// Begins this long after the server's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Time>,
    /// Ends this long after the server's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Time>,
    /// Begins at this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Ends at this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

fn all() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_all(share: &f64) -> bool {
    *share >= 1.0
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultAction {
    /// The answer comes later.
    Delay,
    /// The answer is 429.
    Throttle,
    /// The answer is an error.
    Refuse,
    /// No answer: the connection is closed.
    Drop,
    /// No answer: the connection is reset (TCP RST).
    Reset,
    /// Nothing is read or written for a time, on the whole connection.
    Stall,
    /// Bytes of the answer are flipped.
    Corrupt,
}

/// What a device speaks, over a WebSocket or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultProtocol {
    /// HTTP/1.1. At `connect`: the port 443, which carries WebSockets, too.
    Https,
    /// MQTT 3.1.1.
    Mqtt,
    /// AMQP 1.0.
    Amqp,
}

impl From<Protocol> for FaultProtocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Http => Self::Https,
            Protocol::Mqtt => Self::Mqtt,
            Protocol::Amqp => Self::Amqp,
        }
    }
}

/// What a device does when a fault hits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultOperation {
    /// Opens a connection, to DPS or a hub; before TLS.
    Connect,
    /// Registers.
    Register,
    /// Asks how its registration stands.
    Poll,
    /// Logs in to a hub.
    HubConnect,
    /// Reads or patches its twin.
    Twin,
    /// Sends a message to its hub.
    Telemetry,
}

impl FaultAction {
    /// Whether an operation has a place for it.
    pub(crate) fn suits(self, operation: FaultOperation) -> bool {
        use FaultOperation::{Connect, Poll, Register, Twin};
        match self {
            Self::Delay | Self::Stall | Self::Drop | Self::Reset => true,
            Self::Throttle | Self::Refuse => operation != Connect,
            Self::Corrupt => matches!(operation, Register | Poll | Twin),
        }
    }
}

impl FaultRule {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// The key, and what is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (action, is_timed) = (
            self.action,
            matches!(self.action, FaultAction::Delay | FaultAction::Stall),
        );
        match &self.time {
            None if is_timed => return Err("time: is missing: how long?".into()),
            Some(_) if !is_timed => return Err("time: is for \"delay\" and \"stall\"".into()),
            Some(time) => time.check().map_err(|problem| format!("time: {problem}"))?,
            None => {}
        }
        match self.code {
            None if action == FaultAction::Refuse => {
                return Err("code: is missing: which error, like 500001?".into());
            }
            Some(_) if action != FaultAction::Refuse => {
                return Err("code: is for \"refuse\"".into());
            }
            Some(code) if !(400_000..600_000).contains(&code) => {
                return Err(format!("code: {code} is not between 400000 and 599999"));
            }
            _ => {}
        }
        let answers = matches!(action, FaultAction::Throttle | FaultAction::Refuse);
        if self.retry_after.is_some() && !answers {
            return Err("retry-after: is for \"throttle\" and \"refuse\"".into());
        }
        if !(0.0..=1.0).contains(&self.share) {
            return Err(format!("share: {} is not between 0 and 1", self.share));
        }
        let backwards = matches!((self.after, self.before), (Some(a), Some(b)) if a >= b)
            || matches!((self.from, self.until), (Some(a), Some(b)) if a >= b);
        if backwards {
            return Err("ends before it begins".into());
        }
        let unsuited = self.operations.iter().find(|one| !action.suits(**one));
        if let Some(operation) = unsuited {
            let shown = |value| serde_json::to_string(&value).unwrap_or_default();
            return Err(format!(
                "operations: {} has no place for {}",
                shown(serde_json::json!(operation)),
                shown(serde_json::json!(action)),
            ));
        }
        Ok(())
    }
}
