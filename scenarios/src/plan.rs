//! Who starts when: a scenario with its overrides, expanded on demand.
//!
//! Nothing is stored per device. The device of index `i` in a cohort is the `i`-th to come, so
//! its start follows from the arrival, and its transport from the seed, the cohort's name and
//! `i`. A share of the plan can therefore be computed anywhere, without the other shares.

mod census;
mod merge;
mod mix;
mod pace;
mod proportion;
mod release;

use std::time::Duration;

use fleetstorm_reports::threshold::Cut;

use crate::arrival::{Arrival, ConstantRate, Shape};
use crate::chance::Chance;
use crate::cohort::Cohort;
use crate::limits::{LONGEST_SCHEDULE, TIME_SCALES};
use crate::scenario::Scenario;

pub use merge::Schedule;
pub use release::Release;

/// What the command line changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// Devices in all: cohorts are scaled in proportion.
    pub devices: Option<u64>,
    /// The seed.
    pub seed: Option<u64>,
    /// Releases stop then: devices due at that moment or later are not part of the plan.
    pub duration: Option<Duration>,
    /// So many seconds of the scenario pass in one.
    pub time_scale: Option<f64>,
    /// Every arrival becomes this constant rate, shared by the cohorts in proportion.
    pub rate: Option<f64>,
}

/// What will happen.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    scenario: Scenario,
    time_scale: f64,
}

impl Plan {
    /// Applies `overrides`: the time scale first, then devices, then the rate that they share, then the
    /// duration; those are of the time that really passes.
    ///
    /// # Errors
    /// An override that is out of range or leaves no device, or a last start beyond
    /// [`LONGEST_SCHEDULE`], for people.
    pub fn new(mut scenario: Scenario, overrides: &Overrides) -> Result<Self, String> {
        if let Some(seed) = overrides.seed {
            scenario.seed = seed;
        }
        let time_scale = overrides.time_scale.unwrap_or(scenario.time_scale);
        if !TIME_SCALES.contains(&time_scale) {
            let (least, most) = (TIME_SCALES.start(), TIME_SCALES.end());
            return Err(format!(
                "the time scale must be from {least} to {most}, not {time_scale}"
            ));
        }
        pace::quicken(&mut scenario, time_scale);
        // It has passed into the times.
        scenario.time_scale = 1.0;
        if let Some(devices) = overrides.devices {
            scale_devices(&mut scenario, devices)?;
        }
        if let Some(rate) = overrides.rate {
            share_rate(&mut scenario, rate)?;
        }
        let seed = scenario.seed;
        for cohort in &mut scenario.cohorts {
            let chance = Chance::new(seed, "arrival", &cohort.name);
            cohort.load.deal(cohort.devices, &chance);
        }
        if let Some(duration) = overrides.duration {
            cut(&mut scenario, duration)?;
        }
        let plan = Self {
            scenario,
            time_scale,
        };
        if plan.last_release() > LONGEST_SCHEDULE {
            return Err(
                "the last device would come after more than a year; raise the rate or lower the devices".into(),
            );
        }
        Ok(plan)
    }

    /// The scenario, overrides applied. A cohort that a duration cuts off whole stays, with
    /// no device, so that indices hold.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// How many seconds of the scenario as written pass in one.
    pub fn time_scale(&self) -> f64 {
        self.time_scale
    }

    /// Devices in all.
    pub fn devices(&self) -> u64 {
        self.scenario
            .cohorts
            .iter()
            .map(|cohort| cohort.devices)
            .sum()
    }

    /// Devices of a cut.
    pub fn devices_in(&self, cut: &Cut) -> u64 {
        census::devices_in(&self.scenario, cut)
    }

    /// Intended start of the last device, of those that come at their time.
    pub fn last_release(&self) -> Duration {
        let cohorts = self.scenario.cohorts.iter();
        cohorts
            .filter_map(|cohort| Some(cohort.load.release_at(cohort.devices.checked_sub(1)?)))
            .max()
            .unwrap_or_default()
    }

    /// When the first device comes, and when one more would come after the last; none where a load is closed, so that
    /// nobody can say.
    pub fn arrivals(&self) -> Option<(Duration, Duration)> {
        let cohorts = self.scenario.cohorts.iter();
        let cohorts = cohorts.filter(|cohort| cohort.devices > 0);
        let times = cohorts.map(|cohort| {
            let arrival = cohort.load.open()?;
            Some((arrival.release_at(0), arrival.until(cohort.devices)))
        });
        let times = times.collect::<Option<Vec<_>>>()?;
        let first = times.iter().map(|(first, _)| *first).min()?;
        let until = times.iter().map(|(_, until)| *until).max()?;
        Some((first, until))
    }

    /// Devices due by `elapsed`, of those that come at their time.
    pub fn due(&self, elapsed: Duration) -> u64 {
        self.sum_of_open(|arrival| arrival.due(elapsed))
    }

    /// Devices due before a moment, of those that come at their time.
    pub fn due_before(&self, moment: Duration) -> u64 {
        self.sum_of_open(|arrival| arrival.due_before(moment))
    }

    fn sum_of_open(&self, due: impl Fn(&Arrival) -> u64) -> u64 {
        let cohorts = self.scenario.cohorts.iter();
        cohorts
            .filter_map(|cohort| Some(due(cohort.load.open()?).min(cohort.devices)))
            .sum()
    }

    /// The releases of share `shard` (from 0) of `shards`, in order of intended start. The
    /// shares of all shards together are the plan; each cohort is dealt out round, so that
    /// every shard has its part of every moment. None when `shard` is not below `shards`.
    pub fn schedule(&self, shard: usize, shards: usize) -> Schedule<'_> {
        Schedule::new(&self.scenario, shard, shards, |_| true)
    }

    /// The same of those cohorts alone whose devices come at their time.
    pub fn open_schedule(&self, shard: usize, shards: usize) -> Schedule<'_> {
        let is_open = |cohort: u16| {
            let cohort = self.scenario.cohorts.get(usize::from(cohort));
            cohort.is_some_and(|cohort| cohort.load.open().is_some())
        };
        Schedule::new(&self.scenario, shard, shards, is_open)
    }

    /// The same of one cohort.
    pub fn schedule_of(&self, cohort: u16, shard: usize, shards: usize) -> Schedule<'_> {
        Schedule::new(&self.scenario, shard, shards, |other| other == cohort)
    }

    /// Releases that stand for all others, in order of intended start: of each cohort the middle
    /// one of so many in a row as `one_in` says. The last few of a cohort may have none.
    /// Of the cohorts that are `asked` for.
    pub(crate) fn sample(
        &self,
        one_in: impl Fn(&Cohort) -> u64,
        asked: impl Fn(&Cohort) -> bool,
    ) -> Schedule<'_> {
        Schedule::sample(&self.scenario, one_in, asked)
    }
}

fn scale_devices(scenario: &mut Scenario, total: u64) -> Result<(), String> {
    if total == 0 {
        return Err("no device would be left; ask for at least 1".into());
    }
    let old: Vec<u64> = scenario
        .cohorts
        .iter()
        .map(|cohort| cohort.devices)
        .collect();
    let new = proportion::scale(&old, total);
    for (cohort, devices) in scenario.cohorts.iter_mut().zip(new) {
        if devices > u64::from(u32::MAX) {
            let name = &cohort.name;
            return Err(format!(
                "cohort \"{name}\" would have {devices} devices, the limit is {}",
                u32::MAX
            ));
        }
        cohort.devices = devices;
    }
    Ok(())
}

fn share_rate(scenario: &mut Scenario, rate: f64) -> Result<(), String> {
    if !(rate.is_finite() && rate > 0.0) {
        return Err(format!("the rate must be above zero, not {rate}"));
    }
    let total: u64 = scenario.cohorts.iter().map(|cohort| cohort.devices).sum();
    for cohort in &mut scenario.cohorts {
        // A cohort scaled down to no device has no share, and any rate serves it.
        let share = cohort.devices.max(1) as f64 / total as f64;
        let rate = rate * share;
        cohort.load = Shape::ConstantRate(ConstantRate { rate }).into();
    }
    Ok(())
}

fn cut(scenario: &mut Scenario, duration: Duration) -> Result<(), String> {
    for cohort in &mut scenario.cohorts {
        let Some(arrival) = cohort.load.open() else {
            return Err(format!(
                "nobody can say how many devices of \"{}\", whose arrival is closed, come in a time: ask for --devices instead of --duration",
                cohort.name
            ));
        };
        let due = arrival.due_before(duration);
        cohort.devices = cohort.devices.min(due);
    }
    if scenario.cohorts.iter().all(|cohort| cohort.devices == 0) {
        return Err(format!(
            "no device comes within {duration:?}; lengthen the duration"
        ));
    }
    Ok(())
}
