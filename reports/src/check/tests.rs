use super::*;
use crate::aggregator::fixture;
use crate::run::Ending;

fn bad(summary: &Summary) -> Vec<(CheckKind, String)> {
    let checks = summary.checks().into_iter();
    let bad = checks.filter(|check| check.outcome != CheckOutcome::Passed);
    bad.map(|check| (check.kind, check.name)).collect()
}

fn finished(records: usize, ending: Ending) -> Summary {
    let mut fold = crate::Aggregator::new(fixture::info(), None).expect("thresholds");
    for record in &fixture::records()[..records] {
        fold.add(record);
    }
    fold.finish(ending).summary
}

#[test]
fn a_run_has_a_bad_check_exactly_where_its_verdict_is_not_pass() {
    let interrupted = Ending {
        interrupted: true,
        ..fixture::ending()
    };
    let unrecorded = Ending {
        oracle: Some(Oracle {
            unrecorded: 1,
            ..Oracle::default()
        }),
        ..fixture::ending()
    };
    let mut differs = fixture::ending();
    if let Some(counters) = &mut differs.server_counters {
        (counters.rows[0].agrees, counters.agree) = (false, false);
    }
    let mut passing = fixture::info();
    (passing.thresholds, passing.slos) = (Vec::new(), Vec::new());
    let passing = crate::Aggregator::new(passing, None).map(|mut fold| {
        fixture::records()
            .iter()
            .for_each(|record| fold.add(record));
        fold.finish(fixture::ending()).summary
    });
    let passing = passing.expect("thresholds");
    assert_eq!((passing.exit_code, bad(&passing)), (0, Vec::new()));
    for summary in [
        fixture::summary(),
        finished(3, fixture::ending()),
        finished(0, fixture::ending()),
        finished(4, interrupted),
        finished(3, unrecorded),
        finished(3, differs),
    ] {
        assert_ne!(summary.exit_code, 0);
        assert_ne!(bad(&summary), Vec::new(), "{:?}", summary.invalid_reasons);
    }
}

#[test]
fn what_a_threshold_says_of_itself_is_not_said_of_the_run_as_well() {
    let summary = finished(3, fixture::ending());
    let bad = bad(&summary);
    assert!(
        bad.iter().all(|(kind, _)| *kind != CheckKind::Run),
        "{bad:?}"
    );
}

#[test]
fn names_are_told_once_and_everything_says_what_was_wanted_and_measured() {
    let checks = fixture::summary().checks();
    let kinds: Vec<_> = checks.iter().map(|check| check.kind.name()).collect();
    let expected = ["run", "threshold", "slo", "oracle", "server"];
    assert!(
        expected.iter().all(|kind| kinds.contains(kind)),
        "{kinds:?}"
    );
    for (index, check) in checks.iter().enumerate() {
        assert!(!check.wanted.is_empty() && !check.measured.is_empty());
        let before = checks[..index].iter();
        let mut before = before.filter(|other| other.kind == check.kind);
        assert!(before.all(|other| other.name != check.name), "{check:?}");
    }
}
