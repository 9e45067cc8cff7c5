//! What a run will be like, before a packet is sent: the plan's schedule, the devices' retry profiles and
//! the service's rates, played through in virtual time.
//!
//! ```text
//! Plan -> batches (devices in a row, followed as one) -> World: start -> register -> poll … -> twin
//!                                                        | limiter: the rates' windows
//!                                                        | station: this machine's cores, shared
//!                                                        v
//!                                                      ForecastCounters -> Forecast
//! ```
//!
//! A small fleet is followed device by device. A large one is followed in batches of equal size, as large
//! as needed to end within a budget of events; a batch that is not let in whole parts, so that rates are
//! exact at any size.
//!
//! Pure: no clock, no I/O; all chance derives from the plan's seed.

pub mod cost;
pub mod storm;
pub mod timeline;

mod apply;
mod batch;
mod closed_load;
mod counters;
mod distance;
mod instance;
mod options;
mod pending_events;
mod rate_limiter;
mod station;
mod world;

use std::time::Duration;

use fleetstorm_protocol::attestation::{Protocol, TransportKind};

pub use counters::CohortForecast;
pub use options::{Budget, ForecastOptions, Machine};
pub use storm::{Storm, StormLevel, Storms};
pub use timeline::{Timeline, Window};

use crate::cohort::Cohort;
use crate::plan::Plan;
use crate::retry::{Decision, Setback, Situation, Step};
use counters::ForecastCounters;
use distance::Distances;
use instance::Pace;
use world::World;

/// Batches of a look that is followed to its end.
const LAST_LOOK: u64 = 16;

/// What will happen.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// What becomes of each cohort, in the plan's order.
    pub cohorts: Vec<CohortForecast>,
    /// What becomes of devices that go back to DPS, of all cohorts, because of an event.
    pub reprovisions: CohortForecast,
    /// Events whose consequences are not foreseen, by index.
    pub unforeseen: Vec<usize>,
    /// Register requests of devices that have proven themselves.
    pub registers: u64,
    /// Status requests.
    pub polls: u64,
    /// Register and status requests that are answered 429.
    pub turned_away: u64,
    /// Most devices under way at once.
    pub peak_in_flight: u64,
    /// Most devices that stay with their hubs at once.
    pub peak_held: u64,
    /// Most connections at once, of devices under way and of those that stay.
    pub peak_connections: u64,
    /// Devices that start, by what they speak to DPS.
    pub transports: Vec<(TransportKind, u64)>,
    /// What becomes of the devices of each region, in the plan's order.
    pub regions: Vec<RegionForecast>,
    /// When the last device is due.
    pub last_start: Duration,
    /// When the last device has ended.
    pub last_end: Duration,
    /// From due to provisioned: half of the devices that are; none where nobody is.
    pub response_p50: Option<Duration>,
    /// The same: 99 of 100.
    pub response_p99: Option<Duration>,
    /// The same: all of them.
    pub response_max: Option<Duration>,
    /// What a device takes at most while nobody is in its way, 999 of 1,000.
    pub unhindered: Duration,
    /// From when on it is a storm.
    pub storm_level: StormLevel,
    /// How many there are.
    pub storms: usize,
    /// The longest of them.
    pub longest_storm: Option<Storm>,
    /// How it goes over time.
    pub timeline: Timeline,
    /// CPU that the devices cost the simulator.
    pub simulator_cpu: Duration,
    /// CPU that they cost the server.
    pub server_cpu: Duration,
    /// Devices in the largest batch that was followed as one; 1 is device by device.
    pub batch: u64,
}

/// Of a region's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegionForecast {
    /// Start.
    pub started: u64,
    /// Of them, read their twin.
    pub provisioned: u64,
    /// From due to provisioned: half of them; none where none of them is provisioned.
    pub response_p50: Option<Duration>,
    /// The same: 99 of 100.
    pub response_p99: Option<Duration>,
}

impl RegionForecast {
    fn of(tally: &counters::RegionTally) -> Self {
        Self {
            started: tally.started,
            provisioned: tally.response_us.len(),
            response_p50: tally.response(50.0),
            response_p99: tally.response(99.0),
        }
    }
}

/// Plays a plan through.
pub fn forecast(plan: &Plan, options: &ForecastOptions) -> Forecast {
    let mut batches = options.budget.batches.max(1);
    loop {
        // A last look with very few batches has all the events that it takes.
        let events = if batches <= LAST_LOOK {
            u64::MAX
        } else {
            options.budget.events
        };
        match World::new(plan, options, None, batches).run(batches, events) {
            Ok(tally) => return sum_up(plan, options, tally, batches),
            Err(exhausted) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a part of a number of batches"
                )]
                let expected = (batches as f64 * exhausted.done * 0.8) as u64;
                batches = expected.clamp(batches / 64, batches / 2).max(LAST_LOOK);
            }
        }
    }
}

/// What is a storm is known once the most devices under way are: a second look finds them.
fn sum_up(
    plan: &Plan,
    options: &ForecastOptions,
    first: ForecastCounters,
    batches: u64,
) -> Forecast {
    let unhindered = options.unhindered(plan);
    let storm_level = first.storm_level(unhindered);
    let again = World::new(plan, options, Some(storm_level), batches).run(batches, u64::MAX);
    let tally = again.unwrap_or(first);
    let storms = tally.storms.as_ref();
    Forecast {
        reprovisions: tally.again,
        unforeseen: unforeseen(plan),
        registers: tally.registers,
        polls: tally.polls,
        turned_away: tally.turned_away,
        peak_in_flight: tally.peak_in_flight,
        peak_held: tally.peak_held,
        peak_connections: tally.peak_connections,
        transports: tally.transports(),
        regions: tally.regions.iter().map(RegionForecast::of).collect(),
        last_start: Duration::from_micros(tally.last_start_us),
        last_end: Duration::from_micros(tally.last_end_us),
        response_p50: tally.response(50.0),
        response_p99: tally.response(99.0),
        response_max: tally.response(100.0),
        unhindered,
        storm_level,
        storms: storms.map_or(0, |storms| storms.found().len()),
        longest_storm: storms.and_then(Storms::longest),
        simulator_cpu: Duration::from_secs_f64(tally.simulator_us / 1e6),
        server_cpu: Duration::from_secs_f64(tally.server_us / 1e6),
        batch: batch::Arrivals::new(plan, batches).largest(),
        timeline: tally.timeline,
        cohorts: tally.cohorts,
    }
}

fn unforeseen(plan: &Plan) -> Vec<usize> {
    let events = plan.scenario().events.iter().enumerate();
    let unforeseen = events.filter(|(_, event)| event.action.effects().foreseen.is_none());
    unforeseen.map(|(index, _)| index).collect()
}

impl ForecastOptions {
    /// From due to twin while nobody is in the way, 999 of 1,000 devices of the slowest cohort.
    pub fn unhindered(&self, plan: &Plan) -> Duration {
        let distances = Distances::of(plan);
        let cohorts = (0_u16..).zip(&plan.scenario().cohorts);
        cohorts
            .map(|(index, cohort)| {
                let pace = Pace::of(plan, self, cohort.tenant);
                let assignment = pace.longest();
                let waits = match self.between_polls(plan, cohort) {
                    Some(wait) => {
                        let waits = (assignment / wait.as_secs_f64()).ceil().max(1.0);
                        wait.mul_f64(waits.min(1e6))
                    }
                    None => Duration::from_secs_f64(assignment),
                };
                waits + distances.longest(index, cohort)
            })
            .max()
            .unwrap_or_default()
    }

    /// The shortest time between two polls of a device; none where one asks without a pause.
    pub fn shortest_poll_interval(&self, plan: &Plan) -> Option<Duration> {
        let cohorts = plan.scenario().cohorts.iter();
        let intervals = cohorts.map(|cohort| self.between_polls(plan, cohort));
        intervals.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// How long a cohort's devices wait between two polls; none for no time.
    fn between_polls(&self, plan: &Plan, cohort: &Cohort) -> Option<Duration> {
        let protocol = (cohort.transports.first())
            .map_or(Protocol::Http, |(transport, _)| transport.protocol());
        let decision = cohort.retry.decide(Situation {
            protocol,
            step: Step::Poll,
            setback: Setback::Unfinished,
            failures: 0,
            retry_after: Some(Pace::of(plan, self, cohort.tenant).retry_after),
            elapsed: Duration::ZERO,
            chance: 0.5,
        });
        match decision {
            Decision::Wait(wait) if !wait.is_zero() => Some(wait),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
