use std::time::Duration;

use super::*;
use crate::aggregator::fixture;
use crate::outcome::Outcome;
use crate::record::{dropped, sample};
use crate::snapshot::RunState;
use crate::threshold::Terms;

fn on(terms: Terms, name: &str, condition: &str) -> Threshold {
    Threshold::parse(name, condition, terms, &fixture::info().dimensions).expect(name)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A device of a cohort that ended then, after so long a registration.
fn ended(cohort: u16, end_us: u64, response_us: u64) -> Record {
    Record {
        cohort,
        start_us: 0,
        registered_us: Some(response_us),
        end_us,
        ..sample()
    }
}

fn refused(end_us: u64) -> Record {
    Record {
        registered_us: None,
        outcome: Outcome::Disabled,
        ..ended(0, end_us, 1)
    }
}

/// A run of so many seconds.
fn run_of(seconds: u64) -> Summary {
    Summary {
        duration_us: seconds * 1_000_000,
        ..fixture::summary()
    }
}

fn judged(judge: &mut Judge, summary: &Summary) -> (String, bool) {
    let result = judge.result(summary, None);
    let held = result.outcome == ThresholdOutcome::Held;
    (result.observed, held)
}

/// As if the generator had added nothing.
fn add(judge: &mut Judge, record: &Record) {
    judge.add(record, Some(record));
}

#[test]
fn tags_take_their_devices() {
    let mut of_second = Judge::new(
        on(
            Terms::default(),
            "registration.response.max { cohort : controllers }",
            "< 2s",
        ),
        4,
    );
    let mut share = Judge::new(
        on(
            Terms::default(),
            "provisioned.ratio{cohort:gateways,transport:https}",
            ">= 50%",
        ),
        4,
    );
    for record in [
        ended(0, 9_000_000, 5_000_000),
        ended(1, 9_000_000, 1_000_000),
    ] {
        add(&mut of_second, &record);
        add(&mut share, &record);
    }
    assert_eq!(judged(&mut of_second, &run_of(10)), ("1.00 s".into(), true));
    assert_eq!(
        judged(&mut share, &run_of(10)),
        ("25 % (1 of 4)".into(), false),
        "of those planned"
    );
}

#[test]
fn the_worst_window_is_told_wherever_it_lies() {
    let window = Terms {
        window: Some(seconds(10)),
        ..Terms::default()
    };
    let slow_at = |slow: std::ops::Range<u64>| {
        let mut judge = Judge::new(on(window, "registration.response.p50", "< 2s"), 4);
        for second in 0..60 {
            let response_us = if slow.contains(&second) {
                4_000_000
            } else {
                500_000
            };
            add(
                &mut judge,
                &ended(0, second * 1_000_000 + 500_000, response_us),
            );
        }
        let result = judge.result(&run_of(60), None);
        let over = result.over.expect("a window");
        (
            result.outcome == ThresholdOutcome::Held,
            over.from_us / 1_000_000,
            over.to_us / 1_000_000,
        )
    };
    assert!(slow_at(30..34).0, "four of ten");
    assert_eq!(
        slow_at(30..37),
        (false, 26, 36),
        "the first in which six of ten are slow"
    );
    assert_eq!(slow_at(54..60), (false, 50, 60), "the last");
    assert_eq!(slow_at(0..6), (false, 0, 10), "the first");
}

#[test]
fn shares_and_rates_over_windows_are_of_the_devices_that_ended_in_them() {
    let terms = |between| Terms {
        window: Some(seconds(5)),
        between,
        ..Terms::default()
    };
    let run = |terms, name, condition| {
        let mut judge = Judge::new(on(terms, name, condition), 4);
        for second in 0..20 {
            for _ in 0..4 {
                add(&mut judge, &ended(0, second * 1_000_000, 1));
            }
            if (10..15).contains(&second) {
                add(&mut judge, &refused(second * 1_000_000 + 1));
            }
        }
        // Nobody came for a while, but some were under way.
        judge.goes_on(30_000_000);
        add(&mut judge, &ended(0, 30_500_000, 1));
        judged(&mut judge, &run_of(31))
    };
    let part = Some((seconds(2), seconds(18)));
    for (between, name, condition, observed, passed) in [
        (
            None,
            "provisioned.ratio",
            ">= 90%",
            "80 % (20 of 25) from 10.0 s to 15.0 s",
            false,
        ),
        (
            None,
            "failed.count",
            "<= 5",
            "5 from 10.0 s to 15.0 s",
            true,
        ),
        (
            None,
            "provisioned.rate",
            "> 0/s",
            "0/s from 20.0 s to 25.0 s",
            false,
        ),
        (
            part,
            "provisioned.rate",
            ">= 4/s",
            "4.00/s from 2.00 s to 7.00 s",
            true,
        ),
        (
            Some((seconds(0), seconds(9))),
            "failed.count",
            "== 0",
            "0 from 0 s to 5.00 s",
            true,
        ),
    ] {
        let came = run(terms(between), name, condition);
        assert_eq!(came, (observed.into(), passed), "{name} {between:?}");
    }
}

#[test]
fn a_run_that_is_too_short_is_one_window_and_one_without_samples_holds_nothing() {
    let window = Terms {
        window: Some(seconds(30)),
        ..Terms::default()
    };
    let mut judge = Judge::new(on(window, "provisioned.rate", ">= 2/s"), 4);
    (0..10).for_each(|device| add(&mut judge, &ended(0, device * 400_000, 1)));
    assert_eq!(
        judged(&mut judge, &run_of(4)),
        ("2.50/s from 0 s to 4.00 s".into(), true)
    );
    let mut judge = Judge::new(on(window, "attest.p99", "< 1s"), 4);
    add(&mut judge, &ended(0, 1, 1));
    assert_eq!(
        judged(&mut judge, &run_of(60)),
        ("no samples".into(), false)
    );
}

#[test]
fn a_part_of_the_run_is_judged_by_itself() {
    let part = Terms {
        between: Some((seconds(10), seconds(20))),
        ..Terms::default()
    };
    for (name, condition, observed) in [
        ("registration.response.max", "< 1s", "500 ms"),
        ("provisioned.ratio", "== 100%", "100 %"),
        ("provisioned.count", "== 10", "10"),
        ("provisioned.rate", ">= 1/s", "1.00/s"),
    ] {
        let mut judge = Judge::new(on(part, name, condition), 1_000);
        for second in 0..30 {
            let response_us = if (10..20).contains(&second) {
                500_000
            } else {
                5_000_000
            };
            add(&mut judge, &ended(0, second * 1_000_000, response_us));
            if second == 5 {
                add(&mut judge, &refused(5_000_000));
            }
        }
        assert_eq!(
            judged(&mut judge, &run_of(30)),
            (observed.into(), true),
            "{name}"
        );
    }
}

#[test]
fn too_few_samples_say_nothing_when_more_are_asked_for() {
    let of = |samples, window: Option<u64>| Terms {
        samples: Some(samples),
        window: window.map(seconds),
        ..Terms::default()
    };
    for (terms, enough, passed) in [
        (of(11, None), true, false),
        (of(12, None), false, false),
        (of(5, Some(10)), true, true),
        (of(11, Some(10)), false, false),
    ] {
        let mut judge = Judge::new(on(terms, "registration.response.p99", "< 5s"), 4);
        // One slow device alone in its window is no evidence.
        (0..10).for_each(|device| add(&mut judge, &ended(0, device * 1_000_000, 1)));
        add(&mut judge, &ended(0, 50_000_000, 9_000_000));
        let result = judge.result(&run_of(60), None);
        assert_eq!(
            result.outcome,
            match (enough, passed) {
                (false, _) => ThresholdOutcome::NotEnoughSamples,
                (true, true) => ThresholdOutcome::Held,
                (true, false) => ThresholdOutcome::Crossed,
            },
            "{terms:?}"
        );
        assert_eq!(result.is_crossed(), enough && !passed);
    }
}

#[test]
fn a_run_is_stopped_by_what_is_crossed_and_not_before_its_time() {
    let at = |second: u64| Live {
        elapsed_us: second * 1_000_000,
        state: RunState::Running,
        due: 100,
        ..Live::default()
    };
    let abort = |window: Option<u64>, after: Option<u64>| Terms {
        window: window.map(seconds),
        after: after.map(seconds),
        abort: true,
        ..Terms::default()
    };
    for (terms, name, condition, second, stops) in [
        (
            abort(None, None),
            "registration.response.p50",
            "< 2s",
            5,
            Some("4.00 s"),
        ),
        (
            abort(None, Some(6)),
            "registration.response.p50",
            "< 2s",
            5,
            None,
        ),
        (
            abort(None, Some(6)),
            "registration.response.p50",
            "< 2s",
            6,
            Some("4.00 s"),
        ),
        (
            abort(Some(3), None),
            "registration.response.p50",
            "< 2s",
            5,
            Some("4.00 s from 0 s to 3.00 s"),
        ),
        (
            abort(Some(3), Some(4)),
            "registration.response.p50",
            "< 2s",
            5,
            Some("4.00 s from 1.00 s to 4.00 s"),
        ),
        (
            abort(Some(3), Some(5)),
            "registration.response.p50",
            "< 2s",
            5,
            None,
        ),
        (
            abort(None, None),
            "registration.response.p50",
            "< 5s",
            5,
            None,
        ),
        (abort(None, None), "attest.p50", "< 5s", 5, None),
        (abort(None, None), "dropped.count", "< 3", 5, Some("3")),
        (abort(None, None), "dropped.ratio", "<= 3%", 5, None),
        (
            abort(None, None),
            "dropped.ratio{cohort:gateways}",
            "<= 3%",
            5,
            Some("33.3334 % (3 of 9)"),
        ),
        (abort(None, None), "provisioned.ratio", ">= 66%", 5, None),
        (
            abort(None, None),
            "provisioned.ratio",
            "== 100%",
            5,
            Some("66.6666 % (6 of 9)"),
        ),
        (abort(None, None), "provisioned.count", "< 6", 5, Some("6")),
        (Terms::default(), "provisioned.count", "< 6", 5, None),
    ] {
        let mut judge = Judge::new(on(terms, name, condition), 100);
        (0..3).for_each(|_| add(&mut judge, &dropped(1_000_000)));
        (0..6).for_each(|second| add(&mut judge, &ended(0, second * 1_000_000, 4_000_000)));
        let stopped = judge.stops(&at(second), (0, 0));
        let stopped = stopped.as_ref().map(|stop| stop.observed.as_str());
        assert_eq!(stopped, stops, "{name} {condition} {terms:?}");
    }
}
