//! What `fleetstorm plan` says before a run, and what the run then does.

use std::time::Duration;

use serde_json::Value;

use crate::binary::{Scratch, fleetstorm, path};

/// A hundred find room in the minute in which they come; the others ask until the next, as they are told
/// or all the time. The cohorts come one after another, or chance would say who finds room.
const STORM: &str = r#"
name = "storm"
seed = 5
device-timeout = "3m"

[server]
processing = { p50 = "20ms", p99 = "100ms" }
retry-after = "1s"
throttle = { registrations-per-minute = 120, operations-per-minute = 1_000, polls-per-ten-seconds = 5 }

[[cohort]]
name = "first"
devices = 100
attestation = "symmetric-key-group"
transport = { mqtt = 50, amqp = 50 }
arrival = { kind = "all-at-once" }

[[cohort]]
name = "naive"
devices = 70
attestation = "x509-group"
transport = "https"
retry = "naive"
arrival = { kind = "all-at-once", delay = "2s" }

[[cohort]]
name = "obedient"
devices = 60
attestation = "symmetric-key-group"
transport = "mqtt"
retry = "sdk-c"
arrival = { kind = "all-at-once", delay = "4s" }

[[cohort]]
name = "java"
devices = 30
attestation = "symmetric-key-group"
transport = "https"
retry = "sdk-java"
arrival = { kind = "all-at-once", delay = "5s" }
"#;

/// The second of a minute by the clock that a run and its server go by.
fn second_of_minute() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
    since.as_secs() % 60
}

#[test]
fn a_throttled_run_is_as_it_was_forecast() {
    // Were the minute nearly over, the storm would be, too, and a few milliseconds a tenth of it.
    let second = second_of_minute();
    if !(2..40).contains(&second) {
        std::thread::sleep(Duration::from_secs((62 - second) % 60));
    }
    let scratch = Scratch::new();
    let run = scratch.run(STORM, &["--journal"]);
    assert_eq!(run.exit_code, 0, "{}{}", run.stdout, run.stderr);
    let file = scratch.path("scenario.toml");
    let out = scratch.path("out");
    let plan = fleetstorm(&["plan", path(&file), "--json", "--compare", path(&out)]);
    assert_eq!(plan.exit_code, 0, "{}", plan.stderr);
    let plan: Value = serde_json::from_str(&plan.stdout).expect("JSON");
    let rows = plan["comparison"].as_array().expect("rows");
    for what in [
        "provisioned",
        "throttled devices",
        "answers 429",
        "time until the last device has ended",
        "full recovery of the longest storm",
    ] {
        let row = rows.iter().find(|row| row["what"] == what).expect(what);
        let error = row["error"]
            .as_f64()
            .unwrap_or_else(|| panic!("{what} was not measured: {row}"));
        assert!(error.abs() < 0.1, "{row}");
    }

    // What was counted as it happened is what its devices told at their end, and came while they were under way.
    let summary = scratch.summary();
    let timeline = summary["timeline"].as_array().expect("intervals");
    let of = |key: &str| -> Vec<u64> {
        let points = timeline.iter();
        points
            .map(|point| point[key].as_u64().expect("a count"))
            .collect()
    };
    let (throttled, ended) = (of("throttled"), of("provisioned"));
    let told = summary["attempts"]["throttled_answers"].as_u64();
    assert_eq!(Some(throttled.iter().sum()), told);
    assert_eq!(
        Some(ended.iter().sum()),
        summary["devices"]["provisioned"].as_u64()
    );
    let first = |counts: &[u64]| counts.iter().position(|count| *count > 0);
    assert!(
        first(&throttled[2..]) < first(&ended[2..]),
        "{throttled:?} {ended:?}"
    );
    let again = fleetstorm(&["report", path(&out)]);
    assert_eq!(again.exit_code, 0, "{}", again.stderr);
    assert_eq!(scratch.summary(), summary);
}

#[test]
fn a_plan_reaches_no_endpoint_and_needs_no_word() {
    let scratch = Scratch::new();
    let file = scratch.write("storm.toml", STORM);
    let plan = fleetstorm(&[
        "plan",
        path(&file),
        "--endpoint",
        "nowhere.invalid",
        "--id-scope",
        "0ne00000001",
        "--starts-at",
        "10",
    ]);
    assert_eq!(plan.exit_code, 0, "{}", plan.stderr);
    for words in [
        "nowhere.invalid",
        "throttle \"azure\"",
        "260 of 260 devices",
        "local ports",
    ] {
        assert!(plan.stdout.contains(words), "{words}: {}", plan.stdout);
    }
}
