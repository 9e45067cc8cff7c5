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

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dimensions::Dimensions;
use crate::evidence;
use crate::exact::Decimal;
use crate::outcome::Outcome;
use crate::readings::{GeneratorShare, Judgement, Reading, Readings};
use crate::record::Record;
use crate::units;
pub use burn::BurnAlert;
pub(crate) use burn::MOST_BYTES as BURN_BYTES;
use burn::{Budget, BurnTimeline};

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
    /// The same without what the generator itself added.
    pub without_generator: SloWithoutGenerator,
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

/// An objective without what the generator itself added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SloWithoutGenerator {
    /// Registrations that went well.
    pub good: u64,
    /// Registrations, but for those that the generator kept from their end.
    pub total: u64,
    /// What the generator had to do with them.
    #[serde(flatten)]
    pub share: GeneratorShare,
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
    /// What the generator itself added decides: the run is no proof about the service.
    DependsOnGenerator,
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

impl Slo {
    /// Whether a registration went well.
    fn is_good(&self, record: &Record) -> bool {
        self.of.reached_us(record).is_some_and(|at| {
            let response = at.saturating_sub(record.intended_start_us);
            self.within_us.is_none_or(|within| response <= within)
        })
    }
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
        match self.outcome {
            SloOutcome::Met | SloOutcome::Missed => None,
            SloOutcome::NotEnoughEvidence => Some(format!(
                "not enough evidence for slo {}: {} devices prove neither that it is met nor that it is missed",
                self.name,
                units::count(self.total)
            )),
            SloOutcome::DependsOnGenerator => {
                let without = &self.without_generator;
                Some(format!(
                    "slo {} depends on the generator: {} of {} went well as measured, {} of {} without what it added itself ({})",
                    self.name,
                    units::count(self.good),
                    units::count(self.total),
                    units::count(without.good),
                    units::count(without.total),
                    without.share.in_words()
                ))
            }
        }
    }
}

impl SloOutcome {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NotEnoughEvidence => "not enough evidence",
            Self::DependsOnGenerator => "depends on the generator",
        }
    }
}

/// The fold of one objective.
#[derive(Debug)]
pub(crate) struct SloFold {
    slo: Slo,
    words: String,
    counts: Readings<Counts>,
    left_out: u64,
    added_us: u128,
    timeline: BurnTimeline,
}

/// Registrations, in one reading.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    good: u64,
    bad: u64,
}

impl Counts {
    fn total(self) -> u64 {
        self.good + self.bad
    }

    fn add(&mut self, good: bool) {
        if good {
            self.good += 1;
        } else {
            self.bad += 1;
        }
    }
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
            counts: Readings::default(),
            left_out: 0,
            added_us: 0,
            timeline: BurnTimeline::default(),
        }
    }

    /// Counts one registration, the first or another one of its device; or that it was not started.
    /// `without_generator` is the same without what the generator added, if that says anything.
    pub(crate) fn add(&mut self, record: &Record, without_generator: Option<&Record>) {
        let concerns = self.slo.cohort.is_none_or(|cohort| cohort == record.cohort);
        // What the run's end cut short says nothing about the service.
        if !concerns || record.outcome == Outcome::Cancelled {
            return;
        }
        let good = self.slo.is_good(record);
        self.counts.measured.add(good);
        self.timeline.add(record.end_us / 1_000_000, good);
        match without_generator {
            Some(without) => {
                let good = self.slo.is_good(without);
                self.counts.without_generator.add(good);
                self.added_us += u128::from(record.added_us);
            }
            None => self.left_out += 1,
        }
    }

    /// How it stands.
    pub(crate) fn view(&self) -> SloView {
        SloView {
            name: self.slo.name.clone(),
            objective: self.words.clone(),
            good: self.counts.measured.good,
            total: self.counts.measured.total(),
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
        let share = objective.as_f64();
        let bounds = |counts: Counts| evidence::bounds(counts.good, counts.bad, confidence);
        let readings = self.counts.map(|counts| match bounds(counts) {
            (low, _) if low >= share => Reading::Holds,
            (_, high) if high < share => Reading::Fails,
            _ => Reading::TooLittle,
        });
        let outcome = match readings.settle() {
            Judgement::Holds => SloOutcome::Met,
            Judgement::Fails => SloOutcome::Missed,
            Judgement::TooLittle => SloOutcome::NotEnoughEvidence,
            Judgement::DependsOnGenerator => SloOutcome::DependsOnGenerator,
        };
        let Readings {
            measured,
            without_generator,
        } = self.counts;
        let others = u128::from(without_generator.total());
        let added_mean_us = self.added_us.checked_div(others).unwrap_or(0);
        let burn_rate = self.budget().burn_rate();
        let total = measured.total();
        SloResult {
            name: self.slo.name.clone(),
            objective: self.words.clone(),
            outcome,
            good: measured.good,
            total,
            without_generator: SloWithoutGenerator {
                good: without_generator.good,
                total: without_generator.total(),
                share: GeneratorShare {
                    left_out: self.left_out,
                    added_mean_us: u64::try_from(added_mean_us).unwrap_or(u64::MAX),
                },
            },
            share: (total > 0).then(|| evidence::number(measured.good) / evidence::number(total)),
            between: bounds(measured),
            confidence,
            least_needed: evidence::least_needed(share, confidence),
            budget_left: self.budget().left(),
            burn_rate,
            window_s,
            lasts_s: (burn_rate > 0.0).then(|| evidence::number(window_s) / burn_rate),
            alerts: self.timeline.alerts(objective),
        }
    }

    fn budget(&self) -> Budget {
        let Counts { good, bad } = self.counts.measured;
        Budget::new(good, bad, self.slo.objective)
    }
}

#[cfg(test)]
mod tests;
