//! Lets the scenario's events happen: to the bundled server by its control endpoint, to devices
//! that stay by orders.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetstorm_reports::event::Happened;
use fleetstorm_scenarios::event::{Action, Event, When, Whom};
use fleetstorm_scenarios::{Plan, Scenario};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::control::Control;
use crate::device::orders::{Order, Orders};
use crate::failure::Failure;
use crate::fleet::symmetric_keys::Roll;
use crate::fleet::{self, Fleet};
use crate::progress::Command;
use crate::scheduler::Gauges;
use crate::service_side::ServiceSide;
use crate::stopwatch::RunClock;

/// Between two looks at how many devices are provisioned.
const LOOK: Duration = Duration::from_millis(50);

/// What has happened and what is still to come, as the observer sees it.
#[derive(Debug, Clone, Default)]
pub struct EventLog(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    happened: Vec<Happened>,
    /// By index in the scenario.
    pending: BTreeMap<u16, String>,
}

impl EventLog {
    /// Of a run that has not begun.
    pub fn of(scenario: &Scenario) -> Self {
        let events = (0..).zip(&scenario.events);
        let pending = events.map(|(index, event)| (index, in_words(&event.action, scenario)));
        Self(Arc::new(Mutex::new(Log {
            happened: Vec::new(),
            pending: pending.collect(),
        })))
    }

    /// What has happened so far.
    pub fn read(&self) -> Vec<Happened> {
        self.log().happened.clone()
    }

    /// All events, at the end of the run: those that it did not reach are failures, too.
    pub fn close(&self, at_us: u64) -> Vec<Happened> {
        let log = self.log();
        let missed = log.pending.values().map(|what| Happened {
            at_us,
            what: what.clone(),
            problem: Some("it did not happen: the run was over before".into()),
        });
        log.happened.iter().cloned().chain(missed).collect()
    }

    fn happened(&self, index: u16, at_us: u64, problem: Option<String>) {
        let mut log = self.log();
        if let Some(what) = log.pending.remove(&index) {
            log.happened.push(Happened {
                at_us,
                what,
                problem,
            });
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server whose service can be changed.
#[derive(Clone)]
pub struct Stage {
    /// Its control endpoint.
    pub control: Control,
    /// Its instance.
    pub id_scope: String,
    /// The instance's enrollments.
    pub service_side: ServiceSide,
    /// Who is enrolled.
    pub fleet: Arc<Fleet>,
}

/// Lets events happen in their time.
pub struct Director {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The time line.
    pub clock: RunClock,
    /// The bundled server, when there is one.
    pub stage: Option<Stage>,
    /// How many devices are provisioned.
    pub gauges: Arc<Gauges>,
    /// Where devices hear of it.
    pub orders: watch::Sender<Orders>,
    /// Where the report hears of it.
    pub log: EventLog,
    /// What the user asked for.
    pub commands: watch::Receiver<Option<Command>>,
    /// Closes when the last device has ended.
    pub over: watch::Receiver<()>,
}

/// Refuses what is to happen to a server that is not ours: the command line may have named it.
///
/// # Errors
/// The first such event.
pub fn refuse_elsewhere(scenario: &Scenario) -> Result<(), Failure> {
    let mut events = (0..).zip(&scenario.events);
    let events_for_servers = events.find(|(_, event)| event.action.is_the_servers());
    match (&scenario.target, events_for_servers) {
        (Some(_), Some((index, event))) => {
            let name = event.action.name();
            let message = format!("event[{index}]: \"{name}\" needs the bundled server");
            Err(Failure::usage(message)
                .hint("another endpoint is not ours to change: leave the event out"))
        }
        _ => Ok(()),
    }
}

/// Tries what can be wrong with events that only the server knows: the fault rules.
///
/// # Errors
/// The event, and what the server says of it.
pub fn rehearse(scenario: &Scenario, stage: &Stage) -> Result<(), Failure> {
    for (index, event) in scenario.events.iter().enumerate() {
        if let Action::Faults(_) = &event.action {
            let refused = |e: std::io::Error| Failure::usage(format!("event[{index}].rules: {e}"));
            stage.act(&event.action, scenario).map_err(refused)?;
            let none = Action::Faults(Vec::new());
            stage.act(&none, scenario).map_err(refused)?;
        }
    }
    Ok(())
}

impl Director {
    /// Waits for each event in its turn; until all have happened or the run is over.
    ///
    /// # Errors
    /// The runtime can't be made.
    pub fn run(self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.direct());
        Ok(())
    }

    async fn direct(mut self) {
        let plan = Arc::clone(&self.plan);
        let events = &plan.scenario().events;
        let mut pending: Vec<u16> = (0_u16..).take(events.len()).collect();
        // Of those due at the same moment the first in the file comes first.
        pending.sort_by_key(|&index| at(&events[usize::from(index)]));
        while !pending.is_empty() {
            let due = self.next_look(events, &pending);
            tokio::select! {
                biased;
                _stopped = self.commands.wait_for(Option::is_some) => return,
                _over = self.over.changed() => return,
                () = tokio::time::sleep_until(due) => {}
            }
            let (ready, rest): (Vec<u16>, Vec<u16>) = pending
                .into_iter()
                .partition(|&index| self.is_due(&events[usize::from(index)]));
            pending = rest;
            for index in ready {
                self.happen(index, &events[usize::from(index)]);
            }
        }
        // Devices listen as long as there is somebody who could speak.
        let _over = self.over.changed().await;
    }

    fn next_look(&self, events: &[Event], pending: &[u16]) -> Instant {
        let pending = pending.iter().map(|&index| &events[usize::from(index)]);
        let due = pending.map(|event| match event.when {
            When::At(at) => Instant::from_std(self.clock.at(at)),
            When::Provisioned(_) => Instant::now() + LOOK,
        });
        due.min().unwrap_or_else(Instant::now)
    }

    fn is_due(&self, event: &Event) -> bool {
        match event.when {
            When::At(at) => Instant::now() >= Instant::from_std(self.clock.at(at)),
            #[expect(clippy::cast_precision_loss, reason = "counts of devices")]
            When::Provisioned(share) => {
                let provisioned = self.gauges.provisioned.load(Ordering::Relaxed) as f64;
                provisioned >= share * self.plan.devices() as f64
            }
        }
    }

    fn happen(&self, index: u16, event: &Event) {
        let scenario = self.plan.scenario();
        let at_us = self.clock.now_us();
        let done = match &self.stage {
            Some(stage) if event.action.is_the_servers() => stage.act(&event.action, scenario),
            _ => {
                let order = Order {
                    event: index,
                    at: Duration::from_micros(at_us),
                };
                self.orders
                    .send_modify(|orders| Arc::make_mut(orders).push(order));
                Ok(())
            }
        };
        let problem = done.err().map(|error| error.to_string());
        self.log.happened(index, at_us, problem);
    }
}

impl Stage {
    /// Does to the server what an event says.
    fn act(&self, action: &Action, scenario: &Scenario) -> std::io::Result<()> {
        let set_hubs = |hub: &Option<String>, state| {
            let hubs = scenario.server.hubs.iter().map(|hub| &hub.name);
            let mut meant = hubs.filter(|name| hub.as_ref().is_none_or(|hub| hub == *name));
            meant.try_for_each(|name| {
                let path = format!("/hubs/{}/state", fleet::hub_host(name));
                self.control
                    .put(&path, &json!({"state": state}).to_string())
            })
        };
        match action {
            Action::HubDown(hub) => set_hubs(hub, "down"),
            Action::HubUp(hub) => set_hubs(hub, "up"),
            Action::RegionDown(region) => self.set_region(region, "down"),
            Action::RegionUp(region) => self.set_region(region, "up"),
            Action::Throttle(rates) => {
                let path = format!("/instances/{}/throttle", self.id_scope);
                let body = serde_json::to_string(rates).map_err(std::io::Error::other)?;
                self.control.put(&path, &body)
            }
            Action::Faults(rules) => self.control.put("/faults", &json!(rules).to_string()),
            Action::Enrollment { cohort, enabled } => {
                let group = self.fleet.group(*cohort, *enabled);
                self.service_side.replace(&group.ok_or_else(no_group)?)
            }
            Action::KeyRoll(cohort) => {
                let (group, keys) = self
                    .fleet
                    .rolled(*cohort, Roll::Begin)
                    .ok_or_else(no_group)?;
                self.service_side.replace(&group)?;
                // Not before the service knows it: devices are made at any time.
                keys.use_next();
                Ok(())
            }
            Action::KeyRetire(cohort) => {
                let rolled = self.fleet.rolled(*cohort, Roll::Finish);
                let (group, _) = rolled.ok_or_else(no_group)?;
                self.service_side.replace(&group)
            }
            Action::PowerCut { .. } | Action::Reprovision(_) | Action::Move { .. } => Ok(()),
        }
    }

    fn set_region(&self, region: &str, state: &str) -> std::io::Result<()> {
        let path = format!("/regions/{region}/state");
        self.control
            .put(&path, &json!({"state": state}).to_string())
    }
}

fn no_group() -> std::io::Error {
    std::io::Error::other("the cohort has no such group")
}

fn at(event: &Event) -> Duration {
    match event.when {
        When::At(at) => at,
        When::Provisioned(_) => Duration::MAX,
    }
}

/// For the report.
fn in_words(action: &Action, scenario: &Scenario) -> String {
    let name = action.name();
    let hub = |hub: &Option<String>| match hub {
        Some(hub) => format!("{name} {hub}"),
        None => format!("{name}, all hubs"),
    };
    let devices = |whom: &Whom| {
        let share = (whom.share * 1e6).round() / 1e4;
        let cohort = whom
            .cohort
            .and_then(|cohort| scenario.cohorts.get(usize::from(cohort)));
        match cohort {
            Some(cohort) => format!("{name}, {share} % of {}", cohort.name),
            None => format!("{name}, {share} % of those that stay"),
        }
    };
    match action {
        Action::HubDown(down) => hub(down),
        Action::HubUp(up) => hub(up),
        Action::RegionDown(region) | Action::RegionUp(region) => format!("{name} {region}"),
        Action::Throttle(rates) if *rates == fleetstorm_protocol::quota::Rates::NONE => {
            format!("{name} off")
        }
        Action::Throttle(rates) => format!(
            "{name}: {} registrations a minute",
            rates.registrations_per_minute
        ),
        Action::Faults(rules) if rules.is_empty() => format!("{name} off"),
        Action::Faults(rules) => format!("{name}: {} rules", rules.len()),
        Action::Enrollment { cohort, .. } | Action::KeyRoll(cohort) | Action::KeyRetire(cohort) => {
            let cohort = scenario.cohorts.get(usize::from(*cohort));
            format!(
                "{name} {}",
                cohort.map_or("", |cohort| cohort.name.as_str())
            )
        }
        Action::PowerCut { whom, off } if off.is_zero() => devices(whom),
        Action::PowerCut { whom, off } => format!("{} for {off:?}", devices(whom)),
        Action::Reprovision(whom) => devices(whom),
        Action::Move { whom, to } => {
            let to = scenario.regions.get(usize::from(*to));
            let to = to.map_or("", |region| region.name.as_str());
            format!("{}, to {to}", devices(whom))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_the_run_does_not_reach_is_told_as_missed() {
        let text = r#"
            name = "one"
            [[event]]
            at = "1s"
            do = "hub-down"
            hub = "hub-1"
            [[event]]
            at = "1h"
            do = "hub-up"
            [[cohort]]
            name = "a"
            devices = 1
            attestation = "tpm"
            transport = "https"
            arrival = { kind = "all-at-once" }
        "#;
        let scenario = fleetstorm_scenarios::parse(text, "one.toml").expect("valid");
        let log = EventLog::of(&scenario);
        log.happened(0, 1_000_000, None);
        assert_eq!(log.read().len(), 1);
        let all = log.close(5_000_000);
        let told: Vec<_> = all
            .iter()
            .map(|event| (event.what.as_str(), event.problem.is_some()))
            .collect();
        assert_eq!(
            told,
            [("hub-down hub-1", false), ("hub-up, all hubs", true)]
        );
    }
}
