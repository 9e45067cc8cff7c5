//! Releases devices when the plan says so; the only place that sleeps for pacing.

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetstorm_reports::generator::LoopLag;
use fleetstorm_reports::record::NOT_REACHED;
use fleetstorm_reports::{Outcome, Phase, Record, Recorder};
use fleetstorm_scenarios::{Event, Plan, Release};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

use crate::device::held::{HeldContext, HeldDevice, Settled};
use crate::device::orders::{DeviceInbox, Orders};
use crate::device::tally::Tally;
use crate::device::{self, Conditions};
use crate::generator::delay::{Delay, Delayed};
use crate::generator::event_loop::EventLoop;
use crate::limits::Limits;
use crate::progress::Command;

/// What no record tells, from all cores.
#[derive(Debug)]
pub struct Gauges {
    /// Devices started.
    pub released: AtomicU64,
    /// Devices due and not started, because as many as allowed were under way.
    pub dropped: AtomicU64,
    /// Of those started, those whose turn came when another had ended.
    pub took_turns: AtomicU64,
    /// Devices provisioned for the first time.
    pub provisioned: AtomicU64,
    /// What devices count.
    pub tally: Arc<Tally>,
}

impl Gauges {
    /// All zero, for as many hubs as the run's dimensions have.
    pub fn new(hubs: usize) -> Self {
        Self {
            released: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            took_turns: AtomicU64::new(0),
            provisioned: AtomicU64::new(0),
            tally: Arc::new(Tally::new(hubs)),
        }
    }
}

/// One core's share of a run.
pub struct Share {
    /// Whose devices.
    pub plan: Arc<Plan>,
    /// Which share.
    pub shard: usize,
    /// Of how many.
    pub shards: usize,
    /// What its devices share.
    pub conditions: Conditions,
    /// Where records go.
    pub recorder: Recorder,
    /// What no record tells.
    pub gauges: Arc<Gauges>,
    /// How late this core is.
    pub lag: Arc<Mutex<LoopLag>>,
    /// How many may be under way, and stay.
    pub limits: Limits,
    /// What the user asked for.
    pub commands: watch::Receiver<Option<Command>>,
    /// What has happened to devices that stay.
    pub orders: watch::Receiver<Orders>,
}

impl Share {
    /// Runs the share to its end on the calling thread: until every device has ended,
    /// or the user wants to leave.
    ///
    /// # Errors
    /// The runtime can't be made.
    pub fn run(self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let devices = LocalSet::new();
        let mut commands = self.commands.clone();
        let limit = self.conditions.device_timeout;
        devices.block_on(&runtime, self.release_all());
        // Good-byes are left. Who wants to leave does not wait for them.
        runtime.block_on(async {
            tokio::select! {
                biased;
                left = commands.wait_for(|command| *command == Some(Command::Leave)) => drop(left),
                () = devices => {}
                () = tokio::time::sleep(limit) => {}
            }
        });
        Ok(())
    }

    async fn release_all(mut self) {
        let scenario = self.plan.scenario();
        let conditions = Rc::new(self.conditions);
        let event_loop = Rc::new(EventLoop::new(conditions.clock, self.lag));
        let ticks = tokio::task::spawn_local(Rc::clone(&event_loop).ticks());
        let stay = Rc::new(Stay {
            conditions: Rc::clone(&conditions),
            gauges: Arc::clone(&self.gauges),
            event_loop,
            recorder: self.recorder.clone(),
            limits: self.limits.clone(),
            tasks: TaskTracker::new(),
            events: scenario.events.as_slice().into(),
            commands: self.commands.clone(),
            orders: self.orders.clone(),
        });
        for (cohort, seats) in self.limits.turns() {
            let turns = Turns {
                plan: Arc::clone(&self.plan),
                share: (cohort, self.shard, self.shards),
                seats,
                stay: Rc::clone(&stay),
                commands: self.commands.clone(),
            };
            stay.tasks.spawn_local(turns.release_all());
        }
        for release in self.plan.open_schedule(self.shard, self.shards) {
            let due = conditions.clock.at(release.intended_start);
            tokio::select! {
                biased;
                stopped = self.commands.wait_for(Option::is_some) => {
                    drop(stopped);
                    break;
                }
                () = tokio::time::sleep_until(due) => {}
            }
            let Some(place) = self.limits.start() else {
                self.gauges.dropped.fetch_add(1, Ordering::Relaxed);
                let dropped = record_of(release, &conditions, Outcome::NotStarted);
                // Those under way must not wait for the fold as well.
                while !self.recorder.offer(dropped) {
                    tokio::task::yield_now().await;
                }
                continue;
            };
            stay.start(release, Some(place));
        }
        stay.tasks.close();
        tokio::select! {
            () = stay.tasks.wait() => {}
            left = self.commands.wait_for(|command| *command == Some(Command::Leave)) => drop(left),
        }
        ticks.abort();
    }
}

/// One core's devices of a cohort in which the next comes when one has ended.
struct Turns {
    plan: Arc<Plan>,
    /// Index of the cohort, which share of its devices, of how many.
    share: (u16, usize, usize),
    seats: Arc<Semaphore>,
    stay: Rc<Stay>,
    commands: watch::Receiver<Option<Command>>,
}

impl Turns {
    /// Releases each when it has a seat.
    async fn release_all(mut self) {
        let (cohort, shard, shards) = self.share;
        let clock = self.stay.conditions.clock;
        for release in self.plan.schedule_of(cohort, shard, shards) {
            let begin = clock.at(release.intended_start);
            let its_turn = async {
                tokio::time::sleep_until(begin).await;
                Arc::clone(&self.seats).acquire_owned().await
            };
            let seat = tokio::select! {
                biased;
                stopped = self.commands.wait_for(Option::is_some) => {
                    drop(stopped);
                    break;
                }
                seat = its_turn => seat,
            };
            let release = Release {
                intended_start: Duration::from_micros(clock.now_us()),
                ..release
            };
            self.stay.gauges.took_turns.fetch_add(1, Ordering::Relaxed);
            self.stay.start(release, seat.ok());
        }
    }
}

/// What devices need to stay with their hubs.
struct Stay {
    conditions: Rc<Conditions>,
    gauges: Arc<Gauges>,
    event_loop: Rc<EventLoop>,
    recorder: Recorder,
    limits: Limits,
    /// Every device of this core, and those that release them.
    tasks: TaskTracker,
    events: Arc<[Event]>,
    commands: watch::Receiver<Option<Command>>,
    orders: watch::Receiver<Orders>,
}

impl Stay {
    /// Lets a device start. It frees its place under way, or its seat, at its end.
    fn start(self: &Rc<Self>, release: Release, place: Option<OwnedSemaphorePermit>) {
        self.gauges.released.fetch_add(1, Ordering::Relaxed);
        let ticket = Ticket::new(place, release, &self.conditions, self.recorder.clone());
        let stay = Rc::clone(self);
        let delay = Delay::on(Rc::clone(&self.event_loop));
        self.spawn(delay.clone(), async move {
            let conditions = &stay.conditions;
            let (record, settled) = device::provision(release, conditions, delay).await;
            if record.outcome.is_provisioned() {
                stay.gauges.provisioned.fetch_add(1, Ordering::Relaxed);
            }
            // Its place under way is for those who are not provisioned yet.
            let left = settled.and_then(|settled| stay.begin(release, &record, settled));
            ticket.end(record);
            if let Some(settled) = left {
                settled.leave(conditions);
            }
        });
    }

    /// Lets a provisioned device stay, if it is to stay and there is a place. Gives back one that leaves.
    fn begin(&self, release: Release, record: &Record, settled: Settled) -> Option<Settled> {
        let habits = self.conditions.habits(release.cohort);
        let hold = habits.after.hold;
        let Some(hold) = hold.filter(|_| record.outcome.is_provisioned()) else {
            return Some(settled);
        };
        let Some(place) = self.limits.stay() else {
            self.gauges.tally.turned_away.add();
            return Some(settled);
        };
        let delay = Delay::on(Rc::clone(&self.event_loop));
        let ctx = HeldContext {
            delay: delay.clone(),
            conditions: Rc::clone(&self.conditions),
            recorder: self.recorder.clone(),
            inbox: DeviceInbox::new(
                Arc::clone(&self.events),
                self.commands.clone(),
                self.orders.clone(),
                (release.cohort, release.device),
                habits.event_chance.clone(),
            ),
        };
        let device = HeldDevice::new(ctx, release, settled, hold);
        self.spawn(delay, async move {
            device.run().await;
            drop(place);
        });
        None
    }

    /// A task of this core that measures what the generator adds to it.
    fn spawn(&self, delay: Delay, device: impl Future<Output = ()> + 'static) {
        let event_loop = Rc::clone(&self.event_loop);
        self.tasks
            .spawn_local(Delayed::new(device, delay, event_loop));
    }
}

/// Makes sure that every released device leaves a record, also one that is cut short.
struct Ticket {
    /// Freed with it.
    _place: Option<OwnedSemaphorePermit>,
    cancelled: Option<Record>,
    conditions: Rc<Conditions>,
    recorder: Recorder,
}

impl Ticket {
    fn new(
        place: Option<OwnedSemaphorePermit>,
        release: Release,
        conditions: &Rc<Conditions>,
        recorder: Recorder,
    ) -> Self {
        let cancelled = record_of(release, conditions, Outcome::Cancelled);
        Self {
            _place: place,
            cancelled: Some(cancelled),
            conditions: Rc::clone(conditions),
            recorder,
        }
    }

    fn end(mut self, record: Record) {
        self.cancelled = None;
        self.recorder.record(record);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(mut record) = self.cancelled.take() {
            record.end_us = self.conditions.clock.now_us();
            self.recorder.record(record);
        }
    }
}

/// Of a device that got nowhere.
fn record_of(release: Release, conditions: &Conditions, outcome: Outcome) -> Record {
    let start_us = conditions.clock.now_us();
    let habits = conditions.habits(release.cohort);
    Record {
        intended_start_us: u64::try_from(release.intended_start.as_micros()).unwrap_or(u64::MAX),
        start_us,
        registered_us: None,
        end_us: start_us,
        added_to_registration_us: 0,
        added_us: 0,
        phases_us: [NOT_REACHED; Phase::ALL.len()],
        device: release.device,
        cohort: release.cohort,
        transport: release.transport as u8,
        attestation: habits.attestation,
        tenant: conditions.fleet.owner(release.cohort, release.device),
        region: release.region,
        polls: 0,
        messages: 0,
        attempts: u16::from(outcome.is_started()),
        throttled: 0,
        lost: 0,
        reprovision: false,
        hub: None,
        outcome,
    }
}
