use super::*;
use crate::exact::Rounding;
use crate::record::sample;

fn slo(objective: &str) -> Slo {
    Slo {
        name: "registrations".into(),
        of: Aim::Registered,
        within_us: None,
        cohort: None,
        objective: Decimal::parse(objective).expect("a share"),
        window_s: 2_592_000,
        confidence: 0.95,
    }
}

/// `bad` of `all` devices, one a millisecond, are turned away.
fn result(slo: Slo, all: u64, bad: u64) -> SloResult {
    let mut fold = SloFold::new(slo, &Dimensions::default());
    for index in 0..all {
        let mut record = sample();
        record.end_us = index * 1_000;
        if index < bad {
            record.registered_us = None;
            record.outcome = Outcome::Disabled;
        }
        fold.add(&record, Some(&record));
    }
    fold.result()
}

#[test]
fn three_nines_are_neither_met_nor_missed_on_too_few_registrations() {
    let rows = [
        (0, 0, SloOutcome::NotEnoughEvidence),
        (1_000, 0, SloOutcome::NotEnoughEvidence),
        (2_994, 0, SloOutcome::NotEnoughEvidence),
        (2_995, 0, SloOutcome::Met),
        (10_000, 2, SloOutcome::Met),
        (10_000, 9, SloOutcome::NotEnoughEvidence),
        (10_000, 30, SloOutcome::Missed),
        (10, 1, SloOutcome::Missed),
        (1, 1, SloOutcome::Missed),
    ];
    for (all, bad, expected) in rows {
        let found = result(slo("0.999"), all, bad);
        assert_eq!(found.outcome, expected, "{bad} of {all}: {found:?}");
    }
}

#[test]
fn the_budget_is_what_may_go_badly() {
    let found = result(slo("0.99"), 1_000, 5);
    assert!((found.budget_left - 0.5).abs() < 1e-9);
    assert!((found.burn_rate - 0.5).abs() < 1e-9);
    assert!(found.lasts_s.is_some_and(|s| (s - 5_184_000.0).abs() < 1.0));
    assert_eq!(result(slo("0.99"), 10, 0).lasts_s, None);
}

#[test]
fn late_is_bad_and_cut_short_is_neither() {
    let hurried = Slo {
        within_us: Some(2_999),
        ..slo("0.9")
    };
    // The sample is registered 3 ms after its intended start.
    assert_eq!(result(hurried, 10, 0).good, 0);
    let patient = Slo {
        within_us: Some(3_000),
        ..slo("0.9")
    };
    let mut fold = SloFold::new(patient, &Dimensions::default());
    fold.add(&sample(), Some(&sample()));
    let mut cancelled = sample();
    cancelled.outcome = Outcome::Cancelled;
    fold.add(&cancelled, Some(&cancelled));
    let found = fold.result();
    assert_eq!((found.good, found.total), (1, 1));
    assert_eq!(found.objective, "90 % registered within 3.00 ms");
}

#[test]
fn another_cohorts_devices_do_not_count() {
    let other = Slo {
        cohort: Some(1),
        ..slo("0.9")
    };
    assert_eq!(result(other, 10, 3).total, 0);
}

#[test]
fn what_is_shown_of_a_budget_is_what_was_counted() {
    for (objective, all, bad, left, burn) in [
        ("0.999", 1_000, 1, "0 %", "1.00"),
        ("0.999", 1_001, 1, "0.0999 %", "0.9991"),
        ("0.999", 999, 1, "-0.1002 %", "1.01"),
        ("0.43", 100, 43, "24.5614 %", "0.76"),
        ("0.43", 100, 57, "0 %", "1.00"),
        ("0.9", 0, 0, "100 %", "0.00"),
    ] {
        let found = result(slo(objective), all, bad);
        let shown = units::percentage_of(found.budget_left, 4, Rounding::Down);
        assert_eq!(shown, left, "{bad} of {all}");
        let shown = units::factor(found.burn_rate, 1.0, 2);
        assert_eq!(shown, burn, "{bad} of {all}");
    }
}
