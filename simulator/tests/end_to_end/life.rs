//! Devices that stay with their hubs.

use std::time::Duration;

use serde_json::Value;

use crate::binary::{Scratch, Served, fleetstorm, path};
use crate::service::{control, hub, set_hubs};

/// Every transport that a device can stay over.
const TRANSPORTS: [&str; 4] = ["mqtt", "mqtt-ws", "amqp", "amqp-ws"];

fn scenario(hold: &str, more: &str) -> String {
    let cohort = |transport: &&str| {
        format!(
            r#"
[[cohort]]
name = "{transport}"
devices = 5
attestation = "symmetric-key-group"
transport = "{transport}"
retry = "sdk-csharp"
after = {{ hold = "{hold}", telemetry = "1/500ms" }}
"#
        )
    };
    format!(
        r#"
name = "life"
seed = 4
device-timeout = "20s"
{more}

[server]
processing = {{ p50 = "1ms", p99 = "5ms" }}
retry-after = "0s"

[arrival]
kind = "all-at-once"
{}

[thresholds]
"provisioned.ratio" = "== 100%"
"#,
        TRANSPORTS.iter().map(cohort).collect::<String>()
    )
}

fn of_life(summary: &Value, key: &str) -> u64 {
    summary["held"][key].as_u64().expect(key)
}

#[test]
fn devices_stay_and_send_until_their_time_is_over() {
    let scratch = Scratch::new();
    let run = scratch.run(&scenario("4s", ""), &[]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    let of = |key| of_life(&summary, key);
    assert_eq!((of("most"), of("now")), (20, 0));
    assert_eq!((of("dropped"), of("turned_away")), (0, 0));
    // The first of eight comes by chance within half a second.
    assert!(
        (7 * 20..=8 * 20).contains(&of("messages")),
        "{}",
        of("messages")
    );
    assert_eq!(summary["server_counters"]["agree"], true);
    let rows = summary["server_counters"]["rows"].as_array().expect("rows");
    let received = rows.iter().filter(|row| {
        let name = row["name"].as_str();
        name.is_some_and(|name| name.starts_with("messages to"))
    });
    let received: u64 = received.filter_map(|row| row["server"].as_u64()).sum();
    assert_eq!(received, of("messages"), "nothing lost, nothing double");
}

#[test]
fn as_many_as_allowed_stay_and_the_rest_leaves() {
    let scratch = Scratch::new();
    let run = scratch.run(&scenario("2s", "max-held = 6"), &[]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    // A core has its share of the places, rounded up.
    let (held, away) = (of_life(&summary, "most"), of_life(&summary, "turned_away"));
    assert!((6..=12).contains(&held), "{held}");
    assert_eq!(held + away, 20);
    assert!(run.stdout.contains("max-held"), "{}", run.stdout);
}

#[test]
fn held_devices_answer_methods_hear_changes_and_come_back_after_an_outage() {
    let scratch = Scratch::new();
    let scenario = scenario("10s", "");
    let file = scratch.write("life.toml", &scenario);
    let list = scratch.path("enrollments.jsonl");
    let exported = fleetstorm(&["enrollments", path(&file), "--out", path(&list)]);
    assert_eq!(exported.exit_code, 0, "{}", exported.stderr);
    let served = Served::with_enrollments(&list);
    let ca = scratch.write("ca.pem", served.text("ca_pem"));
    let run = std::thread::scope(|scope| {
        scope.spawn(|| serve_and_fail(&served));
        scratch.run(&scenario, &served.flags(&ca))
    });
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    for key in ["most", "desired", "methods", "dropped", "reconnected"] {
        assert_eq!(of_life(&summary, key), 20, "{key}: {}", run.stdout);
    }
    assert_eq!(of_life(&summary, "given_up"), 0);
}

/// Once all devices send: a change and a call for each, then an outage of a second.
fn serve_and_fail(served: &Served) {
    let all_send = || {
        let counters = control(served, "GET", "/counters", "");
        let counts = counters["device_to_cloud_messages"].as_object().cloned();
        let sent: u64 = counts
            .iter()
            .flat_map(|counts| counts.values())
            .filter_map(Value::as_u64)
            .sum();
        sent > 40
    };
    while !all_send() {
        std::thread::sleep(Duration::from_millis(100));
    }
    for transport in TRANSPORTS {
        for device in 0..5 {
            let twin = format!("/twins/{transport}-{device:07}");
            let patch = r#"{"properties":{"desired":{"interval":30}}}"#;
            hub(served, "PATCH", &twin, patch);
            let call = r#"{"methodName":"reboot","payload":null,"responseTimeoutInSeconds":10}"#;
            let answer = hub(served, "POST", &format!("{twin}/methods"), call);
            assert_eq!(answer["status"], 200, "{twin}");
        }
    }
    set_hubs(served, "down");
    std::thread::sleep(Duration::from_secs(1));
    set_hubs(served, "up");
}
