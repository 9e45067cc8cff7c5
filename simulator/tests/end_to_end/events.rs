//! What happens to a running fleet.

use serde_json::{Map, Value, json};

use crate::binary::{Run, Scratch};

/// Devices by the words for how they ended.
fn counts(outcomes: &Value) -> Value {
    let outcomes = outcomes.as_array().expect("outcomes").iter();
    let count = |outcome: &Value| {
        let text = outcome["text"].as_str().expect("words");
        (text.to_owned(), outcome["count"].clone())
    };
    outcomes.map(count).collect::<Map<_, _>>().into()
}

/// Twenty devices of two cohorts, which stay for `hold`; then `events`.
fn scenario(hold: &str, events: &str) -> String {
    format!(
        r#"
name = "events"
seed = 6
device-timeout = "20s"

[server]
processing = {{ p50 = "1ms", p99 = "5ms" }}
retry-after = "0s"

[arrival]
kind = "all-at-once"

[[cohort]]
name = "meters"
devices = 10
attestation = "symmetric-key-group"
transport = {{ mqtt = 50, amqp = 50 }}
retry = "sdk-csharp"
after = {{ hold = "{hold}", telemetry = "1/500ms" }}

[[cohort]]
name = "kiosks"
devices = 10
attestation = "x509-group"
transport = "mqtt-ws"
retry = "naive"
boot = "register-always"
after = {{ hold = "{hold}" }}

{events}

[thresholds]
"provisioned.ratio" = "== 100%"
"connections.given-up.count" = "== 0"
"reprovisioned.failed.count" = "== 0"
"#
    )
}

fn ran(scratch: &Scratch, scenario: &str) -> (Run, Value) {
    let run = scratch.run(scenario, &[]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    assert_eq!(summary["server_counters"]["agree"], true, "{}", run.stdout);
    for event in summary["events"].as_array().expect("events") {
        assert_eq!(event["problem"], Value::Null, "{event}");
    }
    (run, summary)
}

fn number(summary: &Value, pointer: &str) -> u64 {
    summary
        .pointer(pointer)
        .and_then(Value::as_u64)
        .expect(pointer)
}

#[test]
fn an_outage_in_the_scenario_drops_its_hubs_devices_and_they_come_back() {
    let scratch = Scratch::new();
    let events = r#"
[[event]]
when = "provisioned >= 100%"
do = "hub-down"
[[event]]
at = "3s"
do = "hub-up"
"#;
    let (run, summary) = ran(&scratch, &scenario("8s", events));
    assert_eq!(number(&summary, "/held/dropped"), 20);
    assert_eq!(number(&summary, "/held/reconnected"), 20);
    assert_eq!(number(&summary, "/reprovisions/registrations"), 0);
    assert!(run.stdout.contains("hub-down, all hubs"), "{}", run.stdout);
    assert!(run.stderr.contains("event at 3."), "{}", run.stderr);
}

#[test]
fn after_a_power_cut_some_go_to_their_hub_and_some_to_dps() {
    let scratch = Scratch::new();
    let events = r#"
[[event]]
at = "3s"
do = "power-cut"
for = "1s"
[[event]]
at = "5s"
do = "reboot"
cohort = "meters"
"#;
    let (_, summary) = ran(&scratch, &scenario("6s", events));
    assert_eq!(number(&summary, "/held/rebooted"), 20 + 10);
    assert_eq!(
        number(&summary, "/reprovisions/provisioned"),
        10,
        "the kiosks"
    );
    assert_eq!(number(&summary, "/devices/provisioned"), 20, "once each");
    assert_eq!(number(&summary, "/held/dropped"), 0, "nobody's fault");
    // Response time counts from the moment the power went.
    let least = number(&summary, "/reprovisions/provisioning/response/min_us");
    assert!(least >= 950_000, "{least}");
}

#[test]
fn a_share_goes_back_to_dps() {
    let scratch = Scratch::new();
    let events = r#"
[[event]]
at = "2s"
do = "reprovision"
share = "50%"
"#;
    let (_, summary) = ran(&scratch, &scenario("4s", events));
    let went = number(&summary, "/reprovisions/provisioned");
    assert!((3..=17).contains(&went), "{went} of 20");
}

#[test]
fn faults_and_throttles_come_and_go() {
    let scratch = Scratch::new();
    let events = r#"
[[event]]
at = "1500ms"
do = "faults"
rules = [ { do = "delay", time = "700ms", operations = ["register"] } ]
[[event]]
at = "2s"
do = "reprovision"
cohort = "kiosks"
[[event]]
at = "4s"
do = "faults"
rules = []
[[event]]
at = "4s"
do = "throttle"
to = { registrations-per-minute = 1 }
[[event]]
at = "4500ms"
do = "reprovision"
cohort = "kiosks"
[[event]]
at = "7s"
do = "throttle"
to = "none"
"#;
    let (run, summary) = ran(&scratch, &scenario("14s", events));
    assert_eq!(
        number(&summary, "/reprovisions/provisioned"),
        20,
        "{}",
        run.stdout
    );
    let slowed = number(&summary, "/reprovisions/registration/response/p50_us");
    assert!(slowed > 600_000, "{slowed}");
    assert!(number(&summary, "/reprovisions/attempts/throttled") >= 9);
    assert_eq!(
        number(&summary, "/attempts/throttled"),
        0,
        "they were first"
    );
}

#[test]
fn a_fault_that_makes_no_sense_is_found_before_the_first_device() {
    let scratch = Scratch::new();
    let events = r#"
[[event]]
at = "1h"
do = "faults"
rules = [ { do = "explode" } ]
"#;
    let run = scratch.run(&scenario("4s", events), &[]);
    assert_eq!(run.exit_code, 2, "{}", run.stderr);
    let said = &run.stderr;
    assert!(said.contains("event[0].rules"), "{said}");
    assert!(said.contains("explode"), "{said}");
}

#[test]
fn a_run_that_is_over_before_an_event_proves_nothing() {
    let scratch = Scratch::new();
    // In time only if devices need all the time that they may take.
    let events = "[[event]]\nat = \"60s\"\ndo = \"hub-down\"\nhub = \"hub-1\"\n";
    let run = scratch.run(&scenario("1s", events), &[]);
    assert_eq!(run.exit_code, 98, "{}\n{}", run.stdout, run.stderr);
    let said = "an event of the scenario did not happen: hub-down hub-1";
    assert!(run.stdout.contains(said), "{}", run.stdout);
}

#[test]
fn a_server_that_is_not_ours_is_left_alone() {
    let scratch = Scratch::new();
    let events = "[[event]]\nat = \"1s\"\ndo = \"hub-down\"\n";
    let flags = ["--endpoint", "127.0.0.1", "--id-scope", "0ne00000001"];
    let run = scratch.run(&scenario("4s", events), &flags);
    assert_eq!(run.exit_code, 2, "{}", run.stderr);
    assert!(
        run.stderr.contains("needs the bundled server"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_rolled_key_is_taken_by_those_who_are_told_and_the_rest_is_refused() {
    let scratch = Scratch::new();
    let events = r#"
[[event]]
at = "2500ms"
do = "key-roll"
cohort = "meters"
[[event]]
at = "3s"
do = "reprovision"
cohort = "meters"
share = "60%"
[[event]]
at = "6s"
do = "key-retire"
cohort = "meters"
[[event]]
at = "6500ms"
do = "disable-enrollment"
cohort = "kiosks"
[[event]]
at = "7s"
do = "reboot"
"#;
    let scenario = scenario("9s", events).replace(
        "retry = \"sdk-csharp\"",
        "retry = \"sdk-csharp\"\nboot = \"register-always\"",
    );
    // Up to the thresholds, which don't hold: some give up.
    let scenario = scenario.split("[thresholds]").next().expect("a scenario");
    let (_, summary) = ran(&scratch, scenario);
    let told = number(&summary, "/reprovisions/provisioned") / 2;
    assert!(
        (2..=9).contains(&told),
        "{told} took the new key, and came back with it"
    );
    let failures = counts(&summary["reprovisions"]["failures"]);
    let refused = failures["refused at register: 401 (401000)"].as_u64();
    assert_eq!(refused, Some(10 - told), "{failures}");
    assert_eq!(
        failures["enrollment disabled"], 10,
        "the kiosks: {failures}"
    );
}

/// Devices that stay, and some that come one after another, of each of these attestations.
fn stay_and_come(name: &str, attestations: &[&str]) -> String {
    let cohorts = attestations.iter().map(|attestation| {
        format!(
            r#"
[[cohort]]
name = "{attestation}"
devices = 24
attestation = "{attestation}"
transport = {{ mqtt = 50, amqp = 50 }}
arrival = {{ kind = "all-at-once" }}
boot = "register-always"
after = {{ hold = "7s" }}

[[cohort]]
name = "new-{attestation}"
devices = 8
attestation = "{attestation}"
transport = "https"
arrival = {{ kind = "constant-rate", rate = "1/s" }}
"#
        )
    });
    let cohorts = cohorts.collect::<String>();
    format!(
        r#"
name = "{name}"
seed = 6

[server]
processing = {{ p50 = "1ms", p99 = "5ms" }}
retry-after = "0s"
{cohorts}
"#
    )
}

#[test]
fn a_rolled_certificate_is_taken_by_those_who_are_told_and_the_rest_is_refused() {
    let kinds = [
        ("x509-group", "certificate"),
        ("x509-individual", "certificate"),
        ("symmetric-key-individual", "key"),
    ];
    let events = kinds.iter().flat_map(|(attestation, proof)| {
        [("2s", "roll"), ("4s", "retire")].map(|(at, what)| {
            format!(
                r#"
[[event]]
at = "{at}"
do = "{proof}-{what}"
cohort = "{attestation}"
[[event]]
at = "{at}"
do = "{proof}-{what}"
cohort = "new-{attestation}"
"#
            )
        })
    });
    let scenario = stay_and_come("rolled", &kinds.map(|(attestation, _)| attestation))
        + &events.collect::<String>()
        + r#"
[[event]]
at = "2500ms"
do = "reprovision"
share = "60%"
[[event]]
at = "5s"
do = "reboot"

[thresholds]
"provisioned.ratio" = "== 100%"
"#;
    let scratch = Scratch::new();
    let (run, summary) = ran(&scratch, &scenario);
    let told = number(&summary, "/reprovisions/provisioned") / 2;
    let failures = counts(&summary["reprovisions"]["failures"]);
    assert_eq!(failures.as_object().map(Map::len), Some(2), "{failures}");
    let refused = |code: &str| {
        let refused = failures[format!("refused at register: 401 ({code})")].as_u64();
        refused.expect("a count")
    };
    let (certificates, keys) = (refused("401002"), refused("401000"));
    assert_eq!(told + certificates + keys, 3 * 24, "{}", run.stdout);
    assert!((2 * 4..=2 * 16).contains(&certificates), "{certificates}");
    assert!((4..=16).contains(&keys), "{keys}");
}

#[test]
fn certificates_of_a_batch_expire_in_the_middle_of_a_run() {
    let kinds = ["x509-group", "x509-individual"];
    let events = kinds.map(|attestation| {
        format!(
            r#"
[[event]]
at = "4s"
do = "expire-batch"
cohort = "{attestation}"
share = "50%"
[[event]]
at = "4s"
do = "expire-batch"
cohort = "new-{attestation}"
"#
        )
    });
    let scenario = stay_and_come("expiring", &kinds)
        + &events.concat()
        + r#"
[[event]]
at = "2s"
do = "reboot"
[[event]]
at = "5s"
do = "reboot"
"#;
    let scratch = Scratch::new();
    let (run, summary) = ran(&scratch, &scenario);
    let refusal = "refused at register: 401 (401002)";
    let expired = number(&summary, "/reprovisions/failed");
    assert!((2 * 5..=2 * 19).contains(&expired), "{}", run.stdout);
    assert_eq!(
        counts(&summary["reprovisions"]["failures"]),
        json!({ refusal: expired })
    );
    let went_back = number(&summary, "/reprovisions/provisioned");
    assert_eq!(went_back, 96 - expired, "all, then those that hold");
    // A new one of each a second: those of the first four seconds, then none.
    assert_eq!(
        counts(&summary["outcomes"]),
        json!({ "provisioned": 2 * (24 + 4), refusal: 2 * 4 })
    );
}

#[test]
fn lines_get_longer_and_shorter_for_those_who_come_and_for_those_who_are_there() {
    let scratch = Scratch::new();
    let scenario = r#"
name = "detour"
seed = 6

[server]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "0s"

[[region]]
name = "westeurope"

[[cohort]]
name = "gateways"
devices = 12
attestation = "x509-group"
transport = "mqtt"
regions = { westeurope = 1 }
arrival = { kind = "bursts", size = 4, every = "3s" }

[[event]]
at = "2s"
do = "latency"
region = "westeurope"
rtt = "200ms"

[[event]]
at = "5s"
do = "latency"
region = "westeurope"
rtt = "60ms"

[thresholds]
"provisioned.ratio" = "== 100%"
"#;
    let run = scratch.run(scenario, &["--journal"]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let said = "latency westeurope: rtt 200ms";
    assert!(run.stdout.contains(said), "{}", run.stdout);
    let journal = std::fs::read_to_string(scratch.path("out/journal.jsonl")).expect("readable");
    let lines = journal.lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let records: Vec<_> = lines
        .filter_map(|line| line.get("record").cloned())
        .collect();
    assert_eq!(records.len(), 12);
    for record in records {
        // Three bursts: over no line, a long one and a shorter one.
        let round_trip: u64 = match record["intended_start_us"].as_u64().expect("a time") {
            0..2_000_000 => 0,
            2_000_000..5_000_000 => 200_000,
            _ => 60_000,
        };
        let connect = number(&record, "/phases_us/2");
        // A line is right in the mean: each way may be a millisecond short, or long.
        let least = round_trip.saturating_sub(2_000);
        assert!(
            (least..round_trip + 60_000).contains(&connect),
            "{connect} for {round_trip}: {record}"
        );
        let took = number(&record, "/end_us") - number(&record, "/start_us");
        assert!(took >= 10 * round_trip, "eleven there and back: {record}");
    }
}
