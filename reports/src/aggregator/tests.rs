use super::fixture::{self, aggregator, due_before, ending, info, live, summary};
use super::*;
use crate::counters::ServerCounters;
use crate::exact::Decimal;
use crate::latency::Percentiles;
use crate::oracle::Oracle;
use crate::outcome::Outcome;
use crate::record::{dropped, sample};
use crate::replay::replay;
use crate::slo::{Slo, SloOutcome};
use crate::snapshot::{SecondView, Seen};
use crate::threshold::Terms;
use crate::threshold::expression::Written;
use crate::threshold::result::ThresholdOutcome;
use crate::threshold::stop::Stop;

mod error_bar;
mod surroundings;

#[test]
fn the_summary_counts_every_device_once() {
    let summary = summary();
    assert_eq!(
        summary.devices,
        Devices {
            planned: 4,
            released: 4,
            dropped: 0,
            registered: 3,
            provisioned: 3,
            failed: 1
        }
    );
    let response = summary.registration.response.expect("samples");
    assert_eq!((response.count, response.max_us), (3, 3_000));
    let median = |latency: Option<Percentiles>| latency.map(|of| of.p50_us);
    assert_eq!(median(summary.registration.service), Some(2_000));
    assert_eq!(median(summary.provisioning.service), Some(4_000));
    assert_eq!(summary.phases["queue"].count, 4);
    assert_eq!(summary.phases["twin"].count, 3);
    assert!(!summary.phases.contains_key("attest"));
    let outcomes: Vec<_> = summary
        .outcomes
        .iter()
        .map(|o| (o.text.as_str(), o.count))
        .collect();
    assert_eq!(
        outcomes,
        [("provisioned", 3), ("refused at register: 401 (401002)", 1)]
    );
    assert_eq!(summary.hubs.values().copied().collect::<Vec<_>>(), [2, 1]);
    let cuts: Vec<_> = summary
        .cuts
        .iter()
        .map(|cut| (cut.name.as_str(), cut.provisioned, cut.failed))
        .collect();
    assert_eq!(
        cuts,
        [
            ("gateways", 3, 0),
            ("controllers", 0, 1),
            ("https", 2, 0),
            ("mqtt", 1, 1),
            ("x509-group", 3, 1)
        ]
    );
    assert_eq!(summary.verdict, Verdict::Fail);
    assert_eq!(summary.exit_code, 99);
}

#[test]
fn what_has_no_samples_is_null_and_never_zero() {
    let info = RunInfo {
        arrivals: None,
        ..info()
    };
    let mut fold = Aggregator::new(info, None).expect("no journal");
    let mut refused = fixture::records().pop().expect("a record");
    (refused.intended_start_us, refused.start_us) = (0, 0);
    fold.add(&refused);
    let ending = Ending {
        elapsed_us: 0,
        ..ending()
    };
    let summary = fold.finish(ending).summary;
    let json = serde_json::to_value(&summary).expect("a summary");
    let without = [
        "/registration/response",
        "/registration/service",
        "/provisioning/response",
        "/provisioning/service",
        "/reprovisions/registration/response",
        "/reprovisions/provisioning/service",
        "/cuts/0/registration/response",
        "/cuts/0/provisioning/response",
        "/timeline/1/p50_us",
        "/timeline/1/p99_us",
        "/rates/provisioned_per_second",
        "/rates/released_per_second",
        "/rates/planned_per_second",
    ];
    for pointer in without {
        let value = json.pointer(pointer);
        assert_eq!(value, Some(&serde_json::Value::Null), "{pointer}");
    }
    assert!(json.pointer("/phases/twin").is_none());
}

#[test]
fn a_snapshot_closes_the_seconds_that_have_passed() {
    let mut aggregator = aggregator(None);
    let mut moment = Live {
        elapsed_us: 900_000,
        state: RunState::Running,
        due: 2,
        released: 2,
        ..Live::default()
    };
    assert!(aggregator.snapshot(&moment, due_before).seconds.is_empty());
    (moment.elapsed_us, moment.due, moment.released) = (1_020_000, 3, 3);
    let snapshot = aggregator.snapshot(&moment, due_before);
    let first = SecondView {
        target: 2.0,
        seen: Some(Seen {
            released: 3.0,
            provisioned: 3.0,
            failed: 1.0,
        }),
    };
    assert_eq!(snapshot.seconds, [first]);
    assert_eq!((snapshot.target_rate, snapshot.achieved_rate), (2.0, 3.0));
}

#[test]
fn what_nobody_saw_is_a_gap_with_the_plan_in_it() {
    let mut aggregator = aggregator(None);
    let mut moment = Live {
        elapsed_us: 4_200_000,
        state: RunState::Running,
        released: 8,
        ..Live::default()
    };
    let snapshot = aggregator.snapshot(&moment, |second| 10 * second.pow(2));
    let targets = snapshot.seconds.iter().map(|second| second.target);
    assert_eq!(targets.collect::<Vec<_>>(), [10.0, 30.0, 50.0, 70.0]);
    let released = |second: &SecondView| second.seen.map(|seen| seen.released);
    let released: Vec<_> = snapshot.seconds.iter().map(released).collect();
    assert_eq!(released, [None, None, None, Some(2.0)]);
    assert_eq!((snapshot.target_rate, snapshot.achieved_rate), (70.0, 2.0));
    moment.elapsed_us = 400_000_000;
    assert_eq!(aggregator.snapshot(&moment, due_before).seconds.len(), 300);
}

#[test]
fn bursts_on_whole_seconds_are_due_in_the_second_that_they_begin() {
    let plain = RunInfo {
        slos: Vec::new(),
        thresholds: Vec::new(),
        ..info()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.jsonl");
    let journal = Journal::create(&path).expect("a journal");
    let mut fold = Aggregator::new(plain, Some(journal)).expect("a journal");
    // Ten at 0 s, 2 s and 4 s; of those that take turns one at every look.
    let due_by = |us: u64| 10 * (us / 2_000_000 + 1);
    let due_before = |second: u64| {
        second
            .checked_sub(1)
            .map_or(0, |last| due_by(last * 1_000_000))
    };
    for look in [0, 240_000, 1_130_000, 2_250_000, 4_010_000, 4_900_000] {
        let closed_due = look / 1_000_000;
        let moment = Live {
            elapsed_us: look,
            state: RunState::Running,
            due: due_by(look) + closed_due,
            closed_due,
            ..Live::default()
        };
        fold.snapshot(&moment, due_before);
    }
    let over = Live {
        elapsed_us: 4_950_000,
        state: RunState::Finished,
        due: due_by(4_950_000) + 4,
        closed_due: 4,
        ..Live::default()
    };
    let live = fold.snapshot(&over, due_before);
    let targets: Vec<_> = live.seconds.iter().map(|second| second.target).collect();
    assert_eq!(targets, [11.0, 1.0, 10.0, 2.0, 10.0]);
    let summary = fold.finish(ending()).summary;
    let told: Vec<_> = summary.timeline.iter().map(|point| point.target).collect();
    assert_eq!(told, targets);
    let held: Vec<_> = summary.timeline.iter().map(|point| point.held).collect();
    assert_eq!(held, [Some(0), Some(0), None, Some(0), Some(0)]);
    assert_eq!(
        crate::replay::replay(&path).expect("a journal").summary,
        summary
    );
}

#[test]
fn verdicts_in_order_of_weight() {
    let verdict = |change: &dyn Fn(&mut Ending), provisioned: bool| {
        let plain = RunInfo {
            slos: Vec::new(),
            thresholds: Vec::new(),
            ..info()
        };
        let mut fold = Aggregator::new(plain, None).expect("no journal");
        let mut record = sample();
        if !provisioned {
            record.outcome = Outcome::Disabled;
        }
        fold.add(&record);
        let mut ending = ending();
        change(&mut ending);
        let summary = fold.finish(ending).summary;
        (summary.verdict, summary.exit_code)
    };
    let doubt = |ending: &mut Ending| ending.invalid_reasons.push("slow".into());
    let disagree = |ending: &mut Ending| {
        ending.server_counters = Some(ServerCounters {
            agree: false,
            ..ServerCounters::default()
        });
    };
    let contradict = |contradictions: u64, unrecorded: u64| {
        move |ending: &mut Ending| {
            ending.oracle = Some(Oracle {
                contradictions,
                unrecorded,
                ..Oracle::default()
            });
        }
    };
    let interrupt = |ending: &mut Ending| ending.interrupted = true;
    assert_eq!(verdict(&|_| {}, true), (Verdict::Pass, 0));
    assert_eq!(verdict(&disagree, true), (Verdict::Fail, 99));
    assert_eq!(verdict(&contradict(0, 0), true), (Verdict::Pass, 0));
    assert_eq!(verdict(&contradict(1, 0), true), (Verdict::Fail, 99));
    assert_eq!(verdict(&contradict(0, 1), true), (Verdict::Fail, 99));
    assert_eq!(verdict(&doubt, true), (Verdict::Invalid, 98));
    assert_eq!(verdict(&doubt, false), (Verdict::Fail, 4));
    assert_eq!(verdict(&interrupt, false), (Verdict::Invalid, 130));
}

#[test]
fn an_objective_passes_fails_or_proves_nothing() {
    let verdict = |devices: u64, refused: u64| {
        let plain = RunInfo {
            thresholds: Vec::new(),
            ..info()
        };
        let mut fold = Aggregator::new(plain, None).expect("no journal");
        for index in 0..devices {
            let mut record = sample();
            if index < refused {
                (record.registered_us, record.outcome) = (None, Outcome::Disabled);
            }
            fold.add(&record);
        }
        let summary = fold.finish(ending()).summary;
        let reasons = summary.invalid_reasons.len();
        (summary.verdict, summary.exit_code, reasons)
    };
    assert_eq!(verdict(3_000, 0), (Verdict::Pass, 0, 0));
    assert_eq!(verdict(100, 0), (Verdict::Invalid, 98, 1));
    assert_eq!(verdict(3_000, 30), (Verdict::Fail, 99, 0));
}

#[test]
fn a_threshold_that_stops_the_run_fails_it_also_when_it_is_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.jsonl");
    let terms = Terms {
        abort: true,
        ..Terms::default()
    };
    let info = RunInfo {
        slos: Vec::new(),
        thresholds: vec![Written {
            name: "failed.count".into(),
            condition: "== 0".into(),
            terms,
            planned: 4,
        }],
        ..info()
    };
    let mut fold =
        Aggregator::new(info, Some(Journal::create(&path).expect("a journal"))).expect("a journal");
    let mut moment = Live {
        state: RunState::Running,
        elapsed_us: 1_100_000,
        ..live()
    };
    fold.snapshot(&moment, due_before);
    assert_eq!(fold.aborted(), None);
    fixture::records()
        .iter()
        .for_each(|record| fold.add(record));
    fold.snapshot(&moment, due_before);
    assert_eq!(fold.aborted(), None, "once a second");
    moment.elapsed_us = 2_100_000;
    fold.snapshot(&moment, due_before);
    let aborted = fold.aborted().cloned();
    let expected = Aborted {
        threshold: 0,
        at_us: 2_100_000,
        stop: Stop {
            observed: "1".into(),
            without_generator: None,
        },
    };
    assert_eq!(aborted, Some(expected));
    let ending = Ending {
        aborted,
        ..ending()
    };
    let summary = fold.finish(ending).summary;
    assert_eq!((summary.verdict, summary.exit_code), (Verdict::Fail, 99));
    let result = &summary.thresholds[0];
    assert_eq!(result.stopped_the_run_us, Some(2_100_000));
    assert_eq!(replay(&path).expect("a journal").summary, summary);
}

/// 600 are due, and as many as allowed are under way when 517 of them come.
#[test]
fn a_device_that_was_due_and_not_started_is_counted_everywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.jsonl");
    let written = |name: &str, condition: &str, window: Option<u64>| Written {
        name: name.into(),
        condition: condition.into(),
        terms: Terms {
            window: window.map(std::time::Duration::from_secs),
            ..Terms::default()
        },
        planned: 600,
    };
    let info = RunInfo {
        planned: 600,
        // It says that this is what it tests.
        max_dropped: Decimal::ONE,
        slos: vec![Slo {
            objective: crate::exact::Decimal::parse("0.95").expect("a share"),
            ..info().slos.remove(0)
        }],
        thresholds: vec![
            written("provisioned.ratio", "> 14%", None),
            written("provisioned.ratio{cohort:gateways}", "> 14%", None),
            written("provisioned.ratio", "> 14%", Some(10)),
            written("failed.ratio", "< 86%", Some(10)),
            written("registered.ratio", "> 14%", Some(10)),
            written("dropped.ratio{cohort:gateways}", "< 86%", Some(10)),
            written("dropped.count", "== 517", None),
            written("failed.count", "== 0", None),
            written("registration.response.count", "== 83", None),
        ],
        ..info()
    };
    let journal = Journal::create(&path).expect("a journal");
    let mut fold = Aggregator::new(info, Some(journal)).expect("a journal");
    for index in 0..600_u64 {
        let at_us = index * 1_000;
        let record = if index < 83 {
            Record {
                end_us: 5_000 + at_us,
                ..sample()
            }
        } else {
            dropped(at_us)
        };
        fold.add(&record);
    }
    let snapshot = fold.snapshot(&live(), due_before);
    assert_eq!(snapshot.progress.dropped, 517);
    assert_eq!(snapshot.progress.failed, 0);
    let ending = Ending {
        released: 83,
        ..ending()
    };
    let summary = fold.finish(ending).summary;
    let devices = summary.devices;
    assert_eq!(
        (devices.released, devices.dropped, devices.failed),
        (83, 517, 0)
    );
    let passed: Vec<_> = summary
        .thresholds
        .iter()
        .map(|it| it.outcome == ThresholdOutcome::Held)
        .collect();
    assert_eq!(
        passed,
        [false, false, false, false, false, false, true, true, true],
        "{:#?}",
        summary.thresholds
    );
    let slo = &summary.slos[0];
    assert_eq!((slo.good, slo.total), (83, 600));
    assert_eq!(slo.outcome, SloOutcome::Missed);
    assert!(slo.burn_rate > 17.0, "{slo:?}");
    let outcomes = summary.outcomes.iter();
    let outcomes: Vec<_> = outcomes.map(|it| (it.text.as_str(), it.count)).collect();
    assert_eq!(outcomes, [("not started", 517), ("provisioned", 83)]);
    let cut = &summary.cuts[0];
    assert_eq!((cut.released, cut.dropped, cut.failed), (83, 517, 0));
    assert_eq!(summary.attempts.total, 83);
    assert_eq!(replay(&path).expect("a journal").summary, summary);
}

#[test]
fn percentiles_stand_beside_the_devices_that_they_are_not_of() {
    let mut fold = aggregator(None);
    (0..4).for_each(|_| fold.add(&dropped(1_000_000)));
    let summary = fold.finish(ending()).summary;
    let not_reached: Vec<_> = summary
        .not_reached
        .iter()
        .map(|(metric, devices)| (metric.as_str(), *devices))
        .collect();
    assert_eq!(
        not_reached,
        [
            ("provisioning.response", 5),
            ("provisioning.service", 5),
            ("queue", 4),
            ("registration.response", 5),
            ("registration.service", 5),
        ]
    );
    let until_failed = summary.failure.response.expect("one has failed");
    assert_eq!((until_failed.count, until_failed.max_us), (1, 5_000));
    assert_eq!(
        summary.failure.service.map(|it| it.max_us),
        Some(4_000),
        "it started a millisecond late"
    );
    let mut text = Vec::new();
    crate::render::text::render(&summary, crate::render::style::Style::Plain, &mut text)
        .expect("memory");
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(
        text.contains("registration response           3       62.5 %   3.00 ms"),
        "{text}"
    );
}
