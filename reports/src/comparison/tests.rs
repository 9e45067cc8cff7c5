use super::*;
use crate::aggregator::fixture;
use crate::record::{Record, sample};
use crate::run::{Ending, RunInfo};
use crate::summary::Summary;
use crate::verdict::exit_code;

const TOLERANCE: f64 = 0.05;

/// A run of so many devices whose response times are spread around two seconds; `slower` says by what part one of a
/// hundred is slower, and `noise` shuffles them.
fn run(name: &str, devices: u32, slower: f64, noise: u64) -> Named {
    let info = RunInfo {
        planned: devices.into(),
        thresholds: Vec::new(),
        slos: Vec::new(),
        ..fixture::info()
    };
    let mut fold = crate::Aggregator::new(info, None).expect("no thresholds");
    for device in 0..devices {
        fold.add(&record(device, slower, noise));
    }
    let ending = Ending {
        released: devices.into(),
        server_counters: None,
        ..fixture::ending()
    };
    Named {
        name: name.into(),
        summary: fold.finish(ending).summary,
    }
}

fn record(device: u32, slower: f64, noise: u64) -> Record {
    let spread = (u64::from(device) * 7_919 + noise * 104_729) % 100_003;
    let us = 2_000_000 + 4 * spread;
    // The slow ones: three of a hundred, so that the 99th percentile is among them.
    let is_slow = spread % 100 < 3;
    let us = if is_slow { 3_000_000 + spread } else { us };
    let us = if is_slow {
        (us as f64 * (1.0 + slower)) as u64
    } else {
        us
    };
    let start = sample();
    Record {
        device,
        registered_us: Some(start.start_us + us - 1_000),
        end_us: start.start_us + us,
        hub: Some(0),
        ..start
    }
}

fn compare(a: &Named, b: Named) -> Candidate {
    let comparison = Comparison::new(std::slice::from_ref(a), &[b], TOLERANCE).expect("runs");
    comparison.candidates.into_iter().next().expect("one")
}

fn found(candidate: &Candidate, outcome: ChangeOutcome) -> Vec<String> {
    let changes = candidate.changes.iter();
    let found = changes.filter(|change| change.outcome == outcome);
    found
        .map(|change| format!("{} {} {}", change.dimension, change.part, change.figure))
        .collect()
}

#[test]
fn equal_runs_are_the_same() {
    let baseline = run("a", 3_000, 0.0, 0);
    for noise in 1..=10 {
        let candidate = compare(&baseline, run("b", 3_000, 0.0, noise));
        assert_eq!(
            candidate.verdict,
            ComparisonVerdict::Same,
            "{:?}",
            found(&candidate, ChangeOutcome::Worse)
        );
    }
}

#[test]
fn a_tenth_slower_99th_percentile_is_found() {
    let baseline = run("a", 3_000, 0.0, 0);
    let candidate = compare(&baseline, run("b", 3_000, 0.1, 1));
    assert_eq!(candidate.verdict, ComparisonVerdict::Worse);
    let worse = found(&candidate, ChangeOutcome::Worse);
    assert!(
        worse.contains(&"run  provisioning.response.p99".to_owned()),
        "{worse:?}"
    );
    assert!(
        worse.iter().all(|figure| figure.ends_with(".p99")),
        "{worse:?}"
    );
    let back = compare(&run("b", 3_000, 0.1, 1), baseline);
    assert_eq!(back.verdict, ComparisonVerdict::Better);
}

#[test]
fn where_there_are_too_few_devices_it_says_so() {
    let baseline = run("a", 100, 0.0, 0);
    let candidate = compare(&baseline, run("b", 100, 0.5, 1));
    let unclear = found(&candidate, ChangeOutcome::Unclear);
    assert!(
        unclear.contains(&"run  provisioning.response.p99".to_owned()),
        "{unclear:?}"
    );
    let needs = candidate
        .changes
        .iter()
        .filter_map(|change| change.needs_samples);
    assert!(needs.max().is_some_and(|needs| needs > 500));
    assert_eq!(
        found(&candidate, ChangeOutcome::Worse),
        Vec::<String>::new()
    );
    let nobody = compare(&run("a", 2, 0.0, 0), run("b", 2, 0.5, 1));
    assert!(found(&nobody, ChangeOutcome::Worse).is_empty());
    assert_eq!(nobody.verdict, ComparisonVerdict::Unclear);
}

#[test]
fn devices_that_fail_are_found_where_none_did() {
    let failing = |failed: u32| {
        let mut run = run("b", 2_000, 0.0, 1);
        run.summary.devices.provisioned -= u64::from(failed);
        run
    };
    let baseline = failing(0);
    let candidate = compare(&baseline, failing(40));
    let worse = found(&candidate, ChangeOutcome::Worse);
    assert!(
        worse.contains(&"run  not-provisioned.ratio".to_owned()),
        "{worse:?}"
    );
    let change = candidate
        .changes
        .iter()
        .find(|it| it.figure == "not-provisioned.ratio");
    assert!(change.is_some_and(|it| it.change.is_none() && it.at_least.is_some()));
}

#[test]
fn where_the_generator_may_have_made_the_difference_nothing_is_found() {
    let (mut a, mut b) = (run("a", 3_000, 0.0, 0), run("b", 3_000, 0.1, 1));
    for run in [&mut a, &mut b] {
        let added = run.summary.generator.added.as_mut().expect("some");
        added.p99_us = 600_000;
    }
    let candidate = compare(&a, b);
    assert_eq!(candidate.verdict, ComparisonVerdict::Unclear);
    let depend = found(&candidate, ChangeOutcome::DependsOnGenerator);
    assert!(
        depend.contains(&"run  provisioning.response.p99".to_owned()),
        "{depend:?}"
    );
    let noisy = compare(&a, a.clone());
    assert_eq!(noisy.verdict, ComparisonVerdict::Same);
}

#[test]
fn what_the_machine_did_to_the_bundled_server_is_no_finding() {
    let starved = |mut run: Named| {
        run.summary.generator.health.server_starved = Some(0.3);
        run
    };
    let (calm, slower) = (|| run("a", 3_000, 0.0, 0), || run("b", 3_000, 0.1, 1));
    let found = compare(&calm(), starved(slower()));
    assert_eq!(found.verdict, ComparisonVerdict::NotComparable);
    assert!(found.not_comparable.concat().contains("starved"));
    let better = compare(&starved(slower()), calm());
    assert_eq!(better.verdict, ComparisonVerdict::NotComparable);
    // Elsewhere it makes no difference.
    let worse = compare(&starved(calm()), slower());
    assert_eq!(worse.verdict, ComparisonVerdict::Worse);
    let same = compare(&calm(), starved(calm()));
    assert_eq!(same.verdict, ComparisonVerdict::Same);
}

#[test]
fn beside_several_baselines_a_run_is_worse_where_it_is_worse_than_each() {
    let named = |slower, noise| run("it", 3_000, slower, noise);
    let verdict = |baselines: &[Named]| {
        let comparison = Comparison::new(baselines, &[named(0.1, 5)], TOLERANCE);
        comparison.expect("runs").verdict
    };
    assert_eq!(
        verdict(&[named(0.0, 1), named(0.0, 2)]),
        ComparisonVerdict::Worse
    );
    assert_ne!(
        verdict(&[named(0.0, 1), named(0.1, 2)]),
        ComparisonVerdict::Worse
    );
}

#[test]
fn runs_that_are_not_alike_are_not_compared() {
    let baseline = run("a", 500, 0.0, 0);
    let other = |change: fn(&mut Summary)| {
        let mut other = run("b", 500, 0.0, 1);
        change(&mut other.summary);
        let candidate = compare(&baseline, other);
        assert_eq!(candidate.verdict, ComparisonVerdict::NotComparable);
        assert_eq!(candidate.verdict.exit_code(), exit_code::INVALID);
        candidate.not_comparable.join("\n")
    };
    assert!(other(|it| it.scenario = "weekly".into()).contains("nightly in a, weekly in b"));
    assert!(other(|it| it.machine.cores = 64).contains("64 cores, Virtual CPU"));
    assert!(other(|it| it.devices.planned = 501).contains("501 in b"));
    assert!(other(|it| it.time_scale = 1.0).contains("time scale"));
    assert!(other(|it| it.rates.planned_per_second = None).contains("planned rate"));
    assert!(other(|it| it.cuts.retain(|cut| cut.dimension != "cohort")).contains("other cohorts"));
    assert!(
        other(|it| it.doubt(["a bad day".to_owned()]))
            .contains("b proves nothing itself: a bad day")
    );
}

#[test]
fn numbers_of_a_damaged_file_end_well() {
    let baseline = run("a", 500, 0.0, 0);
    let mut damaged = run("b", 500, 0.0, 1);
    let devices = &mut damaged.summary.devices;
    (devices.released, devices.dropped, devices.provisioned) = (u64::MAX, u64::MAX, u64::MAX - 7);
    damaged.summary.duration_us = 0;
    for cut in &mut damaged.summary.cuts {
        (cut.released, cut.dropped, cut.provisioned) = (u64::MAX, 1, 3);
    }
    damaged.summary.generator.added = None;
    let candidate = compare(&baseline, damaged.clone());
    let back = compare(&damaged, baseline);
    for candidate in [candidate, back] {
        let changes = candidate.changes.iter();
        let mut unreckoned = changes.filter(|it| it.figure == "not-provisioned.ratio");
        assert!(unreckoned.any(|it| it.at_least.is_none()));
    }
    assert!(!damaged.summary.checks().is_empty());
}

/// `UPDATE_SCHEMA=1` writes the file anew.
#[test]
fn the_schema_in_the_repository_is_that_of_the_comparison() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/comparison.schema.json");
    let schema =
        serde_json::to_string_pretty(&schemars::schema_for!(Comparison)).expect("a schema") + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &schema).expect("a writable schema");
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        stored == schema,
        "comparison.schema.json is out of date: run the tests with UPDATE_SCHEMA=1"
    );
}
