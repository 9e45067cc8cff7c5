//! Devices that are not served at once: each does as its retry profile says.

use std::time::Duration;

use serde_json::Value;

use crate::binary::{Scratch, Served, fleetstorm, path};
use crate::service::{control, set_hubs};

/// A cohort of five for each profile, over MQTT, where SDKs differ most.
fn scenario(profiles: &[&str]) -> String {
    let head = r#"
name = "retries"
seed = 9
device-timeout = "60s"

[arrival]
kind = "all-at-once"
"#;
    let cohort = |profile: &&str| {
        format!(
            r#"
[[cohort]]
name = "{profile}"
devices = 5
attestation = "symmetric-key-group"
transport = "mqtt"
retry = "{profile}"
"#
        )
    };
    head.to_owned() + &profiles.iter().map(cohort).collect::<String>()
}

/// A server that knows the scenario's devices.
fn served(scratch: &Scratch, scenario: &str) -> Served {
    let file = scratch.write("retries.toml", scenario);
    let list = scratch.path("enrollments.jsonl");
    let exported = fleetstorm(&["enrollments", path(&file), "--out", path(&list)]);
    assert_eq!(exported.exit_code, 0, "{}", exported.stderr);
    Served::with_enrollments(&list)
}

/// Waits until all devices have come as far as `count` says, and `more` after that.
fn when_all_came(served: &Served, path: &str, count: &str, more: Duration) {
    let came = || control(served, "GET", path, "").pointer(count).cloned();
    while came().and_then(|count| count.as_u64()) < Some(25) {
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(more);
}

fn run_against(scratch: &Scratch, served: &Served, scenario: &str) -> Value {
    let ca = scratch.write("ca.pem", served.text("ca_pem"));
    let run = scratch.run(scenario, &served.flags(&ca));
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("attempts "), "{}", run.stdout);
    scratch.summary()
}

/// A number of one cohort's cut.
fn of_cohort(summary: &Value, cohort: &str, pointer: &str) -> u64 {
    let cuts = summary["cuts"].as_array().expect("cuts");
    let mut cuts = cuts.iter().filter(|cut| cut["dimension"] == "cohort");
    let cut = cuts.find(|cut| cut["name"] == cohort).expect("a cut");
    cut.pointer(pointer).and_then(Value::as_u64).expect(pointer)
}

#[test]
fn a_hub_that_was_down_is_found_again_by_everybody() {
    let scratch = Scratch::new();
    let profiles = [
        "patient",
        "naive",
        "sdk-csharp",
        "sdk-python",
        "well-behaved",
    ];
    let scenario = scenario(&profiles);
    let served = served(&scratch, &scenario);
    set_hubs(&served, "down");
    let summary = std::thread::scope(|scope| {
        scope.spawn(|| {
            let assigned = "/registrations_assigned";
            when_all_came(&served, "/counters", assigned, Duration::from_secs(5));
            set_hubs(&served, "up");
        });
        run_against(&scratch, &served, &scenario)
    });
    for profile in profiles {
        let of = |pointer| of_cohort(&summary, profile, pointer);
        assert_eq!(of("/provisioned"), 5, "{profile}");
        assert_eq!(of("/attempts/retried"), 5, "{profile}");
        assert!(of("/attempts/lost_connections") >= 5, "{profile}");
        assert_eq!(of("/attempts/throttled"), 0, "{profile}");
    }
    let attempts = |profile| of_cohort(&summary, profile, "/attempts/total");
    assert_eq!(attempts("sdk-python"), 10, "once more after ten seconds");
    assert!(attempts("naive") > attempts("patient"));
    let waited = |profile| of_cohort(&summary, profile, "/phases/hub-connect/min_us");
    assert!(waited("sdk-python") > 9_500_000);
    assert!(waited("sdk-csharp") < 9_500_000);
}
