//! The server's own counters beside the devices', when answers get lost and when they don't.

use serde_json::Value;

use crate::binary::Scratch;

fn scenario(head: &str, rules: &str, cohort: &str) -> String {
    let server = r#"
seed = 3

[server]
hub = [{ name = "hub-1" }, { name = "hub-2" }]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "0s"

[arrival]
kind = "constant-rate"
rate = "40/s"
"#;
    let cohorts = [
        ("x509-group", "https"),
        ("x509-group", "mqtt"),
        ("symmetric-key-group", "mqtt-ws"),
        ("symmetric-key-group", "amqp"),
        ("x509-group", "amqp-ws"),
    ];
    let cohorts = cohorts.map(|(attestation, transport)| {
        format!(
            "[[cohort]]\nname = \"{transport}\"\ndevices = 40\nattestation = \"{attestation}\"\ntransport = \"{transport}\"\n{cohort}\n"
        )
    });
    let rules = format!("[[event]]\nat = \"0s\"\ndo = \"faults\"\nrules = [{rules}]\n");
    [head, server, &rules, &cohorts.concat()].concat()
}

fn rows(summary: &Value) -> Vec<Value> {
    let rows = summary["server_counters"]["rows"].as_array();
    rows.expect("rows").clone()
}

/// By how much the server's count exceeds the devices', in all rows whose names begin like this.
fn surplus(rows: &[Value], name: &str) -> i64 {
    let of_name = rows.iter().filter(|row| {
        let full = row["name"].as_str();
        full.is_some_and(|full| full.starts_with(name))
    });
    let count = |row: &Value, side: &str| row[side].as_i64().expect("a count");
    of_name
        .map(|row| count(row, "server") - count(row, "simulator"))
        .sum()
}

#[test]
fn who_loses_patience_while_the_answer_is_on_its_way_makes_no_counter_differ() {
    let scratch = Scratch::new();
    let delays = ["poll", "twin", "telemetry"].map(|operation| {
        format!(
            "{{ do = \"delay\", time = \"1300ms\", operations = [\"{operation}\"], share = 0.1 }}"
        )
    });
    let text = scenario(
        "name = \"impatient\"\ndevice-timeout = \"1s\"\n",
        &delays.join(", "),
        "after = { reported = { sealed = true }, messages = 2 }",
    );
    let run = scratch.run(&text, &[]);
    let told = format!("{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    assert_eq!(summary["server_counters"]["agree"], true, "{told}");
    let rows = rows(&summary);
    for name in ["registrations", "assigned", "twins", "reports", "messages"] {
        assert!(surplus(&rows, name) > 0, "{name}: nothing got lost\n{told}");
    }
}

#[test]
fn who_stays_and_loses_its_patience_or_its_hub_makes_no_counter_differ() {
    let scratch = Scratch::new();
    let delays = ["poll", "twin", "telemetry"].map(|operation| {
        format!(
            "{{ do = \"delay\", time = \"1300ms\", operations = [\"{operation}\"], share = 0.05 }}"
        )
    });
    let text = scenario(
        "name = \"impatient\"\ndevice-timeout = \"1s\"\n",
        &delays.join(", "),
        "after = { hold = \"4s\", telemetry = \"10/s\" }\nretry = \"patient\"",
    );
    let events = r#"
[[event]]
at = "1500ms"
do = "hub-down"
[[event]]
at = "1800ms"
do = "hub-up"
[[event]]
at = "2s"
do = "power-cut"
share = "30%"
for = "200ms"
[[event]]
at = "2500ms"
do = "reprovision"
share = "30%"
"#;
    let run = scratch.run(&[&text, events].concat(), &[]);
    let told = format!("{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    assert_eq!(summary["server_counters"]["agree"], true, "{told}");
    let rows = rows(&summary);
    for name in ["twins", "messages"] {
        assert!(surplus(&rows, name) > 0, "{name}: nothing got lost\n{told}");
    }
}

/// A double assignment among them would be told.
#[test]
fn connections_that_are_reset_before_anything_is_asked_excuse_nothing() {
    let scratch = Scratch::new();
    let text = scenario(
        "name = \"reset\"\n",
        r#"{ do = "reset", operations = ["connect"], share = 0.2 }"#,
        "retry = \"patient\"",
    );
    let run = scratch.run(&text, &[]);
    let told = format!("{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    assert_ne!(summary["attempts"]["lost_connections"], 0, "{told}");
    assert_eq!(summary["server_counters"]["agree"], true, "{told}");
    for row in rows(&summary) {
        assert_eq!(row["unheard"], 0, "{row}");
    }
}
