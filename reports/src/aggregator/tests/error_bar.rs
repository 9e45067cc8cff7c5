//! The error bar of the verdict, from records to what a run comes to.

use std::time::Duration;

use super::*;
use crate::exact::Decimal;
use crate::outcome::Fault;
use crate::phase::Phase;
use crate::record::NOT_REACHED;
use crate::slo::Slo;
use crate::threshold::expression::Written;

/// 40 devices over 20 s, registered after `response_us`, of which the generator added `added_us`; one in two
/// of cohort 0.
fn held_up(response_us: u64, added_us: u32) -> Vec<Record> {
    (0..40_u64)
        .map(|index| {
            let due_us = index * 500_000;
            Record {
                intended_start_us: due_us,
                start_us: due_us,
                registered_us: Some(due_us + response_us),
                end_us: due_us + response_us + 10_000,
                added_to_registration_us: added_us,
                added_us,
                cohort: u16::from(index % 2 == 1),
                phases_us: [NOT_REACHED; Phase::ALL.len()],
                ..sample()
            }
        })
        .collect()
}

/// What a run of these devices comes to, judged by one threshold or objective.
fn run_of(records: &[Record], thresholds: Vec<Written>, slos: Vec<Slo>) -> Summary {
    let info = RunInfo {
        planned: records.len() as u64,
        max_dropped: Decimal::parse("0.01").expect("a share"),
        thresholds,
        slos,
        ..info()
    };
    let mut fold = Aggregator::new(info, None).expect("thresholds that can be read");
    for record in records {
        fold.add(record);
    }
    let ending = Ending {
        elapsed_us: 40_000_000,
        released: records.len() as u64,
        ..ending()
    };
    fold.finish(ending).summary
}

#[test]
fn a_threshold_is_the_services_only_if_it_is_so_without_the_generator() {
    let written = |name: &str, condition: &str, terms: Terms| {
        vec![Written {
            name: name.into(),
            condition: condition.into(),
            terms,
            planned: 40,
        }]
    };
    let whole = Terms::default();
    let window = Terms {
        window: Some(Duration::from_secs(5)),
        ..whole
    };
    let between = Terms {
        between: Some((Duration::from_secs(5), Duration::from_secs(15))),
        ..whole
    };
    let cut = "registration.response.p99{cohort:gateways}";
    for terms in [whole, window, between] {
        for name in ["registration.response.p99", cut, "provisioning.service.max"] {
            for (response_us, added_us, outcome, verdict) in [
                (500_000, 90_000, ThresholdOutcome::Held, Verdict::Pass),
                // Nine tenths of a second too long, and a tenth of that the generator's.
                (1_900_000, 90_000, ThresholdOutcome::Crossed, Verdict::Fail),
                (
                    1_050_000,
                    90_000,
                    ThresholdOutcome::DependsOnGenerator,
                    Verdict::Invalid,
                ),
            ] {
                let records = held_up(response_us, added_us);
                let summary = run_of(&records, written(name, "< 1s", terms), Vec::new());
                let result = &summary.thresholds[0];
                assert_eq!(result.outcome, outcome, "{name} {terms:?}: {result:?}");
                assert_eq!(summary.verdict, verdict, "{:?}", summary.invalid_reasons);
            }
        }
        // What must be slow and is so by the generator alone is no proof either.
        let records = held_up(1_050_000, 90_000);
        let slow = written("registration.response.p50", "> 1s", terms);
        let summary = run_of(&records, slow, Vec::new());
        assert_eq!(summary.verdict, Verdict::Invalid);
    }
    let records = held_up(1_050_000, 90_000);
    let summary = run_of(&records, written(cut, "< 1s", whole), Vec::new());
    assert_eq!(
        summary.invalid_reasons,
        [
            "registration.response.p99{cohort:gateways} < 1s depends on the generator: 1.05 s, the greatest of 20 \
             as measured, 960 ms, the greatest of 20 without what it added itself (it added 90.0 ms to a device \
             in the mean)"
        ]
    );
}

#[test]
fn devices_that_the_generator_keeps_from_their_end_are_no_failure_of_the_service() {
    let of = |name: &str, condition: &str, terms| {
        vec![Written {
            name: name.into(),
            condition: condition.into(),
            terms,
            planned: 1_000,
        }]
    };
    let window = Terms {
        window: Some(Duration::from_secs(1)),
        ..Terms::default()
    };
    let kept = |outcome, added_us| Record {
        registered_us: None,
        start_us: 0,
        end_us: 1_000_000,
        added_us,
        phases_us: [NOT_REACHED; Phase::ALL.len()],
        outcome,
        ..sample()
    };
    let local = Outcome::Broken {
        phase: Phase::Connect,
        fault: Fault::LocalResources,
    };
    let late = Outcome::TimedOut {
        phase: Phase::Assign,
    };
    for (bad, outcome) in [
        (dropped(500_000), ThresholdOutcome::DependsOnGenerator),
        (kept(local, 0), ThresholdOutcome::DependsOnGenerator),
        (kept(late, 200_000), ThresholdOutcome::DependsOnGenerator),
        (kept(late, 20_000), ThresholdOutcome::Crossed),
        (kept(Outcome::Disabled, 200_000), ThresholdOutcome::Crossed),
    ] {
        let records = [vec![sample(); 995], vec![bad; 5]].concat();
        for terms in [Terms::default(), window] {
            for (name, condition) in [
                ("provisioned.ratio", ">= 99.9%"),
                ("registered.ratio{cohort:gateways}", ">= 99.9%"),
                ("failed.ratio", "< 0.1%"),
                ("registration.response.p999", "< 1s"),
            ] {
                let summary = run_of(&records, of(name, condition, terms), Vec::new());
                let result = &summary.thresholds[0];
                assert_eq!(
                    result.outcome, outcome,
                    "{name} {:?}: {result:?}",
                    bad.outcome
                );
            }
        }
        let slo = Slo {
            objective: Decimal::parse("0.999").expect("a share"),
            confidence: 0.6,
            ..info().slos.remove(0)
        };
        let summary = run_of(&records, Vec::new(), vec![slo]);
        let found = &summary.slos[0];
        assert_eq!((found.good, found.total), (995, 1_000));
        let expected = match outcome {
            ThresholdOutcome::Crossed => SloOutcome::Missed,
            _ => SloOutcome::DependsOnGenerator,
        };
        assert_eq!(found.outcome, expected, "{found:?}");
    }
    // What is about the generator itself is read once.
    let records = [vec![sample(); 995], vec![dropped(500_000); 5]].concat();
    let summary = run_of(
        &records,
        of("dropped.count", "== 0", Terms::default()),
        Vec::new(),
    );
    assert_eq!(summary.thresholds[0].outcome, ThresholdOutcome::Crossed);
    assert_eq!(summary.thresholds[0].without_generator, None);
}

#[test]
fn an_objective_is_met_or_missed_in_both_readings() {
    let slo = |within_us| Slo {
        within_us: Some(within_us),
        objective: Decimal::parse("0.9").expect("a share"),
        confidence: 0.9,
        ..info().slos.remove(0)
    };
    let records = held_up(1_050_000, 90_000);
    for (within_us, outcome, verdict) in [
        (1_050_000, SloOutcome::Met, Verdict::Pass),
        (1_000_000, SloOutcome::DependsOnGenerator, Verdict::Invalid),
        (900_000, SloOutcome::Missed, Verdict::Fail),
    ] {
        let summary = run_of(&records, Vec::new(), vec![slo(within_us)]);
        assert_eq!(summary.slos[0].outcome, outcome, "{within_us}");
        assert_eq!(summary.verdict, verdict, "{within_us}");
    }
    let summary = run_of(&records, Vec::new(), vec![slo(1_000_000)]);
    assert_eq!(
        summary.invalid_reasons,
        [
            "slo registrations depends on the generator: 0 of 40 went well as measured, 40 of 40 without what it \
             added itself (it added 90.0 ms to a device in the mean)"
        ]
    );
}

#[test]
fn a_run_that_the_generator_alone_would_stop_is_not_the_services_failure() {
    for window in [None, Some(Duration::from_secs(2))] {
        for (added_us, outcome, verdict) in [
            (
                90_000,
                ThresholdOutcome::DependsOnGenerator,
                Verdict::Invalid,
            ),
            (10_000, ThresholdOutcome::Crossed, Verdict::Fail),
        ] {
            let info = RunInfo {
                planned: 40,
                slos: Vec::new(),
                thresholds: vec![Written {
                    name: "registration.response.p50".into(),
                    condition: "< 1s".into(),
                    terms: Terms {
                        abort: true,
                        window,
                        ..Terms::default()
                    },
                    planned: 40,
                }],
                ..info()
            };
            let mut fold = Aggregator::new(info, None).expect("thresholds that can be read");
            for record in held_up(1_050_000, added_us) {
                fold.add(&record);
            }
            let moment = Live {
                state: RunState::Running,
                elapsed_us: 30_000_000,
                due: 40,
                released: 40,
                ..live()
            };
            fold.snapshot(&moment, due_before);
            let aborted = fold.aborted().cloned();
            assert!(aborted.is_some(), "{window:?}");
            let ending = Ending {
                aborted,
                elapsed_us: 30_000_000,
                released: 40,
                ..ending()
            };
            let summary = fold.finish(ending).summary;
            let result = &summary.thresholds[0];
            assert_eq!(result.outcome, outcome, "{result:?}");
            assert!(result.stopped_the_run_us.is_some());
            assert_eq!(summary.verdict, verdict, "{:?}", summary.invalid_reasons);
        }
    }
}

#[test]
fn a_rate_that_the_generator_held_down_is_no_failure_of_the_service() {
    // 40 in 40 s; each would have been quicker by a twelfth.
    let rate = |condition: &str| {
        vec![Written {
            name: "provisioned.rate".into(),
            condition: condition.into(),
            terms: Terms::default(),
            planned: 40,
        }]
    };
    let records = held_up(1_070_000, 90_000);
    for (condition, outcome) in [
        (">= 1/s", ThresholdOutcome::Held),
        (">= 1.05/s", ThresholdOutcome::DependsOnGenerator),
        (">= 1.1/s", ThresholdOutcome::Crossed),
    ] {
        let summary = run_of(&records, rate(condition), Vec::new());
        let result = &summary.thresholds[0];
        assert_eq!(result.outcome, outcome, "{result:?}");
    }
}

#[test]
fn nothing_provisioned_is_the_services_failure_unless_the_generator_kept_every_device_from_its_end()
{
    let refused = Record {
        registered_us: None,
        outcome: Outcome::Disabled,
        ..sample()
    };
    let local = Record {
        outcome: Outcome::Broken {
            phase: Phase::Connect,
            fault: Fault::LocalResources,
        },
        ..refused
    };
    for (records, exit_code) in [
        (vec![refused; 3], 4),
        (vec![local, refused, local], 4),
        (vec![local; 3], 98),
        (vec![local, dropped(1)], 98),
    ] {
        let summary = run_of(&records, Vec::new(), Vec::new());
        assert_eq!(summary.exit_code, exit_code, "{:?}", summary.devices);
    }
}
