//! Lets the scenario's events happen, each by whoever carries it out: the operator of the bundled server, the
//! lines, or devices that stay, which are told by orders.

mod event_log;
mod operator;
mod restart;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fleetstorm_scenarios::event::{Action, DeviceAction, Event, Restart, Selector, When};
use fleetstorm_scenarios::{Plan, Scenario};
use tokio::sync::watch;
use tokio::time::Instant;

use self::restart::Restarting;
use crate::device::orders::{Order, Orders};
use crate::failure::Failure;
use crate::link::region_link::RegionLinks;
use crate::operator_command::OperatorCommand;
use crate::run::scheduler::Gauges;
use crate::run::start::Start;
use crate::stopwatch::RunClock;

pub use event_log::{EventLog, EventTimes};
pub use operator::{Instance, Operator};

/// Between two looks at how many devices are provisioned.
const LOOK: Duration = Duration::from_millis(50);

/// Lets events happen in their time.
pub struct Director {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The time line.
    pub clock: RunClock,
    /// When it was to begin.
    pub start: Start,
    /// The bundled server's, when there is one.
    pub operator: Option<Operator>,
    /// The regions' lines.
    pub lines: RegionLinks,
    /// How many devices are provisioned.
    pub gauges: Arc<Gauges>,
    /// Where devices hear of it.
    pub orders: watch::Sender<Orders>,
    /// Where the report hears of it.
    pub log: EventLog,
    /// What the user asked for.
    pub commands: watch::Receiver<Option<OperatorCommand>>,
    /// Closes when the last device has ended.
    pub over: watch::Receiver<()>,
}

/// Refuses what is to happen to a server that is not ours: the command line may have named it.
///
/// # Errors
/// The first such event.
pub fn refuse_elsewhere(scenario: &Scenario) -> Result<(), Failure> {
    let mut events = (0..).zip(&scenario.events);
    let for_our_server = events.find(|(_, event)| event.action.needs_own_server(&scenario.cohorts));
    match (&scenario.target, for_our_server) {
        (Some(_), Some((index, event))) => {
            let name = event.action.name();
            let message = format!("event[{index}]: \"{name}\" needs the bundled server");
            Err(Failure::usage(message)
                .hint("another endpoint is not ours to change: leave the event out"))
        }
        _ => Ok(()),
    }
}

impl Director {
    /// Waits for each event in its turn; until all have happened or the run is over.
    ///
    /// # Errors
    /// The runtime can't be made.
    pub fn run(self) -> io::Result<()> {
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
            When::At(at) => self.clock.at(at),
            When::Provisioned(_) => Instant::now() + LOOK,
        });
        due.min().unwrap_or_else(Instant::now)
    }

    fn is_due(&self, event: &Event) -> bool {
        match event.when {
            When::At(at) => Instant::now() >= self.clock.at(at),
            When::Provisioned(share) => {
                let provisioned = self.gauges.provisioned.load(Ordering::Relaxed);
                share.is_reached_by(provisioned, self.plan.devices())
            }
        }
    }

    fn happen(&self, index: u16, event: &Event) {
        self.log.begins(index, self.clock.now_us());
        let carried_out = self.carry_out(index, event);
        // A restart is done once the server is back.
        let is_done = !matches!(carried_out, Ok(Progress::GoesOn));
        let done_us = is_done.then(|| self.clock.now_us());
        let problem = carried_out.err().map(|error| error.to_string());
        self.log.happened(index, done_us, problem);
    }

    fn carry_out(&self, index: u16, event: &Event) -> io::Result<Progress> {
        match (&event.action, event.when) {
            (Action::Service(action), _) => {
                self.operator()?.act(action, self.plan.scenario())?;
            }
            (Action::Server(restart), _) => {
                tokio::spawn(self.restarting(index, *restart)?.happen());
                return Ok(Progress::GoesOn);
            }
            (Action::Line(change), _) => self.lines.change(change.region, &change.properties),
            (Action::Devices(selector, action), _) => self.tell(index, *selector, action)?,
            // Time has done it.
            (Action::Certificates(_), When::At(at)) => self.start.is_at(at)?,
            (Action::Certificates(_), When::Provisioned(_)) => {
                return Err(io::Error::other("certificates expire at a time alone"));
            }
        }
        Ok(Progress::Done)
    }

    /// Devices are told once the service is ready for it, or has failed to be.
    fn tell(&self, event: u16, selector: Selector, action: &DeviceAction) -> io::Result<()> {
        let ready = match action {
            DeviceAction::ChangeOwner { .. } => self
                .operator()
                .and_then(|operator| operator.sell(self.plan.scenario(), selector.cohort)),
            DeviceAction::PowerCut { .. }
            | DeviceAction::Reprovision
            | DeviceAction::Move { .. }
            | DeviceAction::FactoryReset => Ok(()),
        };
        let order = Order {
            event,
            at: Duration::from_micros(self.clock.now_us()),
        };
        self.orders
            .send_modify(|orders| Arc::make_mut(orders).push(order));
        ready
    }

    fn restarting(&self, event: u16, restart: Restart) -> io::Result<Restarting> {
        Ok(Restarting {
            event,
            server: Arc::clone(&self.operator()?.server),
            restart,
            clock: self.clock,
            log: self.log.clone(),
            device_counters: Arc::clone(&self.gauges.device_counters),
        })
    }

    fn operator(&self) -> io::Result<&Operator> {
        let no_server = || io::Error::other("there is no bundled server");
        self.operator.as_ref().ok_or_else(no_server)
    }
}

/// How far an event is.
enum Progress {
    Done,
    /// The log hears of it later.
    GoesOn,
}

fn at(event: &Event) -> Duration {
    match event.when {
        When::At(at) => at,
        When::Provisioned(_) => Duration::MAX,
    }
}
