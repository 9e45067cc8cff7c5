//! Which outcomes the server's fault rules explain: those that a rule can cause, of devices that it selects,
//! while it is in force.

use std::cell::LazyCell;
use std::time::Duration;

use fleetstorm_protocol::attestation::TransportKind;
use fleetstorm_protocol::fault::{FaultAction, FaultOperation, Occasion, Selector};
use fleetstorm_reports::{Fault, Outcome, Phase, Record};
use fleetstorm_scenarios::event::FaultChange;
use fleetstorm_scenarios::{Event, Scenario};

use super::intent::Wrong;
use super::setting::Setting;
use crate::run::director::EventTimes;

/// Clocks may be so far apart.
const TOLERANCE_US: i64 = 1_000_000;

/// All rules of a scenario, and what it takes to see whom they select.
#[derive(Debug)]
pub struct Faults {
    /// By the event's index.
    events: Vec<Change>,
    regions: Vec<String>,
    /// What devices speak to their hub, by cohort, where it does not follow from their transport.
    hub_transports: Vec<Option<TransportKind>>,
    setting: Setting,
}

/// What an event does to the rules that are in force.
#[derive(Debug)]
enum Change {
    /// They go, and these come.
    Rules(Vec<Selector>),
    /// They go with the server's process.
    Restart,
    None,
}

/// A window of the run, microseconds since its start.
#[derive(Debug, Clone, Copy)]
struct Window {
    from_us: i64,
    until_us: i64,
}

/// A record that somebody has to explain.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// It.
    pub record: &'a Record,
    /// What is wrong with it.
    pub wrong: Wrong,
    /// Whether the device had to be refused.
    pub must_be_refused: bool,
}

impl Faults {
    /// Of a scenario that is run there.
    pub fn of(scenario: &Scenario, setting: &Setting) -> Self {
        let change = |event: &Event| match event.action.effects().faults {
            Some(FaultChange::Replaced(rules)) => {
                Change::Rules(rules.iter().cloned().map(Selector::new).collect())
            }
            Some(FaultChange::Gone) => Change::Restart,
            None => Change::None,
        };
        let regions = scenario.regions.iter();
        let cohorts = scenario.cohorts.iter();
        Self {
            events: scenario.events.iter().map(change).collect(),
            regions: regions.map(|region| region.name.clone()).collect(),
            hub_transports: cohorts.map(|cohort| cohort.hub_transport).collect(),
            setting: setting.clone(),
        }
    }

    /// Whether a rule may have made of a device what became of it. `name` gives its registration id.
    pub fn explain(
        &self,
        case: Case<'_>,
        events: &[EventTimes],
        name: impl Fn() -> String,
    ) -> bool {
        // To know it may take a key pair.
        let name = LazyCell::new(name);
        let mut restarts = 0;
        events.iter().enumerate().any(|(place, happened)| {
            match self.change(happened) {
                Change::Restart => restarts += 1,
                Change::None => {}
                Change::Rules(rules) => {
                    let in_force = self.in_force(happened, &events[place + 1..]);
                    return rules.iter().any(|rule| {
                        let window = in_force.and(self.times_of(rule, restarts == 0));
                        window.overlaps(case.record) && self.explains(rule, case, &name)
                    });
                }
            }
            false
        })
    }

    fn change(&self, happened: &EventTimes) -> &Change {
        let change = self.events.get(usize::from(happened.event));
        change.unwrap_or(&Change::None)
    }

    /// From when on, and until when at the latest, an event's rules were in force.
    fn in_force(&self, began: &EventTimes, later: &[EventTimes]) -> Window {
        let replaced = later.iter().find_map(|later| match self.change(later) {
            Change::Rules(_) | Change::Restart => later.done_us,
            Change::None => None,
        });
        Window {
            from_us: signed(began.began_us),
            until_us: replaced.map_or(i64::MAX, signed),
        }
    }

    /// When a rule may hit by the times that it names itself; those since the server's start are known of its
    /// first life alone.
    fn times_of(&self, rule: &Selector, is_first_life: bool) -> Window {
        let rule = rule.rule();
        let at = |moment: jiff::Timestamp| {
            moment.as_microsecond() - self.setting.started_at.as_microsecond()
        };
        let born = self.setting.server_born_us.filter(|_| is_first_life);
        let after = rule.after.zip(born);
        let before = rule.before.zip(born);
        let froms = [
            rule.from.map(at),
            after.map(|(after, (earliest, _))| earliest + micros(after.0)),
        ];
        let untils = [
            rule.until.map(at),
            before.map(|(before, (_, latest))| latest + micros(before.0)),
        ];
        let from_us = froms.into_iter().flatten().max();
        let until_us = untils.into_iter().flatten().min();
        Window {
            from_us: from_us.map_or(i64::MIN, |us| us - TOLERANCE_US),
            until_us: until_us.map_or(i64::MAX, |us| us + TOLERANCE_US),
        }
    }

    fn explains(
        &self,
        rule: &Selector,
        case: Case<'_>,
        name: &impl std::ops::Deref<Target = String>,
    ) -> bool {
        FaultOperation::NAMED.iter().any(|(_, operation)| {
            if !causes(rule, *operation, case) {
                return false;
            }
            let device = if rule.rule().devices.is_empty() {
                ""
            } else {
                name.as_str()
            };
            self.occasion(*operation, case.record, device)
                .is_some_and(|occasion| rule.selects(&occasion))
        })
    }

    /// What the server sees of a device that does this.
    fn occasion<'a>(
        &'a self,
        operation: FaultOperation,
        record: &Record,
        device: &'a str,
    ) -> Option<Occasion<'a>> {
        use FaultOperation::{Connect, HubConnect, Poll, Register, Telemetry, Twin};
        let transport = *TransportKind::ALL.get(usize::from(record.transport))?;
        let at_hub = self.hub_transports.get(usize::from(record.cohort))?;
        let region = record
            .region
            .and_then(|region| self.regions.get(usize::from(region)));
        let (spoken, instance, hub) = match operation {
            Connect | Register | Poll => {
                let instance = self.setting.id_scopes.get(usize::from(record.tenant));
                (transport, instance, None)
            }
            HubConnect | Twin | Telemetry => {
                let hub = record
                    .hub
                    .and_then(|hub| self.setting.hubs.get(usize::from(hub)));
                (at_hub.unwrap_or_else(|| transport.at_hub()), None, hub)
            }
        };
        Some(Occasion {
            operation,
            protocol: spoken.protocol().into(),
            device,
            instance: instance.map(String::as_str),
            hub: hub.map(String::as_str),
            region: region.map(String::as_str),
        })
    }
}

/// Whether a rule that hits a device when it does this can come to what became of it. What delays, stalls,
/// throttles or cuts connections lets devices fall short, no more.
fn causes(rule: &Selector, operation: FaultOperation, case: Case<'_>) -> bool {
    let rule = rule.rule();
    let outcome = case.record.outcome;
    match (rule.action, case.wrong) {
        (FaultAction::Corrupt, Wrong::Hub) => operation == FaultOperation::Poll,
        (FaultAction::Corrupt, Wrong::Outcome) => {
            is_garbled(operation, outcome, case.must_be_refused)
        }
        (FaultAction::Refuse, Wrong::Outcome) => match outcome {
            Outcome::Refused {
                phase,
                status,
                code,
            } => {
                let right = rule.code.unwrap_or_default();
                let told = [0, right].contains(&code) && u32::from(status) == right / 1_000;
                told && phases(operation).contains(&phase)
            }
            _ => false,
        },
        _ => false,
    }
}

/// In which phases an operation is answered. Who comes back to its hub is in the phase that it left.
fn phases(operation: FaultOperation) -> &'static [Phase] {
    match operation {
        FaultOperation::Connect => &[],
        FaultOperation::Register => &[Phase::Attest, Phase::Register],
        FaultOperation::Poll => &[Phase::Assign],
        FaultOperation::HubConnect => &[Phase::HubConnect, Phase::Report, Phase::Telemetry],
        FaultOperation::Twin => &[Phase::Twin, Phase::Report, Phase::Telemetry],
        FaultOperation::Telemetry => &[Phase::Telemetry],
    }
}

/// Whether it can become of a device that could not read the answer to this, or read something else.
fn is_garbled(operation: FaultOperation, outcome: Outcome, must_be_refused: bool) -> bool {
    use FaultOperation::{Poll, Register, Twin};
    match (operation, outcome) {
        (
            Register | Poll | Twin,
            Outcome::Broken {
                phase,
                fault: Fault::Protocol(_),
            },
        ) if phases(operation).contains(&phase) => true,
        // The challenge.
        (
            Register,
            Outcome::Broken {
                phase,
                fault: Fault::Activation,
            },
        ) => phase == Phase::Attest,
        // The same, without JSON.
        (
            Register,
            Outcome::Refused {
                phase: Phase::Attest,
                status: 401,
                ..
            },
        ) => true,
        // The code of a refusal.
        (Register, Outcome::Refused { phase, .. }) if phases(operation).contains(&phase) => {
            must_be_refused
        }
        // The operation's id, by which the device polls.
        (
            Register | Poll,
            Outcome::Refused {
                phase: Phase::Assign,
                status,
                ..
            },
        ) => {
            matches!(status, 400 | 404)
        }
        (Poll, Outcome::AssignmentFailed { .. }) => must_be_refused,
        // The hub's name, its key, or the device's name there.
        (Poll, Outcome::Broken { phase, .. }) => phase == Phase::HubConnect,
        (
            Poll,
            Outcome::Refused {
                phase: Phase::HubConnect,
                status,
                ..
            },
        ) => {
            matches!(status, 400 | 401 | 404)
        }
        (Twin, Outcome::TwinMismatch | Outcome::DataMismatch) => true,
        _ => false,
    }
}

impl Window {
    fn and(self, other: Self) -> Self {
        Self {
            from_us: self.from_us.max(other.from_us),
            until_us: self.until_us.min(other.until_us),
        }
    }

    fn overlaps(self, record: &Record) -> bool {
        self.from_us <= signed(record.end_us)
            && signed(record.start_us) <= self.until_us
            && self.from_us <= self.until_us
    }
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
