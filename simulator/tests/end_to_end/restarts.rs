//! The bundled server ends in the middle of a run, and starts again.

use serde_json::Value;

use crate::binary::{Run, Scratch};

/// Devices that stay, and some that come meanwhile; their keys are rolled before, so that the server
/// has more to remember than it was told at its start.
fn scenario(restart: &str) -> String {
    format!(
        r#"
name = "restarts"
seed = 11

[server]
processing = {{ p50 = "1ms", p99 = "5ms" }}
retry-after = "0s"

[[cohort]]
name = "meters"
devices = 12
attestation = "symmetric-key-group"
transport = {{ mqtt = 50, amqp = 50 }}
retry = "naive"
boot = "register-always"
after = {{ reported = {{ firmware = "1.1" }}, hold = "9s", telemetry = "1/500ms" }}
arrival = {{ kind = "all-at-once" }}

[[cohort]]
name = "newcomers"
devices = 24
attestation = "x509-individual"
transport = {{ https = 50, mqtt = 50 }}
retry = "naive"
arrival = {{ kind = "constant-rate", rate = "4/s" }}

[[event]]
at = "1s"
do = "key-roll"
cohort = "meters"

[[event]]
at = "1500ms"
do = "key-retire"
cohort = "meters"

[[event]]
at = "3s"
do = "restart-server"
{restart}

[[event]]
at = "6s"
do = "reprovision"

[thresholds]
"provisioned.ratio" = "== 100%"
"connections.given-up.count" = "== 0"
"reprovisioned.failed.count" = "== 0"
"#
    )
}

fn ran(restart: &str) -> (Run, Value) {
    let scratch = Scratch::new();
    let run = scratch.run(&scenario(restart), &[]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    assert_eq!(summary["devices"]["provisioned"], 36, "{}", run.stdout);
    assert_eq!(summary["held"]["dropped"], 12, "{}", run.stdout);
    assert_eq!(summary["held"]["reconnected"], 12, "{}", run.stdout);
    // Only the new key holds, and the server has not forgotten it.
    assert_eq!(summary["reprovisions"]["provisioned"], 12, "{}", run.stdout);
    let events = summary["events"].as_array().expect("events");
    assert!(
        events.iter().all(|event| event["problem"] == Value::Null),
        "{events:?}"
    );
    let at = |what: &str| {
        let event = events.iter().find(|event| {
            let said = event["what"].as_str().expect("words");
            said.starts_with(what)
        });
        event.expect(what)["at_us"].as_u64().expect("a time")
    };
    let away = at("the server is back") - at("restart-server");
    assert!(away >= 1_000_000, "off for a second: {away}");
    (run, summary)
}

fn assigned(summary: &Value) -> &Value {
    let rows = summary["server_counters"]["rows"].as_array();
    let mut rows = rows.expect("rows").iter();
    let found = rows.find(|row| row["name"] == "registrations assigned");
    found.expect("a row")
}

#[test]
fn what_a_server_counted_before_a_stop_is_added_to_what_it_counts_after() {
    let (run, summary) = ran("off = \"1s\"");
    assert_eq!(summary["server_counters"]["agree"], true, "{}", run.stdout);
    let row = assigned(&summary);
    assert_eq!(row["uncounted"], 0, "{row}");
    assert_eq!(row["simulator"], 36 + 12, "{row}");
    assert!(row["server"].as_u64() >= Some(36 + 12), "both lives: {row}");
}

/// What devices hear in the moment before, no more.
#[test]
fn a_server_that_is_killed_may_have_counted_more_than_it_tells() {
    let (run, summary) = ran("how = \"kill\"\noff = \"1s\"");
    assert_eq!(summary["server_counters"]["agree"], true, "{}", run.stdout);
    let row = assigned(&summary);
    assert!(row["server"].as_u64() > Some(12), "both lives: {row}");
    // Those that come in the second after it is back, at most.
    assert!(row["uncounted"].as_u64() < Some(20), "{row}");
}
