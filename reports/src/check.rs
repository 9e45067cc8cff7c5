//! What a run was to be, beside what it was, one by one: what tools that show tests are told.
//!
//! Of every run there is at least one check that failed or proves nothing where its verdict is not PASS, and none
//! where it is.

use crate::counters::CounterRow;
use crate::exact::Rounding;
use crate::oracle::{Oracle, OracleRow};
use crate::slo::{SloOutcome, SloResult};
use crate::summary::Summary;
use crate::threshold::result::{ThresholdOutcome, ThresholdResult};
use crate::units::{count, counted, duration, good_share, or_dash, percentage_of};

/// One thing that had to be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What kind of check.
    pub kind: CheckKind,
    /// What is checked, like `registration.response.p99 < 5s`; once within its kind.
    pub name: String,
    /// What was wanted.
    pub wanted: String,
    /// What was measured instead, or as well.
    pub measured: String,
    /// What came of it.
    pub outcome: CheckOutcome,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckKind {
    /// The run itself: the generator kept up, and the planned load was offered.
    Run,
    /// A threshold of the scenario.
    Threshold,
    /// A service level objective of the scenario.
    Slo,
    /// What had to become of a cohort's devices.
    Oracle,
    /// The server's own counters.
    Server,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// It is as it must be.
    Passed,
    /// It is not.
    Failed,
    /// Nobody can say.
    Unproven,
}

impl CheckKind {
    /// The word outputs use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Threshold => "threshold",
            Self::Slo => "slo",
            Self::Oracle => "oracle",
            Self::Server => "server",
        }
    }
}

impl Summary {
    /// Everything that had to be so: never nothing.
    pub fn checks(&self) -> Vec<Check> {
        let oracle = self.oracle.iter().flat_map(of_oracle);
        let counters = self.server_counters.as_ref();
        [validity(self), provisioned(self)]
            .into_iter()
            .chain(self.thresholds.iter().map(of_threshold))
            .chain(self.slos.iter().map(of_slo))
            .chain(oracle)
            .chain(counters.map(|counters| of_counters(&counters.rows, counters.agree)))
            .collect()
    }
}

/// Whether the figures prove anything, but for what thresholds and objectives say of themselves.
fn validity(summary: &Summary) -> Check {
    let thresholds = summary.thresholds.iter();
    let thresholds = thresholds.filter_map(ThresholdResult::why_unproven);
    let objectives = summary.slos.iter().filter_map(SloResult::why_unproven);
    let told_elsewhere: Vec<_> = thresholds.chain(objectives).collect();
    let reasons = summary.invalid_reasons.iter();
    let reasons: Vec<_> = reasons
        .filter(|reason| !told_elsewhere.contains(reason))
        .cloned()
        .collect();
    let (added, generator) = (summary.generator.added, &summary.generator);
    let figures = format!(
        "the generator added {} to half of the devices and {} to one of a hundred; {} and {}",
        or_dash(added.map(|it| it.p50_us), duration),
        or_dash(added.map(|it| it.p99_us), duration),
        counted(generator.late_starts, "late start"),
        counted(generator.kept_from_end, "device") + " kept from their end",
    );
    Check {
        kind: CheckKind::Run,
        name: "generator".into(),
        wanted: "the generator keeps up, and the planned load is offered".into(),
        outcome: passed_if(reasons.is_empty(), CheckOutcome::Unproven),
        measured: if reasons.is_empty() {
            figures
        } else {
            reasons.join("\n")
        },
    }
}

fn provisioned(summary: &Summary) -> Check {
    let devices = summary.devices;
    let kept = summary.generator.kept_from_end;
    let is_generators = kept > 0 && kept >= devices.failed.saturating_add(devices.dropped);
    let bad = if is_generators {
        CheckOutcome::Unproven
    } else {
        CheckOutcome::Failed
    };
    Check {
        kind: CheckKind::Run,
        name: "provisioned".into(),
        wanted: "devices are provisioned".into(),
        measured: format!(
            "{} of {} that were released",
            count(devices.provisioned),
            counted(devices.released, "device")
        ),
        outcome: passed_if(devices.provisioned > 0, bad),
    }
}

fn of_threshold(threshold: &ThresholdResult) -> Check {
    let mut measured = threshold.observed.clone();
    if let Some(why) = threshold.why_unproven() {
        measured += &format!("; {why}");
    }
    if let Some(at_us) = threshold.stopped_the_run_us {
        measured += &format!("; it stopped the run at {}", duration(at_us));
    }
    Check {
        kind: CheckKind::Threshold,
        name: threshold.expression.clone(),
        wanted: threshold.expression.clone(),
        measured,
        outcome: match threshold.outcome {
            ThresholdOutcome::Held => CheckOutcome::Passed,
            ThresholdOutcome::Crossed => CheckOutcome::Failed,
            ThresholdOutcome::NotEnoughSamples | ThresholdOutcome::DependsOnGenerator => {
                CheckOutcome::Unproven
            }
        },
    }
}

fn of_slo(slo: &SloResult) -> Check {
    let share = match slo.total {
        0 => String::new(),
        total => format!(" ({})", good_share(slo.good, total)),
    };
    let budget = percentage_of(slo.budget_left, 4, Rounding::Down);
    let mut measured = format!(
        "{} of {}{share}; error budget left {budget}",
        count(slo.good),
        counted(slo.total, "registration")
    );
    if let Some(why) = slo.why_unproven() {
        measured += &format!("; {why}");
    }
    Check {
        kind: CheckKind::Slo,
        name: slo.name.clone(),
        wanted: slo.objective.clone(),
        measured,
        outcome: match slo.outcome {
            SloOutcome::Met => CheckOutcome::Passed,
            SloOutcome::Missed => CheckOutcome::Failed,
            SloOutcome::NotEnoughEvidence | SloOutcome::DependsOnGenerator => {
                CheckOutcome::Unproven
            }
        },
    }
}

fn of_oracle(oracle: &Oracle) -> Vec<Check> {
    let check = |name: &str, wanted: &str, measured, holds| Check {
        kind: CheckKind::Oracle,
        name: name.into(),
        wanted: wanted.into(),
        measured,
        outcome: passed_if(holds, CheckOutcome::Failed),
    };
    let mut contradictions = counted(oracle.contradictions, "contradiction");
    for example in &oracle.examples {
        contradictions += &format!(
            "\n{} at {}: {}; intended was: {}",
            example.device,
            duration(example.at_us),
            example.came,
            example.intended
        );
    }
    let contradictions = check(
        "every cohort",
        "no device becomes what contradicts the scenario",
        contradictions,
        oracle.contradictions == 0,
    );
    let unrecorded = check(
        "every device",
        "every device that is released is heard of again",
        counted(oracle.unrecorded, "device") + " never heard of again",
        oracle.unrecorded == 0,
    );
    let cohorts = oracle.cohorts.iter().map(|row| {
        let name = format!("cohort {}", row.cohort);
        check(&name, &row.intended, told(row), row.contradictions == 0)
    });
    cohorts.chain([contradictions, unrecorded]).collect()
}

fn told(row: &OracleRow) -> String {
    format!(
        "{} as intended, {} fell short, {} either way, {}, {} not started",
        count(row.as_intended),
        count(row.fell_short),
        count(row.either_way),
        counted(row.contradictions, "contradiction"),
        count(row.not_started),
    )
}

fn of_counters(rows: &[CounterRow], agree: bool) -> Check {
    let differ: Vec<_> = rows
        .iter()
        .filter(|row| !row.agrees)
        .map(|row| {
            format!(
                "{}: the server counted {}, the devices {}",
                row.name,
                count(row.server),
                count(row.simulator)
            )
        })
        .collect();
    Check {
        kind: CheckKind::Server,
        name: "counters".into(),
        wanted: "the server's own counters equal the devices'".into(),
        measured: if agree {
            format!("{} equal", counted(rows.len() as u64, "counter"))
        } else {
            differ.join("\n")
        },
        outcome: passed_if(agree, CheckOutcome::Failed),
    }
}

fn passed_if(holds: bool, otherwise: CheckOutcome) -> CheckOutcome {
    if holds {
        CheckOutcome::Passed
    } else {
        otherwise
    }
}

#[cfg(test)]
mod tests;
