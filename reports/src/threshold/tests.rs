use std::time::Duration;

use super::subject::Subject;
use super::unit::Unit;
use super::*;
use crate::aggregator::fixture;
use crate::outcome::Outcome;
use crate::record::{Record, dropped, sample};
use crate::threshold::result::ThresholdOutcome;

fn plain(name: &str, condition: &str) -> Result<Threshold, ThresholdError> {
    Threshold::parse(
        name,
        condition,
        Terms::default(),
        &fixture::info().dimensions,
    )
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn every_subject_reads_back() {
    for subject in Subject::all() {
        let limit = match subject.unit() {
            Unit::Microseconds => "< 5s",
            Unit::Devices => ">= 10",
            Unit::Share => ">= 99.9%",
            Unit::PerSecond => "> 400/s",
            Unit::Attempts => "< 1.5",
        };
        let threshold = plain(&subject.to_string(), limit).expect("a subject of its own");
        assert_eq!(threshold.subject, subject);
    }
}

#[test]
fn conditions_have_the_subjects_unit() {
    for (subject, condition, limit) in [
        ("registration.response.p99", "< 5s", "5000000"),
        ("tls.p50", "<=250ms", "250000"),
        ("tls.p50", "< 1.5us", "1.5"),
        ("hub-connect.max", "< 1m30s", "90000000"),
        ("provisioned.ratio", ">= 99.9%", "0.999"),
        ("provisioned.ratio", ">= 0.999", "0.999"),
        ("provisioned.ratio", "== 100%", "1"),
        ("failed.count", "== 200", "200"),
        ("provisioned.rate", "> 0.1/s", "0.1"),
        ("attempts.mean", "< 1.5", "1.5"),
    ] {
        let threshold = plain(subject, condition).expect(condition);
        let found = threshold.condition.limit.to_string();
        assert_eq!(found, limit, "{subject} {condition}");
    }
    for (subject, condition) in [
        ("registration.response.p99", "5s"),
        ("registration.response.p99", "< 5"),
        ("registration.response.p99", "< -5s"),
        ("registration.response.p99", "<"),
        ("registration.response.p99", "= 5s"),
        ("provisioned.ratio", ">= 101%"),
        ("provisioned.ratio", ">= NaN"),
        ("failed.count", "< 1.5"),
        ("provisioned.rate", "> 400"),
    ] {
        let error = plain(subject, condition).expect_err(condition);
        assert!(
            matches!(error, ThresholdError::BadCondition { .. }),
            "{subject} {condition}: {error}"
        );
        assert!(error.to_string().contains("write"), "{error}");
    }
}

#[test]
fn an_unknown_subject_names_the_nearest() {
    let error = plain("registraton.response.p99", "< 5s").expect_err("misspelt");
    assert_eq!(
        error.to_string(),
        "unknown threshold \"registraton.response.p99\", did you mean \"registration.response.p99\"?"
    );
    let error = plain("zzz", "< 5s").expect_err("unknown");
    assert_eq!(error.to_string(), "unknown threshold \"zzz\"");
}

/// What a threshold comes to in a run of these devices.
fn judged(name: &str, condition: &str, records: &[Record]) -> (String, bool) {
    let threshold = plain(name, condition).expect(condition);
    let mut judge = Judge::new(threshold, records.len() as u64);
    for record in records {
        // As if the generator had added nothing.
        judge.add(record, Some(record));
    }
    let result = judge.result(&fixture::summary(), None);
    let held = result.outcome == ThresholdOutcome::Held;
    (result.observed, held)
}

#[test]
fn what_was_measured_decides() {
    for (subject, condition, observed, passed) in [
        ("provisioned.ratio", ">= 75%", "75 % (3 of 4)", true),
        ("registration.response.p50", "< 5s", "3.00 ms", true),
        (
            "registration.response.p99{outcome:succeeded}",
            "< 5s",
            "3.00 ms, the greatest of 3",
            true,
        ),
        ("provisioned.ratio", "== 100%", "75 % (3 of 4)", false),
        ("failed.count", "== 1", "1", true),
        ("dropped.count", "> 0", "0", false),
        ("registration.response.min", "<= 3.1ms", "3.00 ms", true),
        ("registration.response.min", "< 3ms", "3.00 ms", false),
        ("registration.response.min", "<= 3ms", "3.00 ms", true),
        ("registration.response.min", "> 2.999ms", "3.00 ms", true),
        ("attest.p99", "< 1h", "no samples", false),
        ("attest.count", "== 0", "0", true),
        ("throttled.ratio", "== 0", "0 %", true),
        ("attempts.mean", "<= 1", "1.00", true),
        ("attempts.max", "< 1", "1.00", false),
    ] {
        let found = judged(subject, condition, &fixture::records());
        assert_eq!(found, (observed.into(), passed), "{subject} {condition}");
    }
}

/// So many good devices and so many that are refused.
fn devices(good: usize, refused: usize) -> Vec<Record> {
    let bad = Record {
        registered_us: None,
        outcome: Outcome::Disabled,
        ..sample()
    };
    [vec![sample(); good], vec![bad; refused]].concat()
}

#[test]
fn counts_decide_and_what_is_shown_never_contradicts_them() {
    for (good, refused, subject, condition, observed, passed) in [
        (
            999,
            1,
            "provisioned.ratio",
            ">= 99.9%",
            "99.9 % (999 of 1,000)",
            true,
        ),
        (
            998,
            2,
            "provisioned.ratio",
            ">= 99.9%",
            "99.8 % (998 of 1,000)",
            false,
        ),
        (
            57,
            43,
            "provisioned.ratio",
            "== 57%",
            "57 % (57 of 100)",
            true,
        ),
        (57, 43, "failed.ratio", "<= 43%", "43 % (43 of 100)", true),
        (
            29,
            71,
            "provisioned.ratio",
            ">= 29%",
            "29 % (29 of 100)",
            true,
        ),
        (
            99_999,
            1,
            "failed.ratio",
            "== 0%",
            "0.001 % (1 of 100,000)",
            false,
        ),
        (
            99_999,
            1,
            "provisioned.ratio",
            "== 100%",
            "99.999 % (99,999 of 100,000)",
            false,
        ),
        (
            2,
            1,
            "provisioned.ratio",
            "> 66.6666%",
            "66.66666 % (2 of 3)",
            true,
        ),
        (
            2,
            1,
            "provisioned.ratio",
            "<= 66.6666%",
            "66.66666 % (2 of 3)",
            false,
        ),
        (
            2,
            1,
            "failed.ratio",
            "< 33.3334%",
            "33.33334 % (1 of 3)",
            true,
        ),
        (3, 0, "provisioned.ratio", "== 100%", "100 %", true),
        (3, 0, "failed.ratio", "== 0", "0 %", true),
    ] {
        let found = judged(subject, condition, &devices(good, refused));
        assert_eq!(found, (observed.into(), passed), "{subject} {condition}");
    }
}

#[test]
fn a_latency_is_of_all_that_were_due() {
    let mut all = devices(980, 10);
    all.extend(vec![dropped(0); 10]);
    for (subject, observed, passed) in [
        ("registration.response.p95", "3.00 ms", true),
        (
            "registration.response.p99",
            "more than 1 % did not get so far (20 of 1,000)",
            false,
        ),
        (
            "provisioning.service.p99",
            "more than 1 % did not get so far (20 of 1,000)",
            false,
        ),
        (
            "registration.response.p9999",
            "more than 0.01 % did not get so far (20 of 1,000)",
            false,
        ),
        (
            "provisioning.response.max",
            "20 of 1,000 did not get so far",
            false,
        ),
        (
            "provisioning.response.mean",
            "20 of 1,000 did not get so far",
            false,
        ),
        ("provisioning.response.min", "5.00 ms", true),
        (
            "registration.response.p99{outcome:succeeded}",
            "3.00 ms",
            true,
        ),
        (
            "provisioning.response.max{outcome:succeeded}",
            "5.00 ms",
            true,
        ),
        // A phase is of those that came to it: nobody failed in TLS, and ten never left the queue.
        ("tls.max", "700 µs", true),
        ("queue.max", "10 of 1,000 did not get so far", false),
        ("queue.p99", "1.00 ms", true),
    ] {
        let found = judged(subject, "< 1m", &all);
        assert_eq!(found, (observed.into(), passed), "{subject}");
    }
    let found = judged("registration.response.min", "< 1m", &devices(0, 3));
    assert_eq!(found, ("3 of 3 did not get so far".into(), false));
    let slow = judged("registration.response.p99", "> 1m", &all);
    assert!(slow.1, "slower than any limit");
}

#[test]
fn what_can_not_be_judged_is_refused() {
    let some = Terms {
        window: Some(seconds(10)),
        ..Terms::default()
    };
    let abort = Terms {
        abort: true,
        ..Terms::default()
    };
    let late = Terms {
        after: Some(seconds(1)),
        ..Terms::default()
    };
    let backwards = Terms {
        between: Some((seconds(5), seconds(5))),
        ..Terms::default()
    };
    for (terms, name, condition) in [
        (some, "messages.count", "== 0"),
        (some, "connections.held.count", "> 1"),
        (Terms::default(), "methods.count{cohort:gateways}", "== 0"),
        (abort, "provisioned.count", ">= 10"),
        (abort, "tls.count", "> 10"),
        (late, "tls.p99", "< 1s"),
        (backwards, "tls.p99", "< 1s"),
    ] {
        let names = fixture::info().dimensions;
        let refused = Threshold::parse(name, condition, terms, &names);
        assert!(
            matches!(refused, Err(ThresholdError::BadTerms { .. })),
            "{name} {terms:?}: {refused:?}"
        );
    }
}

#[test]
fn unknown_tags_name_the_nearest() {
    for (tags, told) in [
        (
            "{cohort:gateway}",
            "there is no cohort \"gateway\", did you mean \"gateways\"?",
        ),
        (
            "{transports:mqtt}",
            "there is no tag \"transports\", did you mean \"transport\"?",
        ),
        ("{transport:mqt}", "did you mean \"mqtt\"?"),
        ("{region:mars}", "there is no region \"mars\""),
        ("{tpm}", "\"tpm\" is no tag"),
        ("{attestation:tpm", "write }"),
        ("{attestation:tpm,attestation:tpm}", "is given twice"),
        (
            "{outcome:succeded}",
            "there is no outcome \"succeded\", did you mean \"succeeded\"?",
        ),
    ] {
        let error = plain(&format!("tls.p99{tags}"), "< 1s").expect_err(tags);
        assert!(error.to_string().contains(told), "{tags}: {error}");
    }
    let error = plain("provisioned.ratio{outcome:succeeded}", "== 100%").expect_err("no latency");
    assert!(error.to_string().contains("leave outcome out"), "{error}");
}

/// Words in backticks of the guide's page.
fn guide() -> Vec<&'static str> {
    let page = include_str!("../../../scenarios/THRESHOLDS.md");
    page.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_guide_lists_every_name() {
    let words = guide();
    for subject in Subject::all() {
        let name = subject.to_string();
        let (metric, statistic) = name.rsplit_once('.').expect("two parts");
        let is_told = match subject.metric() {
            Some(_) => words.contains(&metric) && words.contains(&statistic),
            None => words.contains(&name.as_str()),
        };
        assert!(is_told, "{name}");
    }
    for word in tags::KEYS.into_iter().chain([tags::SUCCEEDED]) {
        assert!(words.contains(&word), "{word}");
    }
    // What looks like a subject is one.
    let dotted = words.iter().filter(|word| word.contains('.'));
    for word in dotted.filter(|word| {
        word.chars()
            .all(|c| c.is_ascii_lowercase() || ".-".contains(c))
    }) {
        let is_known = Threshold::is_known(word) || Threshold::is_known(&format!("{word}.p99"));
        assert!(is_known, "{word}");
    }
}
