//! Runs that end as a user hopes.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::binary::{Scratch, Served, command, fleetstorm, path};

/// A capture of a run can be read with the secrets of both sides, by nobody but the user.
#[test]
fn secrets_of_connections_go_where_sslkeylogfile_says() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = Scratch::new();
    let (file, out, log) = (
        scratch.write("small.toml", SMALL),
        scratch.path("out"),
        scratch.path("keys.log"),
    );
    let run = command(&["run", path(&file), "--tui", "never", "--out", path(&out)])
        .env("SSLKEYLOGFILE", &log)
        .output()
        .expect("the binary");
    assert!(run.status.success(), "{run:?}");
    let text = std::fs::read_to_string(&log).expect("a log");
    let of_traffic = text
        .lines()
        .filter(|line| line.starts_with("CLIENT_TRAFFIC_SECRET_0 "));
    let mut times = std::collections::BTreeMap::new();
    for line in of_traffic {
        *times.entry(line).or_insert(0) += 1;
    }
    let both = times.values().filter(|times| **times == 2).count();
    assert!(both >= 100, "a server and a device each: {both}");
    let mode = std::fs::metadata(&log).expect("a log").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Every attestation and transport, few devices, at once.
const SMALL: &str = r#"
name = "small"
seed = 11

[server]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "0s"

[arrival]
kind = "constant-rate"
rate = "100/s"

[[cohort]]
name = "gateways"
devices = 30
attestation = "x509-group"
transport = { https = 20, mqtt = 20, mqtt-ws = 20, amqp = 20, amqp-ws = 20 }
desired = { interval = 30, firmware = { version = "1.2" } }
after = { reported = { firmware = "1.1" }, messages = 2 }

[[cohort]]
name = "sensors"
devices = 20
attestation = "x509-individual"
transport = { https = 40, mqtt = 30, amqp = 30 }

[[cohort]]
name = "controllers"
devices = 10
attestation = "tpm"
transport = { https = 40, amqp = 30, amqp-ws = 30 }
hub-transport = "amqp-ws"
desired = { mode = "auto" }

[[cohort]]
name = "meters"
devices = 15
attestation = "symmetric-key-group"
transport = { https = 20, mqtt = 20, mqtt-ws = 20, amqp = 20, amqp-ws = 20 }

[[cohort]]
name = "locks"
devices = 15
attestation = "symmetric-key-individual"
transport = { https = 20, mqtt = 20, mqtt-ws = 20, amqp = 20, amqp-ws = 20 }
desired = { open = false }

[thresholds]
"provisioned.ratio" = "== 100%"
"#;
/// How many those are.
const DEVICES: u64 = 90;
/// Those that report and send two messages each.
const GATEWAYS: u64 = 30;

fn count(summary: &Value, key: &str) -> u64 {
    summary["devices"][key].as_u64().expect("a count")
}

#[test]
fn every_attestation_and_transport_provisions() {
    let scratch = Scratch::new();
    let run = scratch.run(SMALL, &["--journal"]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    for key in ["planned", "released", "registered", "provisioned"] {
        assert_eq!(count(&summary, key), DEVICES, "{key}");
    }
    assert_eq!(count(&summary, "failed"), 0);
    assert_eq!(summary["verdict"], "pass");
    assert_eq!(summary["server_counters"]["agree"], true);
    let rows = summary["server_counters"]["rows"].as_array().expect("rows");
    let messages = rows.iter().filter(|row| {
        row["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("messages to"))
    });
    let received: u64 = messages.filter_map(|row| row["server"].as_u64()).sum();
    assert_eq!(received, 2 * GATEWAYS);
    let cuts = summary["cuts"].as_array().expect("cuts");
    for name in [
        "gateways",
        "sensors",
        "controllers",
        "https",
        "mqtt",
        "mqtt-ws",
        "amqp",
        "amqp-ws",
        "x509-group",
        "x509-individual",
        "meters",
        "locks",
        "symmetric-key-group",
        "symmetric-key-individual",
        "tpm",
    ] {
        let cut = cuts.iter().find(|cut| cut["name"] == name);
        assert!(
            cut.is_some_and(|cut| cut["provisioned"].as_u64() > Some(0)),
            "{name}"
        );
    }
    for phase in [
        "queue",
        "resolve",
        "connect",
        "tls",
        "open",
        "attest",
        "register",
        "assign",
        "hub-connect",
        "twin",
        "report",
        "telemetry",
    ] {
        assert!(
            summary["phases"][phase]["count"].as_u64() > Some(0),
            "{phase}"
        );
    }
    for (latency, kind) in [("registration", "response"), ("provisioning", "service")] {
        assert_eq!(summary[latency][kind]["count"], DEVICES, "{latency} {kind}");
    }
    let response = summary["provisioning"]["response"]["p50_us"].as_u64();
    assert!(response >= summary["registration"]["service"]["p50_us"].as_u64());
    let html = std::fs::read_to_string(scratch.path("out/report.html")).expect("report.html");
    assert!(html.contains("<svg") && !html.contains("http://cdn") && !html.contains("<script src"));
}

#[test]
fn a_report_is_made_again_from_its_folder() {
    let scratch = Scratch::new();
    let run = scratch.run(SMALL, &["--devices", "20", "--journal"]);
    assert_eq!(run.exit_code, 0, "{}", run.stderr);
    let again = fleetstorm(&["report", path(&scratch.path("out"))]);
    assert_eq!(again.exit_code, 0, "{}", again.stderr);
    assert!(
        run.stdout.starts_with(&again.stdout),
        "{}\n---\n{}",
        run.stdout,
        again.stdout
    );
}

#[test]
fn another_endpoint_is_driven_like_the_bundled_one() {
    let scratch = Scratch::new();
    let scenario = scratch.write("elsewhere.toml", SMALL);
    let list = scratch.path("enrollments.jsonl");
    let exported = fleetstorm(&["enrollments", path(&scenario), "--out", path(&list)]);
    assert_eq!(exported.exit_code, 0, "{}", exported.stderr);
    let served = Served::with_enrollments(&list);
    let ca = scratch.write("ca.pem", served.text("ca_pem"));
    let run = scratch.run(SMALL, &served.flags(&ca));
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    assert_eq!(count(&summary, "provisioned"), DEVICES);
    assert!(
        summary["resources"]["server"].is_null(),
        "somebody else's server is not measured"
    );
}

#[test]
fn an_interrupted_run_writes_its_report_and_exits_130() {
    let scratch = Scratch::new();
    let scenario = scratch.write("long.toml", &SMALL.replace("100/s", "5/s"));
    let mut child = command(&[
        "run",
        path(&scenario),
        "--tui",
        "never",
        "--out",
        path(&scratch.path("out")),
    ])
    .stdout(Stdio::null())
    .stderr(Stdio::piped())
    .spawn()
    .expect("the binary");
    let mut progress = BufReader::new(child.stderr.take().expect("progress"));
    let mut line = String::new();
    while !line.contains("released") {
        line.clear();
        assert_ne!(
            progress.read_line(&mut line).expect("a line"),
            0,
            "it ended by itself"
        );
    }
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.expect("kill").success());
    std::io::copy(&mut progress, &mut std::io::sink()).expect("the rest");
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    let summary = scratch.summary();
    assert_eq!(summary["verdict"], "invalid");
    assert!(count(&summary, "released") < DEVICES);
    assert_eq!(
        count(&summary, "released"),
        count(&summary, "provisioned") + count(&summary, "failed")
    );
}

#[test]
fn same_seed_same_fleet_and_another_seed_another() {
    let scratch = Scratch::new();
    let scenario = scratch.write("scenario.toml", SMALL);
    let list = |seed: &str, name: &str| {
        let out = scratch.path(name);
        let run = fleetstorm(&[
            "enrollments",
            path(&scenario),
            "--seed",
            seed,
            "--out",
            path(&out),
        ]);
        assert_eq!(run.exit_code, 0, "{}", run.stderr);
        std::fs::read_to_string(out).expect("the list")
    };
    let first = list("5", "a");
    assert_eq!(first, list("5", "b"));
    assert_ne!(first, list("6", "c"));
    assert_eq!(
        first.lines().count(),
        47,
        "two groups, 20 sensors, 10 TPMs, 15 locks"
    );
}

#[test]
fn an_hour_of_a_scenario_passes_in_seconds() {
    let scratch = Scratch::new();
    let text = r#"
name = "an-hour"
seed = 2
time-scale = 900

[server]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "0s"

[[cohort]]
name = "meters"
devices = 12
attestation = "symmetric-key-group"
transport = "mqtt"
arrival = { kind = "constant-rate", rate = "24/h" }
after = { hold = "30m", telemetry = "2/m" }

[[event]]
at = "45m"
do = "reprovision"

[thresholds]
"provisioned.ratio" = "== 100%"
"reprovisioned.count" = "> 0"
"messages.count" = "> 100"
"failed.count" = { is = "== 0", window = "15m" }
"#;
    let run = scratch.run(text, &["--journal"]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("time × 900"), "{}", run.stdout);
    let summary = scratch.summary();
    assert_eq!(summary["time_scale"], 900.0);
    let last_us = summary["duration_us"].as_u64().expect("a duration");
    assert!((1_000_000..20_000_000).contains(&last_us), "{last_us}");
    let event_us = summary["events"][0]["at_us"].as_u64().expect("a moment");
    assert!((3_000_000..6_000_000).contains(&event_us), "{event_us}");
}

#[test]
fn a_closed_load_is_never_more_than_its_slots() {
    let scratch = Scratch::new();
    let text = r#"
name = "turns"
seed = 5

[server]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "1s"

[[cohort]]
name = "in-turn"
devices = 24
attestation = "symmetric-key-group"
transport = { mqtt = 1, https = 1 }
arrival = { kind = "closed", concurrency = 6 }

[[cohort]]
name = "in-time"
devices = 20
attestation = "symmetric-key-group"
transport = "mqtt"
arrival = { kind = "constant-rate", rate = "10/s" }

[thresholds]
"provisioned.ratio" = "== 100%"
"dropped.count" = "== 0"
"#;
    let run = scratch.run(text, &["--journal"]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let journal = std::fs::read_to_string(scratch.path("out").join("journal.jsonl"));
    let journal = journal.expect("a journal");
    let entries = journal
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let entries: Vec<serde_json::Value> = entries.collect();
    let in_turn = entries
        .iter()
        .map(|entry| &entry["record"])
        .filter(|record| record["cohort"] == 0);
    let time = |record: &serde_json::Value, key: &str| record[key].as_u64().expect("a time");
    let mut steps: Vec<(u64, i32)> = in_turn
        .flat_map(|record| [(time(record, "start_us"), 1), (time(record, "end_us"), -1)])
        .collect();
    assert_eq!(steps.len(), 48);
    steps.sort_unstable();
    let mut under_way = 0;
    let most = steps.iter().map(|(_, step)| {
        under_way += step;
        under_way
    });
    assert_eq!(most.max(), Some(6), "all seats are taken, and no more");
    let refused = scratch.run(text, &["--duration", "1s"]);
    assert_eq!(refused.exit_code, 2);
    assert!(refused.stderr.contains("--devices"), "{}", refused.stderr);
}

#[test]
fn bursts_on_whole_seconds_are_due_in_them_and_what_nobody_did_is_null() {
    let scratch = Scratch::new();
    let text = r#"
name = "bursts"
[server]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "0s"
[[cohort]]
name = "meters"
devices = 30
attestation = "symmetric-key-group"
transport = "https"
arrival = { kind = "bursts", size = 15, every = "2s" }
"#;
    let run = scratch.run(text, &["--journal"]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    let timeline = summary["timeline"].as_array().expect("a course");
    let column = |key: &str| -> Vec<&Value> { timeline.iter().map(|point| &point[key]).collect() };
    let targets: Vec<_> = column("target").into_iter().map(Value::as_f64).collect();
    assert_eq!(targets[..3], [Some(15.0), Some(0.0), Some(15.0)]);
    for (provisioned, median) in column("provisioned").into_iter().zip(column("p50_us")) {
        assert_eq!(provisioned.as_u64() == Some(0), median.is_null());
    }
    assert!(
        summary["phases"]["attest"].is_null(),
        "{}",
        summary["phases"]
    );
    let again = fleetstorm(&["report", path(&scratch.path("out"))]);
    assert_eq!(again.exit_code, 0, "{}", again.stderr);
    assert_eq!(scratch.summary(), summary);
}
