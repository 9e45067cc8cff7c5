//! What a simulation counts on its way.

use std::time::Duration;

use fleetstorm_protocol::attestation::{AttestationKind, TransportKind};
use hdrhistogram::Histogram;

use super::batch::{Batch, BatchState, micros};
use super::cost::{Cost, QUESTION_US};
use super::options::ForecastOptions;
use super::storm::{StormLevel, Storms};
use super::timeline::Timeline;
use crate::limits::LONGEST_SCHEDULE;
use crate::plan::Plan;

/// What becomes of a cohort's devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CohortForecast {
    /// Start.
    pub started: u64,
    /// Read their twin.
    pub provisioned: u64,
    /// Give up or are refused.
    pub failed: u64,
    /// Run out of the scenario's device timeout.
    pub timed_out: u64,
    /// Are not started, because as many as allowed are under way.
    pub dropped: u64,
    /// Of those that started: are turned away with 429 at least once.
    pub throttled: u64,
}

/// What is counted of a region's devices.
#[derive(Debug, Clone)]
pub(super) struct RegionTally {
    pub(super) started: u64,
    pub(super) response_us: Histogram<u64>,
}

impl RegionTally {
    /// From due to provisioned, so many percent of the region's devices.
    pub(super) fn response(&self, percentile: f64) -> Option<Duration> {
        at_percentile(&self.response_us, percentile)
    }
}

/// Everything counted.
#[derive(Debug, Clone)]
pub(super) struct ForecastCounters {
    max_in_flight: u64,
    pub(super) cohorts: Vec<CohortForecast>,
    /// Of devices that go back to DPS, of all cohorts.
    pub(super) again: CohortForecast,
    pub(super) registers: u64,
    pub(super) polls: u64,
    pub(super) turned_away: u64,
    in_flight: u64,
    /// Under way back to DPS; they have places of their own.
    back_in_flight: u64,
    pub(super) peak_in_flight: u64,
    max_held: u64,
    held: u64,
    pub(super) peak_held: u64,
    pub(super) peak_connections: u64,
    by_transport: [u64; TransportKind::ALL.len()],
    /// By index of the region.
    pub(super) regions: Vec<RegionTally>,
    pub(super) last_end_us: u64,
    pub(super) last_start_us: u64,
    pub(super) timeline: Timeline,
    pub(super) storms: Option<Storms>,
    pub(super) response_us: Histogram<u64>,
    pub(super) simulator_us: f64,
    pub(super) server_us: f64,
    slowness: f64,
    attestations: Vec<AttestationKind>,
}

impl ForecastCounters {
    /// Nothing counted; storms only once their level is known.
    pub(super) fn new(plan: &Plan, options: &ForecastOptions, level: Option<StormLevel>) -> Self {
        let scenario = plan.scenario();
        let longest = micros(LONGEST_SCHEDULE.max(scenario.device_timeout)).saturating_mul(2);
        Self {
            max_in_flight: scenario.max_in_flight.into(),
            cohorts: vec![CohortForecast::default(); scenario.cohorts.len()],
            again: CohortForecast::default(),
            registers: 0,
            polls: 0,
            turned_away: 0,
            in_flight: 0,
            back_in_flight: 0,
            peak_in_flight: 0,
            max_held: scenario.max_held.into(),
            held: 0,
            peak_held: 0,
            peak_connections: 0,
            by_transport: [0; TransportKind::ALL.len()],
            regions: (scenario.regions.iter())
                .map(|_| RegionTally {
                    started: 0,
                    response_us: response_histogram(longest, 2),
                })
                .collect(),
            last_end_us: 0,
            last_start_us: 0,
            timeline: Timeline::new(),
            storms: level.map(Storms::new),
            response_us: response_histogram(longest, 3),
            simulator_us: 0.0,
            server_us: 0.0,
            slowness: options.machine.map_or(1.0, |machine| machine.slowness),
            attestations: scenario
                .cohorts
                .iter()
                .map(|cohort| cohort.attestation)
                .collect(),
        }
    }

    /// Devices that have ended or were dropped.
    pub(super) fn ended(&self) -> u64 {
        let ended = |foreseen: &CohortForecast| {
            foreseen.provisioned + foreseen.failed + foreseen.timed_out + foreseen.dropped
        };
        self.cohorts.iter().map(ended).sum()
    }

    /// A batch is due; how many of it start.
    pub(super) fn started(&mut self, batch: &Batch) -> u32 {
        let room = self.max_in_flight - self.in_flight;
        let starting = u32::try_from(room).map_or(batch.devices, |room| room.min(batch.devices));
        self.in_flight += u64::from(starting);
        self.under_way(batch.due_us);
        self.by_transport[batch.transport as usize] += u64::from(starting);
        if let Some(region) = self.region(batch) {
            region.started += u64::from(starting);
        }
        self.last_start_us = self.last_start_us.max(batch.due_us);
        let foreseen = &mut self.cohorts[usize::from(batch.cohort)];
        foreseen.started += u64::from(starting);
        foreseen.dropped += u64::from(batch.devices - starting);
        let window = self.timeline.at(batch.due_us);
        window.due += u64::from(batch.devices);
        window.failed += u64::from(batch.devices - starting);
        self.costs(batch, starting);
        starting
    }

    /// A batch that stayed with its hubs is on its way back to DPS.
    pub(super) fn goes_back(&mut self, batch: &Batch, now: u64) {
        let devices = u64::from(batch.devices);
        self.back_in_flight += devices;
        self.again.started += devices;
        self.timeline.at(now).due += devices;
        self.costs(batch, batch.devices);
        self.under_way(now);
    }

    /// More or fewer are under way.
    fn under_way(&mut self, now: u64) {
        let under_way = self.in_flight + self.back_in_flight;
        self.peak_in_flight = self.peak_in_flight.max(under_way);
        self.peak_connections = self.peak_connections.max(under_way + self.held);
        if let Some(storms) = &mut self.storms {
            storms.under_way(under_way, now);
        }
    }

    fn region(&mut self, batch: &Batch) -> Option<&mut RegionTally> {
        self.regions.get_mut(usize::from(batch.region?))
    }

    /// What a whole provisioning of devices costs both sides.
    fn costs(&mut self, batch: &Batch, devices: u32) {
        let attestation = self.attestations[usize::from(batch.cohort)];
        let cost = Cost::measured(attestation, batch.transport);
        let times = f64::from(devices) * self.slowness;
        self.simulator_us += f64::from(cost.simulator_us) * times;
        self.server_us += f64::from(cost.server_us) * times;
    }

    fn foreseen(&mut self, batch: &Batch) -> &mut CohortForecast {
        if batch.again {
            &mut self.again
        } else {
            &mut self.cohorts[usize::from(batch.cohort)]
        }
    }

    /// A batch is answered 429.
    pub(super) fn turned_away(&mut self, batch: &Batch, now: u64) {
        let devices = u64::from(batch.devices);
        self.turned_away += devices;
        self.timeline.at(now).throttled += devices;
        let question_us = QUESTION_US / 2.0 * f64::from(batch.devices) * self.slowness;
        self.simulator_us += question_us;
        self.server_us += question_us;
        if !batch.throttled {
            self.foreseen(batch).throttled += devices;
        }
    }

    /// The machine spends CPU.
    pub(super) fn worked(&mut self, now: u64, cpu_us: f64) {
        self.timeline.at(now).cpu_us += cpu_us;
    }

    /// A batch ends, as its stage says.
    pub(super) fn ended_at(&mut self, batch: &Batch, now: u64) {
        let devices = u64::from(batch.devices);
        if batch.again {
            self.back_in_flight -= devices;
        } else {
            self.in_flight -= devices;
        }
        self.under_way(now);
        self.last_end_us = self.last_end_us.max(now);
        let foreseen = self.foreseen(batch);
        match batch.stage {
            BatchState::Provisioned => foreseen.provisioned += devices,
            BatchState::TimedOut => foreseen.timed_out += devices,
            BatchState::Failed
            | BatchState::Connect
            | BatchState::Register
            | BatchState::Poll
            | BatchState::Join
            | BatchState::Rejoin
            | BatchState::Held => {
                foreseen.failed += devices;
            }
        }
        let window = self.timeline.at(now);
        if batch.stage == BatchState::Provisioned {
            window.provisioned += devices;
        } else {
            window.failed += devices;
        }
        if batch.stage == BatchState::Provisioned && !batch.again {
            let response_us = now - batch.due_us;
            self.response_us.saturating_record_n(response_us, devices);
            if let Some(region) = self.region(batch) {
                region.response_us.saturating_record_n(response_us, devices);
            }
        }
    }

    /// Devices that are provisioned.
    pub(super) fn provisioned(&self) -> u64 {
        self.cohorts
            .iter()
            .map(|foreseen| foreseen.provisioned)
            .sum()
    }

    /// A batch has its twin and stays with its hubs; how many of it there is room for.
    pub(super) fn stays(&mut self, batch: &Batch) -> u32 {
        let room = self.max_held.saturating_sub(self.held);
        let staying = u32::try_from(room).map_or(batch.devices, |room| room.min(batch.devices));
        self.held += u64::from(staying);
        self.peak_held = self.peak_held.max(self.held);
        let under_way = self.in_flight + self.back_in_flight;
        self.peak_connections = self.peak_connections.max(under_way + self.held);
        staying
    }

    /// A batch that stayed leaves.
    pub(super) fn leaves(&mut self, batch: &Batch) {
        self.held -= u64::from(batch.devices);
    }

    /// Devices that started, by what they speak; what nobody speaks is left out.
    pub(super) fn transports(&self) -> Vec<(TransportKind, u64)> {
        let spoken = TransportKind::ALL.into_iter().zip(self.by_transport);
        spoken.filter(|(_, devices)| *devices > 0).collect()
    }

    /// From when on it is a storm, by what was counted: in calm, devices come as in most of the windows
    /// until the last one is due.
    pub(super) fn storm_level(&self, unhindered: Duration) -> StormLevel {
        let width = self.timeline.width();
        let coming =
            usize::try_from(self.last_start_us / micros(width).max(1)).unwrap_or(usize::MAX);
        let mut due: Vec<u64> = (self.timeline.windows().iter())
            .take(coming)
            .map(|window| window.due)
            .collect();
        due.sort_unstable();
        let middle = due.get(due.len() / 2).copied().unwrap_or(0);
        let calm_rate = middle as f64 / width.as_secs_f64();
        StormLevel::new(calm_rate, unhindered, self.peak_in_flight)
    }

    /// A percentile of the response times of the provisioned.
    pub(super) fn response(&self, percentile: f64) -> Option<Duration> {
        at_percentile(&self.response_us, percentile)
    }
}

/// None of nobody.
fn at_percentile(response_us: &Histogram<u64>, percentile: f64) -> Option<Duration> {
    let value = || Duration::from_micros(response_us.value_at_percentile(percentile));
    (!response_us.is_empty()).then(value)
}

fn response_histogram(longest_us: u64, digits: u8) -> Histogram<u64> {
    Histogram::new_with_max(longest_us, digits)
        .expect("two or three digits up to two years is a histogram")
}
