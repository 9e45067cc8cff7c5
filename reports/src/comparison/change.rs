//! One figure beside that of the baselines.

use schemars::JsonSchema;
use serde::Serialize;

use super::figure::{Figure, RUN};
use super::interval::ChangeInterval;
use super::unit::FigureUnit;
use crate::evidence::number;

/// One figure of both.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Change {
    /// `run`, `phase`, or a dimension of the summary's cuts, like `transport`.
    pub dimension: String,
    /// Which of them; empty of the run.
    pub part: String,
    /// Like `provisioning.response.p99`.
    pub figure: String,
    /// What it is measured in.
    pub unit: FigureUnit,
    /// The baseline's; of several the one in the middle.
    pub baseline: f64,
    /// The candidate's.
    pub candidate: f64,
    /// Samples behind it: the fewest of a baseline, and the candidate's.
    pub samples: (u64, u64),
    /// By which part it is more, or less where below zero, than the baseline's; null where that is zero.
    pub change: Option<f64>,
    /// The least change that all runs are compatible with; null where there are too few devices to say.
    pub at_least: Option<f64>,
    /// The greatest one.
    pub at_most: Option<f64>,
    /// Of latencies, what the generator itself added at the same percentile, where it added most. Microseconds.
    pub generator_us: Option<u64>,
    /// Of percentiles of too few samples to say anything, how many it takes.
    pub needs_samples: Option<u64>,
    /// What it comes to.
    pub outcome: ChangeOutcome,
}

/// What a change comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeOutcome {
    /// For the worse, by more than counts.
    Worse,
    /// For the better, by more than counts.
    Better,
    /// By more than counts, and by no more than the generator itself added.
    DependsOnGenerator,
    /// Too few devices to tell.
    Unclear,
    /// Not by more than counts.
    Same,
}

impl Change {
    /// One figure beside its counterparts in the baselines.
    pub(super) fn new(figure: &Figure, baselines: &[&Figure], error: f64, tolerance: f64) -> Self {
        let intervals = baselines
            .iter()
            .map(|baseline| figure.sample.beside(&baseline.sample, error));
        let between = intervals.reduce(ChangeInterval::hull).unwrap_or_default();
        let mut values: Vec<_> = baselines.iter().map(|it| it.sample.value()).collect();
        values.sort_by(f64::total_cmp);
        let baseline = values[(values.len() - 1) / 2];
        let candidate = figure.sample.value();
        let runs = || baselines.iter().copied().chain([figure]);
        let generator_us = runs().filter_map(|it| it.generator_us).max();
        let outcome = if candidate == 0.0 && values.iter().all(|value| *value == 0.0) {
            ChangeOutcome::Same
        } else {
            outcome(figure.unit, between, (baseline, generator_us), tolerance)
        };
        let needs = runs().filter_map(|it| it.sample.needs(error)).max();
        Self {
            dimension: figure.key.dimension.clone(),
            part: figure.key.part.clone(),
            figure: figure.key.figure.clone(),
            unit: figure.unit,
            baseline,
            candidate,
            samples: (
                baselines
                    .iter()
                    .map(|it| it.sample.count())
                    .min()
                    .unwrap_or(0),
                figure.sample.count(),
            ),
            change: (baseline > 0.0).then(|| candidate / baseline - 1.0),
            at_least: between.at_least,
            at_most: between.at_most,
            generator_us,
            needs_samples: needs.filter(|_| outcome == ChangeOutcome::Unclear),
            outcome,
        }
    }

    /// Whether it is a latency of the whole way for which the generator may have made the difference.
    pub(super) fn leaves_verdict_to_generator(&self) -> bool {
        self.outcome == ChangeOutcome::DependsOnGenerator && self.dimension == RUN
    }

    /// Whether it is a latency of the whole way that did not change: that nothing of a kind came is
    /// told of few devices as well.
    pub(super) fn is_told_to_be_the_same(&self) -> bool {
        let is_latency = self.unit == FigureUnit::Microseconds;
        self.outcome == ChangeOutcome::Same && is_latency && self.dimension == RUN
    }
}

fn outcome(
    unit: FigureUnit,
    between: ChangeInterval,
    (baseline, generator_us): (f64, Option<u64>),
    tolerance: f64,
) -> ChangeOutcome {
    let least = between.at_least.unwrap_or(f64::NEG_INFINITY);
    let most = between.at_most.unwrap_or(f64::INFINITY);
    let (more, less) = match unit {
        FigureUnit::Microseconds | FigureUnit::Share => {
            (ChangeOutcome::Worse, ChangeOutcome::Better)
        }
        FigureUnit::PerSecond => (ChangeOutcome::Better, ChangeOutcome::Worse),
    };
    let (surely, outcome) = if least > tolerance {
        (least, more)
    } else if most < -tolerance {
        (most, less)
    } else if least >= -tolerance && most <= tolerance {
        return ChangeOutcome::Same;
    } else {
        return ChangeOutcome::Unclear;
    };
    let added = generator_us.map(number);
    if added.is_some_and(|added| surely.abs() * baseline <= added) {
        return ChangeOutcome::DependsOnGenerator;
    }
    outcome
}
