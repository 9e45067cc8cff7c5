//! What the generator itself added to what it measured, and how well it was.
//!
//! Every latency is the service's, the network's and the generator's together. The generator measures its
//! own part, device by device ([`Record::added_us`](crate::Record::added_us)) and core by core
//! ([`LoopLag`]), so that a verdict can be said with and without it (see [`crate::validity`]).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::histogram::{LatencyHistogram, Precision};
use crate::latency::Percentiles;
use crate::record::Record;

/// A stall is told from this length on, microseconds.
pub const STALL_US: u64 = 100_000;
/// Most stalls that are told one by one: the longest.
const MAX_STALLS: usize = 32;
/// What the generator added to a device distorts it from here on, microseconds …
const DISTORTED_US: u64 = 500_000;
/// … where it is more than one part in so many of the device's response time.
const DISTORTED_PART: u64 = 5;
/// A device that starts so much later than planned was not offered when it should have been, microseconds.
const LATE_US: u64 = 1_000_000;

/// A stretch in which a core's event loop did not go round. Microseconds since the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stall {
    /// When a tick of the loop was due.
    pub from_us: u64,
    /// When it came.
    pub to_us: u64,
}

impl Stall {
    /// How late it was.
    pub fn us(self) -> u64 {
        self.to_us.saturating_sub(self.from_us)
    }
}

/// The lag of one event loop: how late its ticks were.
#[derive(Debug)]
pub struct LoopLag {
    lags: LatencyHistogram,
    recent_us: u64,
    stalls: Vec<Stall>,
}

impl Default for LoopLag {
    fn default() -> Self {
        Self {
            lags: LatencyHistogram::new(Precision::Coarse),
            recent_us: 0,
            stalls: Vec::new(),
        }
    }
}

impl LoopLag {
    /// Counts a tick, which may have come late.
    pub fn add(&mut self, tick: Stall) {
        self.lags.record(tick.us());
        self.recent_us = self.recent_us.max(tick.us());
        self.stalled(tick);
    }

    /// The longest since this was asked last, microseconds.
    pub fn recent_us(&mut self) -> u64 {
        std::mem::take(&mut self.recent_us)
    }

    /// Adds another loop's.
    pub fn merge(&mut self, other: &Self) {
        self.lags.add(&other.lags);
        other.stalls.iter().for_each(|stall| self.stalled(*stall));
    }

    /// How late ticks were.
    pub fn percentiles(&self) -> Option<Percentiles> {
        self.lags.percentiles()
    }

    /// The longest stalls, in their order; what overlaps, on whatever loops, is one.
    pub fn stalls(&self) -> Vec<Stall> {
        let mut stalls = self.stalls.clone();
        stalls.sort_by_key(|stall| stall.from_us);
        stalls.dedup_by(|next, stall| {
            let overlaps = next.from_us <= stall.to_us;
            if overlaps {
                stall.to_us = stall.to_us.max(next.to_us);
            }
            overlaps
        });
        stalls
    }

    fn stalled(&mut self, stall: Stall) {
        if stall.us() < STALL_US {
            return;
        }
        if self.stalls.len() == MAX_STALLS {
            let shortest = (0..MAX_STALLS).min_by_key(|at| self.stalls[*at].us());
            let Some(shortest) = shortest.filter(|at| self.stalls[*at].us() < stall.us()) else {
                return;
            };
            self.stalls.swap_remove(shortest);
        }
        self.stalls.push(stall);
    }
}

/// A jump of the wall clock, by which tokens expire, against the clock that latencies are measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockJump {
    /// When it was noticed, microseconds since the start of the run.
    pub at_us: u64,
    /// By how much, microseconds; below zero when it was set back.
    pub by_us: i64,
}

/// How the generator and its machine were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorHealth {
    /// How late ticks of the cores' event loops were, every 5 ms on every core.
    pub loop_lag: Option<Percentiles>,
    /// The longest stalls of 100 ms and more, in their order; at most 32.
    pub stalls: Vec<Stall>,
    /// The latest that the observer's own tick came, every 250 ms, microseconds.
    pub observer_late_us: u64,
    /// How often the simulator itself was out of files, ports or memory when a device connected.
    pub out_of_resources: u64,
    /// Jumps of the wall clock, the first 32.
    pub clock_jumps: Vec<ClockJump>,
    /// Share of the run in which somebody on this machine waited for a core (`/proc/pressure/cpu`); absent
    /// where the kernel does not say.
    pub cpu_pressure: Option<f64>,
    /// Share of the machine's time that its host gave to others (steal); absent where the kernel does not
    /// say.
    pub stolen: Option<f64>,
    /// Of the time in which the simulator had work, the share in which it waited for a core; absent where the
    /// kernel does not say.
    pub simulator_waited: Option<f64>,
    /// Of the time in which the bundled server had work, the share in which it waited for a core; absent for
    /// another target, or where the kernel does not say.
    pub server_waited: Option<f64>,
    /// Of the looks, four a second, that found the bundled server with work, the share that found it starved: since
    /// the look before, it had waited for a core for half of the time or more. Absent as above.
    pub server_starved: Option<f64>,
}

/// What the generator added, and how it was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// What it added to devices until they were provisioned, or failed: a part of every latency.
    pub added: Option<Percentiles>,
    /// Devices to which it added more than half a second and more than a fifth of their response time.
    pub distorted: u64,
    /// Devices that started more than a second later than planned.
    pub late_starts: u64,
    /// Devices that it kept from their end itself: it did not start them, had no file or port for them, or took a
    /// tenth of their patience or more.
    pub kept_from_end: u64,
    /// How it was.
    #[serde(flatten)]
    pub health: GeneratorHealth,
}

/// Counts the devices to which the generator added too much.
#[derive(Debug, Default)]
pub(crate) struct GeneratorFold {
    distorted: u64,
    late_starts: u64,
    kept_from_end: u64,
}

impl GeneratorFold {
    /// Counts one device, which it may have kept from its end itself.
    pub(crate) fn add(&mut self, record: &Record, is_kept_from_end: bool) {
        self.kept_from_end += u64::from(is_kept_from_end);
        if !record.outcome.is_started() {
            return;
        }
        let added_us = u64::from(record.added_us);
        let response_us = record.end_us.saturating_sub(record.intended_start_us);
        let is_distorted = added_us > DISTORTED_US && added_us * DISTORTED_PART > response_us;
        self.distorted += u64::from(is_distorted);
        let late_us = record.start_us.saturating_sub(record.intended_start_us);
        self.late_starts += u64::from(late_us > LATE_US);
    }

    /// So far; `added` is the distribution of what was added.
    pub(crate) fn generator(
        &self,
        added: Option<Percentiles>,
        health: GeneratorHealth,
    ) -> Generator {
        Generator {
            added,
            distorted: self.distorted,
            late_starts: self.late_starts,
            kept_from_end: self.kept_from_end,
            health,
        }
    }
}
