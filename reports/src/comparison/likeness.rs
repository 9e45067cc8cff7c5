//! Whether runs are alike enough to be compared, and what else differs.

use std::collections::BTreeSet;

use super::run::Named;
use super::verdict::ComparisonVerdict;
use crate::conclusion;
use crate::summary::Summary;
use crate::units::{count, or_dash, rate};
use crate::verdict::Verdict;

/// Planned rates that differ by no more are one: a part of either.
const SAME_RATE: f64 = 0.01;

/// What a summary says of one thing.
type Words = fn(&Summary) -> String;

/// Why a run can't be compared with the baselines.
pub(super) fn objections(run: &Named, baselines: &[Named]) -> Vec<String> {
    let invalid = baselines.iter().chain([run]).filter_map(|run| {
        let reason = run.summary.invalid_reasons.first();
        (run.summary.verdict == Verdict::Invalid).then(|| {
            let reason = reason.map_or("it says so", |reason| reason);
            format!("{} proves nothing itself: {reason}", run.name)
        })
    });
    let unlike = baselines.iter().flat_map(|baseline| unlike(run, baseline));
    invalid.chain(unlike).collect()
}

fn unlike(run: &Named, baseline: &Named) -> Vec<String> {
    let (a, b) = (&baseline.summary, &run.summary);
    let planned_rates = (a.rates.planned_per_second, b.rates.planned_per_second);
    let same_rate = match planned_rates {
        (Some(a), Some(b)) => (a - b).abs() <= SAME_RATE * a.max(b),
        (a, b) => a.is_none() && b.is_none(),
    };
    let differ = |what: &str, is_one: bool, words: Words| {
        (!is_one).then(|| {
            format!(
                "{what}: {} in {}, {} in {}",
                words(a),
                baseline.name,
                words(b),
                run.name
            )
        })
    };
    let differences = [
        differ("another scenario", a.scenario == b.scenario, |it| {
            it.scenario.clone()
        }),
        differ(
            "another number of devices",
            a.devices.planned == b.devices.planned,
            |it| count(it.devices.planned),
        ),
        differ("another planned rate", same_rate, |it| {
            or_dash(it.rates.planned_per_second, rate)
        }),
        differ(
            "another time scale",
            a.time_scale.total_cmp(&b.time_scale).is_eq(),
            |it| format!("× {}", it.time_scale),
        ),
        differ("another machine", a.machine.is_like(&b.machine), |it| {
            it.machine.to_string()
        }),
    ];
    let parts = |dimension: &'static str| {
        let words = |summary: &Summary| -> BTreeSet<String> {
            let rows = summary.cuts.iter();
            let rows = rows.filter(|row| row.dimension == dimension);
            rows.map(|row| row.name.clone()).collect()
        };
        let (a, b) = (words(a), words(b));
        let other = a.symmetric_difference(&b).next()?;
        Some(format!(
            "other {dimension}s: {} and {} have not both {other}",
            baseline.name, run.name
        ))
    };
    let parts = ["cohort", "transport", "attestation", "region", "tenant"].map(parts);
    differences.into_iter().chain(parts).flatten().collect()
}

/// Why what was found is the machine's: the bundled server of the run that is the worse one starved.
pub(super) fn starved(
    found: ComparisonVerdict,
    run: &Named,
    baselines: &[Named],
) -> Option<String> {
    let worse = match found {
        ComparisonVerdict::Worse => std::slice::from_ref(run),
        ComparisonVerdict::Better => baselines,
        ComparisonVerdict::Same | ComparisonVerdict::Unclear | ComparisonVerdict::NotComparable => {
            &[]
        }
    };
    let mut starved = worse.iter().filter_map(|run| {
        let why = conclusion::starved(&run.summary)?;
        Some(format!(
            "{} may be worse for the machine's sake: {why}",
            run.name
        ))
    });
    starved.next()
}

/// What differs and may be what is compared, or why figures differ.
pub(super) fn remarks(run: &Named, baselines: &[Named]) -> Vec<String> {
    let words: [(&str, Words); 4] = [
        ("kernel or memory", |it| it.machine.to_string()),
        ("target", |it| it.target.clone()),
        ("version of fleetstorm", |it| it.fleetstorm_version.clone()),
        ("seed", |it| it.seed.to_string()),
    ];
    let differences = words.into_iter().filter_map(|(what, words)| {
        let of_run = words(&run.summary);
        let other = baselines
            .iter()
            .map(|baseline| words(&baseline.summary))
            .find(|of_baseline| *of_baseline != of_run)?;
        Some(format!("another {what}: {other} before, {of_run} now"))
    });
    let one = (baselines.len() == 1).then(|| {
        "one baseline does not show what runs differ by anyhow: --baseline adds others".to_owned()
    });
    differences.chain(one).collect()
}
