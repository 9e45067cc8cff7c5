//! What happened around the devices, and what a run is worth for that.

use super::*;
use crate::event::Happened;
use crate::threshold::expression::Written;

fn event(problem: Option<&str>, missed: bool) -> Happened {
    Happened {
        at_us: 2_000_000,
        what: "hub-up hub-1".into(),
        problem: problem.map(Into::into),
        missed,
    }
}

/// What a run comes to that held its threshold, or crossed it.
fn run(is_held: bool, change: impl FnOnce(&mut Ending)) -> Summary {
    let info = RunInfo {
        thresholds: vec![Written {
            name: "provisioned.count".into(),
            condition: if is_held { ">= 1" } else { ">= 100" }.into(),
            terms: Terms::default(),
            planned: 4,
        }],
        slos: Vec::new(),
        ..info()
    };
    let mut fold = Aggregator::new(info, None).expect("thresholds that can be read");
    fold.add(&sample());
    let mut ending = Ending {
        released: 1,
        server_counters: None,
        oracle: None,
        ..ending()
    };
    change(&mut ending);
    fold.finish(ending).summary
}

#[test]
fn an_event_that_failed_puts_the_whole_run_in_doubt() {
    for is_held in [true, false] {
        let summary = run(is_held, |ending| {
            ending.events = vec![
                event(None, false),
                event(Some("the server said 409"), false),
                event(Some("the server said 410"), false),
            ];
        });
        assert_eq!(summary.verdict, Verdict::Invalid);
        assert_eq!(
            summary.invalid_reasons,
            [
                "an event of the scenario failed: hub-up hub-1 at 2.00 s: the server said 409, and 1 more"
            ]
        );
    }
}

#[test]
fn an_event_that_did_not_happen_takes_a_pass_and_no_failure() {
    let miss = |ending: &mut Ending| {
        ending.events = vec![event(Some("the run was over before"), true)];
    };
    let summary = run(true, miss);
    assert_eq!((summary.verdict, summary.exit_code), (Verdict::Invalid, 98));
    assert!(summary.invalid_reasons[0].contains("did not happen: hub-up hub-1"));
    assert_eq!(run(false, miss).verdict, Verdict::Fail);
}

#[test]
fn a_bundled_server_that_starved_is_not_blamed() {
    for (starved, is_held, verdict) in [
        (Some(0.11), false, Verdict::Invalid),
        (Some(0.1), false, Verdict::Fail),
        (None, false, Verdict::Fail),
        (Some(0.9), true, Verdict::Pass),
    ] {
        let summary = run(is_held, |ending| ending.generator.server_starved = starved);
        assert_eq!(summary.verdict, verdict, "{:?}", summary.invalid_reasons);
        let is_told = summary.invalid_reasons.join("").contains("in 11 %");
        assert_eq!(is_told, verdict == Verdict::Invalid);
    }
    let contradicted = run(false, |ending| {
        ending.generator.server_starved = Some(0.9);
        let agreed = fixture::ending().server_counters;
        ending.server_counters = agreed.map(|counters| ServerCounters {
            agree: false,
            ..counters
        });
    });
    assert_eq!(contradicted.verdict, Verdict::Fail);
}
