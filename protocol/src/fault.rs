//! Faults that a server of ours makes on purpose: the rules, as its configuration, its control endpoint and
//! scenarios write them, and whom they can hit. What a hit does is the server's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::attestation::Protocol;

pub mod time;

use time::{Delay, Time};

/// Rules at once.
pub const MAX_RULES: usize = 200;

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

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The key, as the rule writes it; empty for the rule as a whole.
    pub key: &'static str,
    /// What is wrong.
    pub problem: String,
}

impl Flaw {
    fn new(key: &'static str, problem: impl Into<String>) -> Self {
        Self {
            key,
            problem: problem.into(),
        }
    }
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.key {
            "" => f.write_str(&self.problem),
            key => write!(f, "{key}: {}", self.problem),
        }
    }
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
    /// Each, with the word for it.
    pub const NAMED: [(&'static str, Self); 7] = [
        ("delay", Self::Delay),
        ("throttle", Self::Throttle),
        ("refuse", Self::Refuse),
        ("drop", Self::Drop),
        ("reset", Self::Reset),
        ("stall", Self::Stall),
        ("corrupt", Self::Corrupt),
    ];

    /// Whether an operation has a place for it.
    pub fn suits(self, operation: FaultOperation) -> bool {
        use FaultOperation::{Connect, Poll, Register, Twin};
        match self {
            Self::Delay | Self::Stall | Self::Drop | Self::Reset => true,
            Self::Throttle | Self::Refuse => operation != Connect,
            Self::Corrupt => matches!(operation, Register | Poll | Twin),
        }
    }
}

impl FaultProtocol {
    /// Each, with the word for it.
    pub const NAMED: [(&'static str, Self); 3] = [
        ("https", Self::Https),
        ("mqtt", Self::Mqtt),
        ("amqp", Self::Amqp),
    ];
}

impl FaultOperation {
    /// Each, with the word for it.
    pub const NAMED: [(&'static str, Self); 6] = [
        ("connect", Self::Connect),
        ("register", Self::Register),
        ("poll", Self::Poll),
        ("hub-connect", Self::HubConnect),
        ("twin", Self::Twin),
        ("telemetry", Self::Telemetry),
    ];
}

/// The word for a value.
fn word<Value: Copy + PartialEq>(of: Value, named: &[(&'static str, Value)]) -> &'static str {
    let found = named.iter().find(|(_, value)| *value == of);
    found.map_or("", |(word, _)| word)
}

impl FaultRule {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// The first key that can't be as it is.
    pub fn check(&self) -> Result<(), Flaw> {
        let (action, is_timed) = (
            self.action,
            matches!(self.action, FaultAction::Delay | FaultAction::Stall),
        );
        match &self.time {
            None if is_timed => return Err(Flaw::new("time", "is missing: how long?")),
            Some(_) if !is_timed => {
                return Err(Flaw::new("time", "is for \"delay\" and \"stall\""));
            }
            Some(time) => time.check().map_err(|problem| Flaw::new("time", problem))?,
            None => {}
        }
        match self.code {
            None if action == FaultAction::Refuse => {
                let problem = "is missing: which error, like 500001?";
                return Err(Flaw::new("code", problem));
            }
            Some(_) if action != FaultAction::Refuse => {
                return Err(Flaw::new("code", "is for \"refuse\""));
            }
            Some(code) if !(400_000..600_000).contains(&code) => {
                let problem = format!("{code} is not between 400000 and 599999");
                return Err(Flaw::new("code", problem));
            }
            _ => {}
        }
        let answers = matches!(action, FaultAction::Throttle | FaultAction::Refuse);
        if self.retry_after.is_some() && !answers {
            let problem = "is for \"throttle\" and \"refuse\"";
            return Err(Flaw::new("retry-after", problem));
        }
        if !(0.0..=1.0).contains(&self.share) {
            let problem = format!("{} is not between 0 and 1", self.share);
            return Err(Flaw::new("share", problem));
        }
        const BACKWARDS: &str = "ends before it begins";
        if matches!((self.after, self.before), (Some(a), Some(b)) if a >= b) {
            return Err(Flaw::new("before", BACKWARDS));
        }
        if matches!((self.from, self.until), (Some(a), Some(b)) if a >= b) {
            return Err(Flaw::new("until", BACKWARDS));
        }
        let unsuited = self.operations.iter().find(|one| !action.suits(**one));
        if let Some(operation) = unsuited {
            let problem = format!(
                "\"{}\" has no place for \"{}\"",
                word(*operation, &FaultOperation::NAMED),
                word(action, &FaultAction::NAMED),
            );
            return Err(Flaw::new("operations", problem));
        }
        Ok(())
    }
}

/// Names rules that have no name, and looks each over.
///
/// # Errors
/// The first rule that makes no sense, by its place from 0, and what is wrong with it; or that there are
/// more than [`MAX_RULES`].
pub fn check(rules: &mut [FaultRule]) -> Result<(), (usize, Flaw)> {
    if rules.len() > MAX_RULES {
        let problem = format!("there are more than {MAX_RULES} rules");
        return Err((MAX_RULES, Flaw::new("", problem)));
    }
    for index in 0..rules.len() {
        let (before, rest) = rules.split_at_mut(index);
        let Some(rule) = rest.first_mut() else { break };
        if rule.name.is_empty() {
            let names = (index + 1..).map(|number| format!("fault-{number}"));
            let is_free = |name: &String| before.iter().all(|other| other.name != *name);
            rule.name = names.take(MAX_RULES).find(is_free).unwrap_or_default();
        }
        rule.check().map_err(|flaw| (index, flaw))?;
        if before.iter().any(|other| other.name == rule.name) {
            let problem = format!("\"{}\" is there twice", rule.name);
            return Err((index, Flaw::new("name", problem)));
        }
    }
    Ok(())
}

/// What a rule looks at: something that a device does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occasion<'a> {
    /// What the device does.
    pub operation: FaultOperation,
    /// What it speaks.
    pub protocol: FaultProtocol,
    /// Who it is; empty before it has said so.
    pub device: &'a str,
    /// Id scope that it named.
    pub instance: Option<&'a str>,
    /// Hub that it is at.
    pub hub: Option<&'a str>,
    /// Region of its address.
    pub region: Option<&'a str>,
}

/// A rule that was checked, ready to be asked whom it is for.
#[derive(Debug, Clone)]
pub struct Selector {
    rule: FaultRule,
    devices: Vec<WildMatch>,
}

impl Selector {
    /// Of a rule that was checked.
    pub fn new(rule: FaultRule) -> Self {
        let devices = rule.devices.iter();
        Self {
            devices: devices
                .map(|pattern| WildMatch::new_case_insensitive(pattern))
                .collect(),
            rule,
        }
    }

    /// The rule.
    pub fn rule(&self) -> &FaultRule {
        &self.rule
    }

    /// Whether it could hit: all but its time and its share.
    pub fn selects(&self, occasion: &Occasion<'_>) -> bool {
        let rule = &self.rule;
        let is = |wanted: &Option<String>, known: Option<&str>| match wanted {
            None => true,
            Some(wanted) => known.is_some_and(|known| known.eq_ignore_ascii_case(wanted)),
        };
        let devices = &self.devices;
        rule.action.suits(occasion.operation)
            && (rule.operations.is_empty() || rule.operations.contains(&occasion.operation))
            && rule.protocol.is_none_or(|one| one == occasion.protocol)
            && (devices.is_empty() || devices.iter().any(|one| one.matches(occasion.device)))
            && is(&rule.instance, occasion.instance)
            && is(&rule.hub, occasion.hub)
            && is(&rule.region, occasion.region)
    }
}

#[cfg(test)]
mod tests;
