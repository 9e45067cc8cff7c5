//! Service level objectives: a share of registrations that must go well, and whether a run is
//! evidence enough to say that it did.
//!
//! ```text
//! met                  the share is at least the objective, at the confidence asked for
//! missed               it is below it, at the same confidence
//! not enough evidence  too few registrations, or a share too close to the objective, to say
//! ```
//!
//! The error budget is the share that may go badly, `1 − objective`. The burn rate says how many
//! times faster than allowed it goes (Google, "The Site Reliability Workbook", chapter 5).

mod burn;
mod evidence;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dimensions::Dimensions;
use crate::exact::Decimal;
use crate::outcome::Outcome;
use crate::record::Record;
use crate::units;
pub use burn::BurnAlert;
pub(crate) use burn::MOST_BYTES as COURSE_BYTES;
use burn::{Budget, Course};

/// One objective of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// Its name.
    pub name: String,
    /// What must come about.
    pub of: Aim,
    /// In which response time, microseconds; in any when `None`.
    pub within_us: Option<u64>,
    /// Index of the cohort whose devices count; all when `None`.
    pub cohort: Option<u16>,
    /// The share that must go well, above 0 and below 1; no finer than reports show shares,
    /// [`MAX_PLACES`].
    pub objective: Decimal,
    /// The time that the error budget is for, seconds.
    pub window_s: u64,
    /// How sure the outcome must be, above 0.5 and below 1.
    pub confidence: f64,
}

/// Most digits after the point of an objective: four of a percentage.
pub const MAX_PLACES: u32 = 6;

/// What must come about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aim {
    /// The assigned hub is in hand.
    #[default]
    Registered,
    /// The twin is read.
    Provisioned,
}

/// What an objective came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SloResult {
    /// Its name.
    pub name: String,
    /// In words, like `99.9 % registered within 2.00 s`.
    pub objective: String,
    /// Whether it was met.
    pub outcome: SloOutcome,
    /// Registrations that went well.
    pub good: u64,
    /// Registrations that ended, and devices that were due and not started; those that the run cut short are
    /// not among them.
    pub total: u64,
    /// The share that went well; absent without registrations.
    pub share: Option<f64>,
    /// Least and greatest share that the run is compatible with, each at `confidence`.
    pub between: (f64, f64),
    /// How sure the outcome is.
    pub confidence: f64,
    /// Registrations that are needed to meet the objective when all of them go well.
    pub least_needed: u64,
    /// Share of the error budget that is left; below zero when more than all was spent.
    pub budget_left: f64,
    /// How many times faster than allowed the budget went over the whole run.
    pub burn_rate: f64,
    /// The time that the budget is for, seconds.
    pub window_s: u64,
    /// How long that budget would last at the run's burn rate, seconds; absent when nothing burnt.
    pub lasts_s: Option<f64>,
    /// Alerts on the burn rate, by pairs of windows scaled to the run.
    pub alerts: Vec<BurnAlert>,
}

/// Whether an objective was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SloOutcome {
    /// It was.
    Met,
    /// It was not.
    Missed,
    /// Nobody can say: the run is no proof either way.
    NotEnoughEvidence,
}

/// An objective while the run goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct SloView {
    /// Its name.
    pub name: String,
    /// In words.
    pub objective: String,
    /// Registrations that went well.
    pub good: u64,
    /// Registrations that ended, and devices that were due and not started.
    pub total: u64,
    /// Share of the error budget that is left.
    pub budget_left: f64,
}

impl Aim {
    /// Both, in the order messages list them.
    pub const ALL: [Self; 2] = [Self::Registered, Self::Provisioned];

    /// The word scenario files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Provisioned => "provisioned",
        }
    }

    fn reached_us(self, record: &Record) -> Option<u64> {
        match self {
            Self::Registered => record.registered_us,
            Self::Provisioned => record.provisioned_us(),
        }
    }
}

impl SloResult {
    /// Why it is no proof, if it is none.
    pub(crate) fn why_unproven(&self) -> Option<String> {
        (self.outcome == SloOutcome::NotEnoughEvidence).then(|| {
            format!(
                "not enough evidence for slo {}: {} devices prove neither that it is met nor that it is missed",
                self.name,
                units::count(self.total)
            )
        })
    }
}

impl SloOutcome {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NotEnoughEvidence => "not enough evidence",
        }
    }
}

/// The fold of one objective.
#[derive(Debug)]
pub(crate) struct SloFold {
    slo: Slo,
    words: String,
    good: u64,
    bad: u64,
    course: Course,
}

impl SloFold {
    /// Nothing counted.
    pub(crate) fn new(slo: Slo, dimensions: &Dimensions) -> Self {
        let mut words = format!("{} {}", slo.objective.percent(), slo.of.name());
        if let Some(within) = slo.within_us {
            words += &format!(" within {}", units::duration(within));
        }
        let cohort = slo
            .cohort
            .and_then(|index| dimensions.cohorts.get(usize::from(index)));
        if let Some(cohort) = cohort {
            words += &format!(" of {cohort}");
        }
        Self {
            slo,
            words,
            good: 0,
            bad: 0,
            course: Course::default(),
        }
    }

    /// Counts one registration, the first or another one of its device; or that it was not started.
    pub(crate) fn add(&mut self, record: &Record) {
        let concerns = self.slo.cohort.is_none_or(|cohort| cohort == record.cohort);
        // What the run's end cut short says nothing about the service.
        if !concerns || record.outcome == Outcome::Cancelled {
            return;
        }
        let reached = self.slo.of.reached_us(record);
        let good = reached.is_some_and(|at| {
            let response = at.saturating_sub(record.intended_start_us);
            self.slo.within_us.is_none_or(|within| response <= within)
        });
        if good {
            self.good += 1;
        } else {
            self.bad += 1;
        }
        self.course.add(record.end_us / 1_000_000, good);
    }

    /// How it stands.
    pub(crate) fn view(&self) -> SloView {
        SloView {
            name: self.slo.name.clone(),
            objective: self.words.clone(),
            good: self.good,
            total: self.good + self.bad,
            budget_left: self.budget().left(),
        }
    }

    /// What it came to.
    pub(crate) fn result(&self) -> SloResult {
        let Slo {
            objective,
            confidence,
            window_s,
            ..
        } = self.slo;
        let between = evidence::bounds(self.good, self.bad, confidence);
        let share = objective.as_f64();
        let outcome = match between {
            (low, _) if low >= share => SloOutcome::Met,
            (_, high) if high < share => SloOutcome::Missed,
            _ => SloOutcome::NotEnoughEvidence,
        };
        let burn_rate = self.budget().burn_rate();
        let total = self.good + self.bad;
        SloResult {
            name: self.slo.name.clone(),
            objective: self.words.clone(),
            outcome,
            good: self.good,
            total,
            share: (total > 0).then(|| number(self.good) / number(total)),
            between,
            confidence,
            least_needed: evidence::least_needed(share, confidence),
            budget_left: self.budget().left(),
            burn_rate,
            window_s,
            lasts_s: (burn_rate > 0.0).then(|| number(window_s) / burn_rate),
            alerts: self.course.alerts(objective),
        }
    }

    fn budget(&self) -> Budget {
        Budget::new(self.good, self.bad, self.slo.objective)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of devices and seconds")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
