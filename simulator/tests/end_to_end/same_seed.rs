//! The same file and the same seed are the same run: devices, schedule, and whom events befall.

use serde_json::Value;

use crate::binary::{Scratch, fleetstorm, path};

const SCENARIO: &str = r#"
name = "same-seed"
seed = 11
device-timeout = "20s"

[server]
hub = [{ name = "hub-1", region = "westeurope" }, { name = "hub-2", region = "eastus" }]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "0s"

[[region]]
name = "westeurope"
rtt = "2ms"
latency = { eastus = "20ms" }

[[region]]
name = "eastus"
rtt = "4ms"

[[cohort]]
name = "vaults"
devices = 10
attestation = "tpm"
transport = { https = 40, amqp = 30, amqp-ws = 30 }
regions = { westeurope = 50, eastus = 50 }
allocation = "geo-latency"
arrival = { kind = "ramping-rate", start = "5/s", stages = [{ to = "20/s", over = "1s" }] }
after = { hold = "5s" }

[[cohort]]
name = "gateways"
devices = 30
attestation = "x509-individual"
transport = { mqtt = 50, https = 50 }
regions = { westeurope = 30, eastus = 70 }
arrival = { kind = "constant-rate", rate = "30/s" }
after = { hold = "5s" }

[[event]]
at = "2s"
do = "power-cut"
for = "500ms"
share = "30%"

[[event]]
at = "3s"
do = "reprovision"
share = "40%"

[[event]]
at = "4s"
do = "move"
cohort = "gateways"
share = "50%"
to = "westeurope"
"#;

/// What must not change: who came when, how and from where, and who went back to DPS because of what.
#[derive(Debug, PartialEq)]
struct Story {
    enrollments: String,
    releases: Vec<String>,
    again: Vec<String>,
}

fn story(seed: &str) -> Story {
    let scratch = Scratch::new();
    let run = scratch.run(SCENARIO, &["--seed", seed, "--journal"]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let file = scratch.path("scenario.toml");
    let list = fleetstorm(&["enrollments", path(&file), "--seed", seed]);
    assert_eq!(list.exit_code, 0, "{}", list.stderr);
    let journal = scratch.path("out").join("journal.jsonl");
    let journal = std::fs::read_to_string(journal).expect("a journal");
    let entries = journal
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let records: Vec<Value> = entries
        .filter_map(|mut entry: Value| entry.get_mut("record").map(Value::take))
        .collect();
    assert!(records.len() > 40, "{journal}");
    let told = |again: bool, keys: &[&str]| {
        let records = records
            .iter()
            .filter(|record| record["reprovision"] == again);
        let told = records.map(|record| {
            let words = keys.iter().map(|key| format!("{key} {}", record[key]));
            words.collect::<Vec<_>>().join(", ")
        });
        let mut told: Vec<_> = told.collect();
        told.sort_unstable();
        told
    };
    Story {
        enrollments: list.stdout,
        releases: told(
            false,
            &[
                "cohort",
                "device",
                "intended_start_us",
                "transport",
                "region",
            ],
        ),
        again: told(true, &["cohort", "device", "region"]),
    }
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_another() {
    let [first, same, other] = std::thread::scope(|scope| {
        ["11", "11", "12"]
            .map(|seed| scope.spawn(move || story(seed)))
            .map(|told| told.join().expect("a story"))
    });
    assert_eq!(first.releases.len(), 40);
    assert!(first.again.len() > 10, "{:?}", first.again);
    assert_eq!(same, first);
    assert_ne!(other.enrollments, first.enrollments);
    assert_ne!(other.releases, first.releases);
    assert_ne!(other.again, first.again);
}
