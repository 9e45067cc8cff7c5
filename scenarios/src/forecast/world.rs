//! The simulation: events in order of virtual time, until nobody is under way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::closed_load::ClosedLoads;
use super::cost::{Cost, QUESTION_US, REGISTRATION_PART};
use super::crowd::{Arrivals, Crowd, Stage, micros};
use super::distance::{Delays, Distances};
use super::instance::Instance;
use super::pending_events::PendingEvents;
use super::rate_limiter::RateLimiter;
use super::station::Station;
use super::storm::StormLevel;
use super::surroundings::Surroundings;
use super::tally::Tally;
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
type Answer = (Setback, Option<Duration>);

/// How far a simulation came before it had too many events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exhausted {
    /// Part of the devices that had ended.
    pub(super) done: f64,
}

/// A crowd's next event; of those at one moment, the one that was planned first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at_us: u64,
    order: u64,
    crowd: u32,
}

/// Everything that the simulation is made of.
pub(super) struct World<'plan> {
    pub(super) plan: &'plan Plan,
    around: &'plan Surroundings,
    /// By instance.
    pub(super) instances: Vec<Instance>,
    distances: Distances,
    station: Option<Station>,
    chance: ChaCha12Rng,
    next: BinaryHeap<Reverse<Event>>,
    pub(super) crowds: Vec<Option<Crowd>>,
    vacant: Vec<u32>,
    order: u64,
    /// When something happened last.
    pub(super) now_us: u64,
    pub(super) pending: PendingEvents,
    pub(super) tally: Tally,
    closed: ClosedLoads<'plan>,
}

impl<'plan> World<'plan> {
    /// Before the run's start; storms are found once their level is known.
    pub(super) fn new(
        plan: &'plan Plan,
        around: &'plan Surroundings,
        level: Option<StormLevel>,
        most: u64,
    ) -> Self {
        Self {
            plan,
            around,
            instances: Instance::of_all(plan, around),
            distances: Distances::of(plan),
            station: around.machine.map(|machine| Station::new(machine.cores)),
            chance: ChaCha12Rng::seed_from_u64(plan.scenario().seed),
            next: BinaryHeap::new(),
            crowds: Vec::new(),
            vacant: Vec::new(),
            order: 0,
            now_us: 0,
            pending: PendingEvents::of(plan),
            tally: Tally::new(plan, around, level),
            closed: ClosedLoads::new(plan, most),
        }
    }

    /// Follows at most about `most` crowds through at most `events` events.
    pub(super) fn run(mut self, most: u64, events: u64) -> Result<Tally, Exhausted> {
        let mut arrivals = Arrivals::new(self.plan, most).peekable();
        let mut left = events;
        loop {
            let waiting = self.next.peek().map(|Reverse(event)| event.at_us);
            let working = self.station.as_ref().and_then(Station::next_done);
            let next = match (waiting, working) {
                (Some(waiting), Some(working)) => Some(waiting.min(working)),
                (one, other) => one.or(other),
            };
            let arrival = arrivals.peek().map(|crowd| crowd.due_us);
            let free = self.closed.next_due();
            let soonest = next.into_iter().chain(arrival).chain(free).min();
            if let Some(event) = soonest.and_then(|soonest| self.next_pending(soonest)) {
                self.apply(event);
                continue;
            }
            let comes_first = |crowd: &Crowd| next.is_none_or(|at| crowd.due_us < at);
            if let Some(crowd) = self.closed.next_if(free == soonest) {
                self.start(crowd);
            } else if let Some(crowd) = arrivals.next_if(comes_first) {
                self.start(crowd);
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

    /// A crowd is due: as many as allowed connect, the others are dropped.
    fn start(&mut self, mut crowd: Crowd) {
        crowd.devices = self.tally.started(&crowd);
        if crowd.devices > 0 {
            let now = crowd.due_us;
            self.connect(crowd, now);
        }
    }

    /// A crowd turns to DPS: over a long line its first answer takes a while.
    fn connect(&mut self, mut crowd: Crowd, now: u64) {
        crowd.stage = Stage::Register;
        let opening_us = self.delays(&crowd).opening;
        if opening_us > 0 {
            return self.wait(now.saturating_add(opening_us), crowd);
        }
        self.ask_first(crowd, now);
    }

    fn ask_first(&mut self, crowd: Crowd, now: u64) {
        let luck = 1.0 + UNEVEN * (2.0 * self.draw() - 1.0);
        let cost_us = self.whole_cost_us(&crowd) * REGISTRATION_PART * luck;
        self.work(crowd, now, cost_us);
    }

    /// A crowd has waited, and asks.
    fn wait_over(&mut self, event: Event) {
        let Some(crowd) = self.take(event.crowd) else {
            return;
        };
        match crowd.stage {
            Stage::Connect => self.connect(crowd, event.at_us),
            Stage::Register if crowd.failures == 0 => self.ask_first(crowd, event.at_us),
            Stage::Register | Stage::Poll => {
                let cost_us = self.question_cost_us();
                self.work(crowd, event.at_us, cost_us);
            }
            Stage::Rejoin => self.join(crowd, event.at_us),
            Stage::Join => {
                let crowd = Crowd {
                    stage: Stage::Provisioned,
                    ..crowd
                };
                self.join(crowd, event.at_us);
            }
            Stage::Held => self.leave(crowd, event.at_us),
            Stage::Provisioned | Stage::Failed | Stage::TimedOut => {
                self.ended(&crowd, event.at_us);
            }
        }
    }

    fn join(&mut self, crowd: Crowd, now: u64) {
        let cost_us = self.whole_cost_us(&crowd) * (1.0 - REGISTRATION_PART);
        self.work(crowd, now, cost_us);
    }

    /// The cores have done a crowd's work.
    fn work_done(&mut self, now: u64) {
        let done = self.station.as_mut().and_then(Station::take_done);
        if let Some(crowd) = done.and_then(|index| self.take(index)) {
            self.proceed(crowd, now);
        }
    }

    /// What a crowd has worked for comes.
    fn proceed(&mut self, mut crowd: Crowd, now: u64) {
        if crowd.stage != Stage::Rejoin && now > self.end_of(&crowd) {
            crowd.stage = Stage::TimedOut;
        }
        self.now_us = now;
        match crowd.stage {
            Stage::Register => {
                if crowd.failures == 0 {
                    crowd.first_us = now;
                }
                self.register(crowd, now);
            }
            Stage::Poll => self.poll(crowd, now),
            Stage::Provisioned => {
                self.ended(&crowd, now);
                self.stay(crowd, now);
            }
            Stage::Rejoin => self.stay(crowd, now),
            Stage::Connect | Stage::Join | Stage::Held | Stage::Failed | Stage::TimedOut => {
                self.ended(&crowd, now);
            }
        }
    }

    /// Provisioning is over; whoever is to stay with its hub does, as far as there is room.
    fn stay(&mut self, mut crowd: Crowd, now: u64) {
        let Some(hold) = self.cohort(&crowd).after.hold else {
            return;
        };
        if crowd.until_us == 0 {
            crowd.until_us = now.saturating_add(micros(hold));
        }
        crowd.devices = self.tally.stays(&crowd);
        if crowd.devices > 0 {
            crowd.stage = Stage::Held;
            let until = self.next_round(&mut crowd, now).min(crowd.until_us);
            self.wait(until.max(now), crowd);
        }
    }

    /// When a crowd that stays goes back to DPS by itself.
    fn next_round(&mut self, crowd: &mut Crowd, now: u64) -> u64 {
        let Some(every) = self.cohort(crowd).after.reprovision_every else {
            return u64::MAX;
        };
        let every_us = micros(every);
        if crowd.round_us == 0 {
            let first = every.mul_f64(self.draw());
            crowd.round_us = now.saturating_add(micros(first));
        } else if crowd.round_us <= now {
            let next = crowd.round_us.saturating_add(every_us);
            crowd.round_us = if next > now {
                next
            } else {
                now.saturating_add(every_us)
            };
        }
        crowd.round_us
    }

    /// A crowd leaves its hubs: for good, or for DPS.
    fn leave(&mut self, mut crowd: Crowd, now: u64) {
        self.tally.leaves(&crowd);
        if now < crowd.until_us && crowd.devices > 0 {
            crowd.goes_back(Stage::Connect, now, now);
            self.tally.goes_back(&crowd, now);
            self.wait(now, crowd);
        }
    }

    /// A crowd is at its end, or provisioned.
    fn ended(&mut self, crowd: &Crowd, now: u64) {
        self.tally.ended_at(crowd, now);
        self.closed.ended(crowd, now);
    }

    fn register(&mut self, mut crowd: Crowd, now: u64) {
        if !self.cohort(&crowd).enabled {
            crowd.stage = Stage::Failed;
            return self.ended(&crowd, now);
        }
        if self.cohort(&crowd).flaw.is_some_and(Flaw::keeps_out) {
            return self.set_back(crowd, now, Step::Register, refused(UNAUTHORIZED));
        }
        let (second, limiter) = (self.second(now), self.limiter(&crowd));
        let (let_in, told) = limiter.register(crowd.devices, second);
        self.tally.registers += u64::from(crowd.devices);
        if let_in < crowd.devices {
            let mut others = crowd.clone();
            others.devices -= let_in;
            self.turn_away(others, now, Step::Register, told);
            crowd.devices = let_in;
        }
        if let_in > 0 {
            crowd.assigned_us = now.saturating_add(self.assignment_us(&crowd));
            crowd.failures = 0;
            crowd.stage = Stage::Poll;
            let unfinished = self.unfinished(&crowd);
            self.set_back(crowd, now, Step::Register, unfinished);
        }
    }

    fn poll(&mut self, mut crowd: Crowd, now: u64) {
        self.tally.polls += u64::from(crowd.devices);
        let second = self.second(now);
        let mut polls = crowd.polls;
        let counted = self.limiter(&crowd).poll(&mut polls, second);
        crowd.polls = polls;
        if let Err(told) = counted {
            return self.turn_away(crowd, now, Step::Poll, told);
        }
        crowd.failures = 0;
        if now < crowd.assigned_us {
            let unfinished = self.unfinished(&crowd);
            return self.set_back(crowd, now, Step::Poll, unfinished);
        }
        crowd.stage = Stage::Join;
        let at = now.saturating_add(self.delays(&crowd).hub);
        if at > now {
            return self.plan_event(at, crowd);
        }
        crowd.stage = Stage::Provisioned;
        self.join(crowd, now);
    }

    fn delays(&self, crowd: &Crowd) -> Delays {
        let cohort = self.cohort(crowd);
        self.distances
            .delays(crowd.cohort, cohort, crowd.transport, crowd.region)
    }

    fn turn_away(&mut self, mut crowd: Crowd, now: u64, step: Step, told: u32) {
        self.tally.turned_away(&crowd, now);
        crowd.throttled = true;
        let told = Duration::from_secs(told.into());
        let answer = (Setback::Status(TOO_MANY_REQUESTS), Some(told));
        self.set_back(crowd, now, step, answer);
    }

    fn unfinished(&self, crowd: &Crowd) -> Answer {
        let instance = &self.instances[usize::from(crowd.tenant)];
        (Setback::Unfinished, Some(instance.pace.retry_after))
    }

    /// A crowd did not get a result; its retry profile says what it does.
    fn set_back(&mut self, mut crowd: Crowd, now: u64, step: Step, answer: Answer) {
        let (setback, retry_after) = answer;
        if setback != Setback::Unfinished {
            crowd.failures += 1;
        }
        let decision = self.cohort(&crowd).retry.decide(Situation {
            protocol: crowd.transport.protocol(),
            step,
            setback,
            failures: crowd.failures,
            retry_after,
            elapsed: Duration::from_micros(now - crowd.first_us),
            chance: self.draw(),
        });
        match decision {
            Decision::Wait(wait) => {
                let question_us = self.delays(&crowd).question;
                let at = now.saturating_add(micros(wait)).saturating_add(question_us);
                self.plan_event(at, crowd);
            }
            Decision::GiveUp => {
                crowd.stage = Stage::Failed;
                self.ended(&crowd, now);
            }
        }
    }

    /// Waits for a crowd's next event, or for the end of its time, if that is sooner.
    fn plan_event(&mut self, at_us: u64, mut crowd: Crowd) {
        let end = self.end_of(&crowd);
        let at_us = if at_us > end {
            crowd.stage = Stage::TimedOut;
            end
        } else {
            at_us
        };
        self.wait(at_us, crowd);
    }

    pub(super) fn wait(&mut self, at_us: u64, crowd: Crowd) {
        let crowd = self.keep(crowd);
        self.order += 1;
        self.next.push(Reverse(Event {
            at_us,
            order: self.order,
            crowd,
        }));
    }

    /// When a crowd's time is over.
    fn end_of(&self, crowd: &Crowd) -> u64 {
        let time = micros(self.plan.scenario().device_timeout);
        crowd.start_us.saturating_add(time)
    }

    fn keep(&mut self, crowd: Crowd) -> u32 {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.crowds.push(None);
            u32::try_from(self.crowds.len() - 1).expect("events are bounded")
        });
        self.crowds[index as usize] = Some(crowd);
        index
    }

    fn take(&mut self, index: u32) -> Option<Crowd> {
        let crowd = self.crowds.get_mut(index as usize)?.take();
        self.vacant.push(index);
        crowd
    }

    /// Gives a crowd's work to the cores; where there are cores without end, it is done at once.
    fn work(&mut self, crowd: Crowd, now: u64, cost_us: f64) {
        let devices = crowd.devices;
        if self.station.is_none() {
            return self.proceed(crowd, now);
        }
        self.tally.worked(now, f64::from(devices) * cost_us);
        let crowd = self.keep(crowd);
        if let Some(station) = &mut self.station {
            station.add(now, crowd, devices, cost_us);
        }
    }

    /// CPU that a whole provisioning costs this machine.
    fn whole_cost_us(&self, crowd: &Crowd) -> f64 {
        let cost = Cost::measured(self.cohort(crowd).attestation, crowd.transport);
        self.around.machine.map_or(0.0, |machine| {
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
        self.around.machine.map_or(0.0, |machine| {
            let part = if machine.runs_server { 1.0 } else { 0.5 };
            QUESTION_US * part * machine.slowness
        })
    }

    /// A random number from 0 up to and without 1.
    pub(super) fn draw(&mut self) -> f64 {
        (self.chance.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn assignment_us(&mut self, crowd: &Crowd) -> u64 {
        self.instances[usize::from(crowd.tenant)].assignment_us(&mut self.chance)
    }

    /// On the clock that the service's windows follow.
    fn second(&self, now: u64) -> i64 {
        let clock = now.saturating_add(micros(self.around.starts_in_minute));
        i64::try_from(clock / SECOND_US).unwrap_or(i64::MAX)
    }

    /// Of the instance that a crowd belongs to.
    fn limiter(&mut self, crowd: &Crowd) -> &mut RateLimiter {
        &mut self.instances[usize::from(crowd.tenant)].limiter
    }

    pub(super) fn cohort(&self, crowd: &Crowd) -> &'plan Cohort {
        &self.plan.scenario().cohorts[usize::from(crowd.cohort)]
    }
}

fn refused(status: u16) -> Answer {
    (Setback::Status(status), None)
}
