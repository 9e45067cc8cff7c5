use std::time::Duration;

use super::condition::Unit;
use super::*;
use crate::aggregator::fixture;

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
        ("registration.response.p99", "< 5s", 5e6),
        ("tls.p50", "<=250ms", 250e3),
        ("hub-connect.max", "< 1m30s", 90e6),
        ("provisioned.ratio", ">= 99.9%", 0.999),
        ("provisioned.ratio", ">= 0.999", 0.999),
        ("provisioned.ratio", "== 100%", 1.0),
        ("failed.count", "== 200", 200.0),
        ("provisioned.rate", "> 400/s", 400.0),
    ] {
        let threshold = plain(subject, condition).expect(condition);
        assert!(
            (threshold.limit - limit).abs() < 1e-9,
            "{subject} {condition}"
        );
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

#[test]
fn what_was_measured_decides() {
    let summary = fixture::summary();
    for (subject, condition, observed, passed) in [
        ("provisioned.ratio", ">= 75%", "75 %", true),
        (
            "registration.response.p99",
            "< 5s",
            "3.00 ms, the greatest of 3",
            true,
        ),
        ("provisioned.ratio", "== 100%", "75 %", false),
        ("failed.count", "== 1", "1", true),
        ("dropped.count", "> 0", "0", false),
        ("registration.response.max", "<= 3.1ms", "3.00 ms", true),
        ("registration.response.max", "< 3ms", "3.00 ms", false),
        ("attest.p99", "< 1h", "no samples", false),
        ("attest.count", "== 0", "0", true),
        ("throttled.ratio", "== 0", "0 %", true),
        ("attempts.mean", "<= 1", "1.00", true),
        ("attempts.max", "< 1", "1.00", false),
    ] {
        let result = plain(subject, condition).map(|threshold| Judge::new(threshold, 4));
        let result = result.expect(condition).result(&summary, None);
        assert_eq!(
            (result.observed.as_str(), result.passed),
            (observed, passed),
            "{subject} {condition}"
        );
    }
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
    ] {
        let error = plain(&format!("tls.p99{tags}"), "< 1s").expect_err(tags);
        assert!(error.to_string().contains(told), "{tags}: {error}");
    }
}
