//! The simulation: events in order of virtual time, until nobody is under way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::batch::{Arrivals, Batch, BatchState, micros};
use super::closed_load::ClosedLoads;
use super::cost::{Cost, QUESTION_US, REGISTRATION_PART};
use super::counters::ForecastCounters;
use super::distance::{Delays, Distances};
use super::instance::Instance;
use super::options::ForecastOptions;
use super::pending_events::PendingEvents;
use super::rate_limiter::RateLimiter;
use super::station::Station;
use super::storm::StormLevel;
use crate::cohort::{Cohort, Flaw};
use crate::plan::Plan;
use crate::retry::{Decision, Setback, Situation, Step};

/// The answer to a device that is not let in.
const UNAUTHORIZED: u16 = 401;
const TOO_MANY_REQUESTS: u16 = 429;
/// Devices that come together do not register together: by how much the work until then is uneven. Who
/// comes first is a matter of luck, and no cohort's cost alone decides it.
const UNEVEN: f64 = 0.5;
const SECOND_US: u64 = 1_000_000;

/// An answer without a result: why, and what the service tells to wait.
type Rejection = (Setback, Option<Duration>);

/// How far a simulation came before it had too many events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exhausted {
    /// Part of the devices that had ended.
    pub(super) done: f64,
}

/// A batch's next event; of those at one moment, the one that was planned first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at_us: u64,
    order: u64,
    batch: u32,
}

/// Everything that the simulation is made of.
pub(super) struct World<'plan> {
    pub(super) plan: &'plan Plan,
    options: &'plan ForecastOptions,
    /// By instance.
    pub(super) instances: Vec<Instance>,
    distances: Distances,
    station: Option<Station>,
    chance: ChaCha12Rng,
    next: BinaryHeap<Reverse<Event>>,
    pub(super) batches: Vec<Option<Batch>>,
    vacant: Vec<u32>,
    order: u64,
    /// When something happened last.
    pub(super) now_us: u64,
    pub(super) pending: PendingEvents,
    pub(super) tally: ForecastCounters,
    closed: ClosedLoads<'plan>,
}

impl<'plan> World<'plan> {
    /// Before the run's start; storms are found once their level is known.
    pub(super) fn new(
        plan: &'plan Plan,
        options: &'plan ForecastOptions,
        level: Option<StormLevel>,
        most: u64,
    ) -> Self {
        Self {
            plan,
            options,
            instances: Instance::of_all(plan, options),
            distances: Distances::of(plan),
            station: options.machine.map(|machine| Station::new(machine.cores)),
            chance: ChaCha12Rng::seed_from_u64(plan.scenario().seed),
            next: BinaryHeap::new(),
            batches: Vec::new(),
            vacant: Vec::new(),
            order: 0,
            now_us: 0,
            pending: PendingEvents::of(plan),
            tally: ForecastCounters::new(plan, options, level),
            closed: ClosedLoads::new(plan, most),
        }
    }

    /// Follows at most about `most` batches through at most `events` events.
    pub(super) fn run(mut self, most: u64, events: u64) -> Result<ForecastCounters, Exhausted> {
        let mut arrivals = Arrivals::new(self.plan, most).peekable();
        let mut left = events;
        loop {
            let waiting = self.next.peek().map(|Reverse(event)| event.at_us);
            let working = self.station.as_ref().and_then(Station::next_done);
            let next = match (waiting, working) {
                (Some(waiting), Some(working)) => Some(waiting.min(working)),
                (one, other) => one.or(other),
            };
            let arrival = arrivals.peek().map(|batch| batch.due_us);
            let free = self.closed.next_due();
            let soonest = next.into_iter().chain(arrival).chain(free).min();
            if let Some(event) = soonest.and_then(|soonest| self.next_pending(soonest)) {
                self.apply(event);
                continue;
            }
            let comes_first = |batch: &Batch| next.is_none_or(|at| batch.due_us < at);
            if let Some(batch) = self.closed.next_if(free == soonest) {
                self.start(batch);
            } else if let Some(batch) = arrivals.next_if(comes_first) {
                self.start(batch);
            } else if let Some(done_us) = working.filter(|at| next == Some(*at)) {
                self.work_done(done_us);
            } else if let Some(Reverse(event)) = self.next.pop() {
                self.wait_over(event);
            } else {
                return Ok(self.tally);
            }
            left = left.checked_sub(1).ok_or(Exhausted {
                done: self.tally.ended() as f64 / self.plan.devices() as f64,
            })?;
        }
    }

    /// A batch is due: as many as allowed connect, the others are dropped.
    fn start(&mut self, mut batch: Batch) {
        batch.devices = self.tally.started(&batch);
        if batch.devices > 0 {
            let now = batch.due_us;
            self.connect(batch, now);
        }
    }

    /// A batch turns to DPS: over a long line its first answer takes a while.
    fn connect(&mut self, mut batch: Batch, now: u64) {
        batch.stage = BatchState::Register;
        let opening_us = self.delays(&batch).opening;
        if opening_us > 0 {
            return self.wait(now.saturating_add(opening_us), batch);
        }
        self.ask_first(batch, now);
    }

    fn ask_first(&mut self, batch: Batch, now: u64) {
        let luck = 1.0 + UNEVEN * (2.0 * self.draw() - 1.0);
        let cost_us = self.whole_cost_us(&batch) * REGISTRATION_PART * luck;
        self.work(batch, now, cost_us);
    }

    /// A batch has waited, and asks.
    fn wait_over(&mut self, event: Event) {
        let Some(batch) = self.take(event.batch) else {
            return;
        };
        match batch.stage {
            BatchState::Connect => self.connect(batch, event.at_us),
            BatchState::Register if batch.failures == 0 => self.ask_first(batch, event.at_us),
            BatchState::Register | BatchState::Poll => {
                let cost_us = self.question_cost_us();
                self.work(batch, event.at_us, cost_us);
            }
            BatchState::Rejoin => self.join(batch, event.at_us),
            BatchState::Join => {
                let batch = Batch {
                    stage: BatchState::Provisioned,
                    ..batch
                };
                self.join(batch, event.at_us);
            }
            BatchState::Held => self.leave(batch, event.at_us),
            BatchState::Provisioned | BatchState::Failed | BatchState::TimedOut => {
                self.ended(&batch, event.at_us);
            }
        }
    }

    fn join(&mut self, batch: Batch, now: u64) {
        let cost_us = self.whole_cost_us(&batch) * (1.0 - REGISTRATION_PART);
        self.work(batch, now, cost_us);
    }

    /// The cores have done a batch's work.
    fn work_done(&mut self, now: u64) {
        let done = self.station.as_mut().and_then(Station::take_done);
        if let Some(batch) = done.and_then(|index| self.take(index)) {
            self.proceed(batch, now);
        }
    }

    /// What a batch has worked for comes.
    fn proceed(&mut self, mut batch: Batch, now: u64) {
        if batch.stage != BatchState::Rejoin && now > self.end_of(&batch) {
            batch.stage = BatchState::TimedOut;
        }
        self.now_us = now;
        match batch.stage {
            BatchState::Register => {
                if batch.failures == 0 {
                    batch.first_us = now;
                }
                self.register(batch, now);
            }
            BatchState::Poll => self.poll(batch, now),
            BatchState::Provisioned => {
                self.ended(&batch, now);
                self.stay(batch, now);
            }
            BatchState::Rejoin => self.stay(batch, now),
            BatchState::Connect
            | BatchState::Join
            | BatchState::Held
            | BatchState::Failed
            | BatchState::TimedOut => {
                self.ended(&batch, now);
            }
        }
    }

    /// Provisioning is over; whoever is to stay with its hub does, as far as there is room.
    fn stay(&mut self, mut batch: Batch, now: u64) {
        let Some(hold) = self.cohort(&batch).after.hold else {
            return;
        };
        if batch.until_us == 0 {
            batch.until_us = now.saturating_add(micros(hold));
        }
        batch.devices = self.tally.stays(&batch);
        if batch.devices > 0 {
            batch.stage = BatchState::Held;
            let until = self.next_round(&mut batch, now).min(batch.until_us);
            self.wait(until.max(now), batch);
        }
    }

    /// When a batch that stays goes back to DPS by itself.
    fn next_round(&mut self, batch: &mut Batch, now: u64) -> u64 {
        let Some(every) = self.cohort(batch).after.reprovision_every else {
            return u64::MAX;
        };
        let every_us = micros(every);
        if batch.round_us == 0 {
            let first = every.mul_f64(self.draw());
            batch.round_us = now.saturating_add(micros(first));
        } else if batch.round_us <= now {
            let next = batch.round_us.saturating_add(every_us);
            batch.round_us = if next > now {
                next
            } else {
                now.saturating_add(every_us)
            };
        }
        batch.round_us
    }

    /// A batch leaves its hubs: for good, or for DPS.
    fn leave(&mut self, mut batch: Batch, now: u64) {
        self.tally.leaves(&batch);
        if now < batch.until_us && batch.devices > 0 {
            batch.goes_back(BatchState::Connect, now, now);
            self.tally.goes_back(&batch, now);
            self.wait(now, batch);
        }
    }

    /// A batch is at its end, or provisioned.
    fn ended(&mut self, batch: &Batch, now: u64) {
        self.tally.ended_at(batch, now);
        self.closed.ended(batch, now);
    }

    fn register(&mut self, mut batch: Batch, now: u64) {
        if !self.cohort(&batch).enabled {
            batch.stage = BatchState::Failed;
            return self.ended(&batch, now);
        }
        if self.cohort(&batch).flaw.is_some_and(Flaw::keeps_out) {
            return self.set_back(batch, now, Step::Register, refused(UNAUTHORIZED));
        }
        let (second, limiter) = (self.second(now), self.limiter(&batch));
        let (let_in, told) = limiter.register(batch.devices, second);
        self.tally.registers += u64::from(batch.devices);
        if let_in < batch.devices {
            let mut others = batch.clone();
            others.devices -= let_in;
            self.turn_away(others, now, Step::Register, told);
            batch.devices = let_in;
        }
        if let_in > 0 {
            batch.assigned_us = now.saturating_add(self.assignment_us(&batch));
            batch.failures = 0;
            batch.stage = BatchState::Poll;
            let unfinished = self.unfinished(&batch);
            self.set_back(batch, now, Step::Register, unfinished);
        }
    }

    fn poll(&mut self, mut batch: Batch, now: u64) {
        self.tally.polls += u64::from(batch.devices);
        let second = self.second(now);
        let mut polls = batch.polls;
        let counted = self.limiter(&batch).poll(&mut polls, second);
        batch.polls = polls;
        if let Err(told) = counted {
            return self.turn_away(batch, now, Step::Poll, told);
        }
        batch.failures = 0;
        if now < batch.assigned_us {
            let unfinished = self.unfinished(&batch);
            return self.set_back(batch, now, Step::Poll, unfinished);
        }
        batch.stage = BatchState::Join;
        let at = now.saturating_add(self.delays(&batch).hub);
        if at > now {
            return self.plan_event(at, batch);
        }
        batch.stage = BatchState::Provisioned;
        self.join(batch, now);
    }

    fn delays(&self, batch: &Batch) -> Delays {
        let cohort = self.cohort(batch);
        self.distances
            .delays(batch.cohort, cohort, batch.transport, batch.region)
    }

    fn turn_away(&mut self, mut batch: Batch, now: u64, step: Step, told: u32) {
        self.tally.turned_away(&batch, now);
        batch.throttled = true;
        let told = Duration::from_secs(told.into());
        let answer = (Setback::Status(TOO_MANY_REQUESTS), Some(told));
        self.set_back(batch, now, step, answer);
    }

    fn unfinished(&self, batch: &Batch) -> Rejection {
        let instance = &self.instances[usize::from(batch.tenant)];
        (Setback::Unfinished, Some(instance.pace.retry_after))
    }

    /// A batch did not get a result; its retry profile says what it does.
    fn set_back(&mut self, mut batch: Batch, now: u64, step: Step, rejection: Rejection) {
        let (setback, retry_after) = rejection;
        if setback != Setback::Unfinished {
            batch.failures += 1;
        }
        let decision = self.cohort(&batch).retry.decide(Situation {
            protocol: batch.transport.protocol(),
            step,
            setback,
            failures: batch.failures,
            retry_after,
            elapsed: Duration::from_micros(now - batch.first_us),
            chance: self.draw(),
        });
        match decision {
            Decision::Wait(wait) => {
                let question_us = self.delays(&batch).question;
                let at = now.saturating_add(micros(wait)).saturating_add(question_us);
                self.plan_event(at, batch);
            }
            Decision::GiveUp => {
                batch.stage = BatchState::Failed;
                self.ended(&batch, now);
            }
        }
    }

    /// Waits for a batch's next event, or for the end of its time, if that is sooner.
    fn plan_event(&mut self, at_us: u64, mut batch: Batch) {
        let end = self.end_of(&batch);
        let at_us = if at_us > end {
            batch.stage = BatchState::TimedOut;
            end
        } else {
            at_us
        };
        self.wait(at_us, batch);
    }

    pub(super) fn wait(&mut self, at_us: u64, batch: Batch) {
        let batch = self.keep(batch);
        self.order += 1;
        self.next.push(Reverse(Event {
            at_us,
            order: self.order,
            batch,
        }));
    }

    /// When a batch's time is over.
    fn end_of(&self, batch: &Batch) -> u64 {
        let time = micros(self.plan.scenario().device_timeout);
        batch.start_us.saturating_add(time)
    }

    fn keep(&mut self, batch: Batch) -> u32 {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.batches.push(None);
            u32::try_from(self.batches.len() - 1).expect("events are bounded")
        });
        self.batches[index as usize] = Some(batch);
        index
    }

    fn take(&mut self, index: u32) -> Option<Batch> {
        let batch = self.batches.get_mut(index as usize)?.take();
        self.vacant.push(index);
        batch
    }

    /// Gives a batch's work to the cores; where there are cores without end, it is done at once.
    fn work(&mut self, batch: Batch, now: u64, cost_us: f64) {
        let devices = batch.devices;
        if self.station.is_none() {
            return self.proceed(batch, now);
        }
        self.tally.worked(now, f64::from(devices) * cost_us);
        let batch = self.keep(batch);
        if let Some(station) = &mut self.station {
            station.add(now, batch, devices, cost_us);
        }
    }

    /// CPU that a whole provisioning costs this machine.
    fn whole_cost_us(&self, batch: &Batch) -> f64 {
        let cost = Cost::measured(self.cohort(batch).attestation, batch.transport);
        self.options.machine.map_or(0.0, |machine| {
            let server_us = if machine.runs_server {
                cost.server_us
            } else {
                0
            };
            f64::from(cost.simulator_us + server_us) * machine.slowness
        })
    }

    /// CPU that a question over an open connection costs this machine.
    fn question_cost_us(&self) -> f64 {
        self.options.machine.map_or(0.0, |machine| {
            let part = if machine.runs_server { 1.0 } else { 0.5 };
            QUESTION_US * part * machine.slowness
        })
    }

    /// A random number from 0 up to and without 1.
    pub(super) fn draw(&mut self) -> f64 {
        (self.chance.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn assignment_us(&mut self, batch: &Batch) -> u64 {
        self.instances[usize::from(batch.tenant)].assignment_us(&mut self.chance)
    }

    /// On the clock that the service's windows follow.
    fn second(&self, now: u64) -> i64 {
        let clock = now.saturating_add(micros(self.options.starts_in_minute));
        i64::try_from(clock / SECOND_US).unwrap_or(i64::MAX)
    }

    /// Of the instance that a batch belongs to.
    fn limiter(&mut self, batch: &Batch) -> &mut RateLimiter {
        &mut self.instances[usize::from(batch.tenant)].limiter
    }

    pub(super) fn cohort(&self, batch: &Batch) -> &'plan Cohort {
        &self.plan.scenario().cohorts[usize::from(batch.cohort)]
    }
}

fn refused(status: u16) -> Rejection {
    (Setback::Status(status), None)
}
