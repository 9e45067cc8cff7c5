//! Releases devices when the plan says so; the only place that sleeps for pacing.

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetstorm_reports::generator::LoopLag;
use fleetstorm_reports::record::RecordedDevice;
use fleetstorm_reports::{Outcome, Record, Recorder};
use fleetstorm_scenarios::{Event, Plan, Release};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

use crate::device::counters::DeviceCounters;
use crate::device::held::{HeldContext, HeldDevice, Settled};
use crate::device::orders::{DeviceInbox, Orders};
use crate::device::{self, Conditions};
use crate::generator::delay::{Delay, Delayed};
use crate::generator::event_loop::EventLoop;
use crate::operator_command::OperatorCommand;
use crate::run::limits::Limits;

/// What no record tells, from all cores.
#[derive(Debug)]
pub struct Gauges {
    /// Devices started.
    pub released: AtomicU64,
    /// Devices due and not started, because as many as allowed were under way.
    pub dropped: AtomicU64,
    /// Of those released, those of closed loads: each when a slot was free.
    pub closed_released: AtomicU64,
    /// Devices provisioned for the first time.
    pub provisioned: AtomicU64,
    /// What devices count.
    pub device_counters: Arc<DeviceCounters>,
}

impl Gauges {
    /// All zero, for as many hubs as the run's dimensions have.
    pub fn new(hubs: usize) -> Self {
        Self {
            released: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            closed_released: AtomicU64::new(0),
            provisioned: AtomicU64::new(0),
            device_counters: Arc::new(DeviceCounters::new(hubs)),
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
    pub commands: watch::Receiver<Option<OperatorCommand>>,
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
                left = commands.wait_for(|command| *command == Some(OperatorCommand::Leave)) => drop(left),
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
        let releases = |pacing| Releases {
            plan: Arc::clone(&self.plan),
            share: (self.shard, self.shards),
            pacing,
            stay: Rc::clone(&stay),
            commands: self.commands.clone(),
        };
        for (cohort, slots) in self.limits.closed() {
            let closed = releases(Pacing::Closed { cohort, slots });
            stay.tasks.spawn_local(closed.release_all());
        }
        releases(Pacing::Open).release_all().await;
        stay.tasks.close();
        tokio::select! {
            () = stay.tasks.wait() => {}
            left = self.commands.wait_for(|command| *command == Some(OperatorCommand::Leave)) => drop(left),
        }
        ticks.abort();
    }
}

/// One core's devices that come in one way.
struct Releases {
    plan: Arc<Plan>,
    /// Which share of the devices, of how many.
    share: (usize, usize),
    pacing: Pacing,
    stay: Rc<Stay>,
    commands: watch::Receiver<Option<OperatorCommand>>,
}

/// When the next device is released.
enum Pacing {
    /// Of all open loads: at its time. It is dropped where as many as allowed are under way.
    Open,
    /// Of a cohort whose load is closed: when a slot is free.
    Closed { cohort: u16, slots: Arc<Semaphore> },
}

impl Releases {
    /// Releases each in its turn, until the user stops.
    async fn release_all(mut self) {
        let (shard, shards) = self.share;
        let schedule = match self.pacing {
            Pacing::Open => self.plan.open_schedule(shard, shards),
            Pacing::Closed { cohort, .. } => self.plan.schedule_of(cohort, shard, shards),
        };
        for release in schedule {
            let released = tokio::select! {
                biased;
                stopped = self.commands.wait_for(Option::is_some) => {
                    drop(stopped);
                    break;
                }
                released = self.pacing.next(release, &self.stay) => released,
            };
            match released {
                (release, Some(slot)) => self.stay.start(release, slot),
                (release, None) => self.stay.skip(release).await,
            }
        }
    }
}

impl Pacing {
    /// Waits until the next device is due; none where there is no place for it under way.
    async fn next(&self, release: Release, stay: &Stay) -> (Release, Option<OwnedSemaphorePermit>) {
        let clock = stay.conditions.clock;
        tokio::time::sleep_until(clock.at(release.intended_start)).await;
        match self {
            Self::Open => (release, stay.limits.start()),
            Self::Closed { slots, .. } => {
                let slot = Arc::clone(slots).acquire_owned().await.ok();
                stay.gauges.closed_released.fetch_add(1, Ordering::Relaxed);
                let intended_start = Duration::from_micros(clock.now_us());
                let release = Release {
                    intended_start,
                    ..release
                };
                (release, slot)
            }
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
    commands: watch::Receiver<Option<OperatorCommand>>,
    orders: watch::Receiver<Orders>,
}

impl Stay {
    /// Leaves out a device that is due while as many as allowed are under way.
    async fn skip(&self, release: Release) {
        self.gauges.dropped.fetch_add(1, Ordering::Relaxed);
        let dropped = record_of(release, &self.conditions, Outcome::NotStarted);
        // Those under way must not wait for the fold as well.
        while !self.recorder.offer(dropped) {
            tokio::task::yield_now().await;
        }
    }

    /// Lets a device start. It frees its slot at its end.
    fn start(self: &Rc<Self>, release: Release, slot: OwnedSemaphorePermit) {
        self.gauges.released.fetch_add(1, Ordering::Relaxed);
        let ticket = Ticket::new(slot, release, &self.conditions, self.recorder.clone());
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
        let profile = self.conditions.profile(release.cohort);
        let hold = profile.cohort.after.hold;
        let Some(hold) = hold.filter(|_| record.outcome.is_provisioned()) else {
            return Some(settled);
        };
        let Some(place) = self.limits.stay() else {
            self.gauges.device_counters.turned_away.add();
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
                profile.event_chance.clone(),
            ),
        };
        let mut device = HeldDevice::new(ctx, release, settled, hold);
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
    _slot: OwnedSemaphorePermit,
    cancelled: Option<Record>,
    conditions: Rc<Conditions>,
    recorder: Recorder,
}

impl Ticket {
    fn new(
        slot: OwnedSemaphorePermit,
        release: Release,
        conditions: &Rc<Conditions>,
        recorder: Recorder,
    ) -> Self {
        let cancelled = record_of(release, conditions, Outcome::Cancelled);
        Self {
            _slot: slot,
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
    let profile = conditions.profile(release.cohort);
    let of = RecordedDevice {
        device: release.device,
        cohort: release.cohort,
        transport: release.transport as u8,
        attestation: profile.cohort.attestation as u8,
        region: release.region,
        tenant: conditions.fleet.owner(release.cohort, release.device),
    };
    let intended_start_us = u64::try_from(release.intended_start.as_micros()).unwrap_or(u64::MAX);
    Record::new(of, intended_start_us, start_us, outcome)
}

#[cfg(test)]
mod tests;
