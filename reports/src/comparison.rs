//! Runs beside a baseline: what changed, whether by more than chance and the generator explain, and what that is worth.
//!
//! ```text
//! worse     the whole interval of the change lies beyond the smallest effect that counts, for the worse
//! better    the same, for the better
//! same      the whole interval lies within it
//! unclear   neither: there are too few devices to tell
//! ```
//!
//! A latency that changed by more than counts, but by no more than the generator itself added, depends on the generator:
//! nobody knows whether the service is worse or better.
//!
//! Intervals of percentiles are those of order statistics (no distribution is assumed), those of shares and rates are
//! exact by counts; two of them make the interval of a change (`interval`). All intervals of one comparison
//! together hold at [`CONFIDENCE`]: half of the error is for the run's own figures, half for those of its phases and
//! parts, in equal shares (Bonferroni). Beside several baselines a run is worse where it is worse than each of them,
//! so that what runs differ by anyhow does not count. Where the bundled server of the worse run starved for a core, the
//! machine may be what is worse, and nothing is found.

pub mod change;
mod figure;
mod interval;
mod likeness;
pub mod run;
pub mod unit;
pub mod verdict;

use schemars::JsonSchema;
use serde::Serialize;

use crate::distribution::Undecodable;
use change::{Change, ChangeOutcome};
use figure::{Figure, figures};
use run::{ComparedRun, Named};
use verdict::ComparisonVerdict;

/// Version of the shape of a comparison in JSON; raised when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;
/// How sure all intervals are together.
pub const CONFIDENCE: f64 = 0.95;

/// Runs beside a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Comparison {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Of all candidates: the least good.
    pub verdict: ComparisonVerdict,
    /// The verdict as the process's exit code.
    pub exit_code: u8,
    /// The smallest effect that counts: a part of the baseline's figure.
    pub tolerance: f64,
    /// How sure all intervals of a candidate are together.
    pub confidence: f64,
    /// What is compared with.
    pub baselines: Vec<ComparedRun>,
    /// What is compared.
    pub candidates: Vec<Candidate>,
}

/// A run beside the baselines.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Candidate {
    /// The run.
    pub run: ComparedRun,
    /// What the comparison came to.
    pub verdict: ComparisonVerdict,
    /// Why it can't be compared, one sentence each; empty when it can.
    pub not_comparable: Vec<String>,
    /// What else differs between the runs, and may be why figures do.
    pub remarks: Vec<String>,
    /// Every figure that all runs have.
    pub changes: Vec<Change>,
}

impl Comparison {
    /// Compares each candidate with the baselines. `tolerance` is the smallest effect that counts.
    ///
    /// # Errors
    /// A run's distributions can't be read: names the run.
    pub fn new(
        baselines: &[Named],
        candidates: &[Named],
        tolerance: f64,
    ) -> Result<Self, NoDistributions> {
        let of_baselines = baselines
            .iter()
            .map(figures_of)
            .collect::<Result<Vec<_>, _>>()?;
        let compared = candidates
            .iter()
            .map(|run| candidate(run, baselines, &of_baselines, tolerance))
            .collect::<Result<Vec<_>, _>>()?;
        let verdicts = compared.iter().map(|candidate| candidate.verdict);
        let verdict = verdicts.max().unwrap_or(ComparisonVerdict::Unclear);
        Ok(Self {
            schema_version: SCHEMA_VERSION,
            verdict,
            exit_code: verdict.exit_code(),
            tolerance,
            confidence: CONFIDENCE,
            baselines: baselines.iter().map(ComparedRun::new).collect(),
            candidates: compared,
        })
    }
}

/// A summary whose distributions are damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: a distribution {Undecodable}")]
pub struct NoDistributions {
    name: String,
}

fn figures_of(run: &Named) -> Result<Vec<Figure>, NoDistributions> {
    figures(&run.summary).map_err(|Undecodable| NoDistributions {
        name: run.name.clone(),
    })
}

fn candidate(
    run: &Named,
    baselines: &[Named],
    of_baselines: &[Vec<Figure>],
    tolerance: f64,
) -> Result<Candidate, NoDistributions> {
    let mut not_comparable = likeness::objections(run, baselines);
    let candidates = figures_of(run)?;
    let pairs: Vec<_> = candidates
        .iter()
        .filter_map(|figure| {
            let same =
                |figures: &'_ Vec<Figure>| figures.iter().position(|it| it.key == figure.key);
            let counterparts = of_baselines
                .iter()
                .map(|figures| Some(&figures[same(figures)?]));
            Some((figure, counterparts.collect::<Option<Vec<_>>>()?))
        })
        .collect();
    let of_run = pairs.iter().filter(|(figure, _)| figure.key.is_of_run());
    let of_run = of_run.count();
    let error_of = |figure: &Figure| {
        let alike = if figure.key.is_of_run() {
            of_run
        } else {
            pairs.len() - of_run
        };
        // Half of what is left of the confidence, on one of two sides.
        (1.0 - CONFIDENCE) / 4.0 / crate::evidence::number(alike as u64)
    };
    let changes: Vec<_> = pairs
        .iter()
        .map(|(figure, counterparts)| {
            Change::new(figure, counterparts, error_of(figure), tolerance)
        })
        .collect();
    let found = found(&changes);
    not_comparable.extend(likeness::starved(found, run, baselines));
    Ok(Candidate {
        verdict: if not_comparable.is_empty() {
            found
        } else {
            ComparisonVerdict::NotComparable
        },
        run: ComparedRun::new(run),
        not_comparable,
        remarks: likeness::remarks(run, baselines),
        changes,
    })
}

fn found(changes: &[Change]) -> ComparisonVerdict {
    let has = |outcome| changes.iter().any(|change| change.outcome == outcome);
    if has(ChangeOutcome::Worse) {
        ComparisonVerdict::Worse
    } else if (changes.iter()).any(Change::leaves_verdict_to_generator) {
        ComparisonVerdict::Unclear
    } else if has(ChangeOutcome::Better) {
        ComparisonVerdict::Better
    } else if changes.iter().any(Change::is_told_to_be_the_same) {
        ComparisonVerdict::Same
    } else {
        ComparisonVerdict::Unclear
    }
}

#[cfg(test)]
mod tests;
