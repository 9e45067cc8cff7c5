//! Devices that move to another part of the world, and what becomes of their twins.

use serde_json::json;

use crate::binary::{Scratch, Served, fleetstorm, path};

/// Five devices of each cohort report in Europe and then find themselves in America. A cohort's twins are treated
/// by this policy.
fn scenario(cohorts: &[(&str, &str)]) -> String {
    let cohorts = cohorts.iter().map(|(name, policy)| {
        format!(
            r#"
[[cohort]]
name = "{name}"
devices = 5
attestation = "symmetric-key-group"
transport = {{ mqtt = 50, amqp = 50 }}
arrival = {{ kind = "all-at-once" }}
allocation = "geo-latency"
reprovision = "{policy}"
regions = {{ westeurope = 1 }}
desired = {{ interval = 30 }}
after = {{ reported = {{ sealed = true }}, hold = "4s" }}
"#
        )
    });
    HEAD.to_owned() + &cohorts.collect::<String>()
}

const HEAD: &str = r#"
name = "moves"
seed = 8
device-timeout = "20s"

[[region]]
name = "westeurope"
prefix = "127.44.0.0/16"
rtt = "4ms"
latency = { eastus = "30ms" }

[[region]]
name = "eastus"
prefix = "127.45.0.0/16"
rtt = "4ms"

[server]
hub = [{ name = "hub-weu", region = "westeurope" }, { name = "hub-eus", region = "eastus" }]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "0s"

[[event]]
at = "2s"
do = "move"
to = "eastus"
"#;

#[test]
fn a_device_that_moves_finds_its_twin_as_the_policy_says() {
    let scratch = Scratch::new();
    let policies = ["migrate", "reset", "never"].map(|policy| (policy, policy));
    let run = scratch.run(&scenario(&policies), &[]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    assert_eq!(
        summary["reprovisions"]["provisioned"],
        3 * 5,
        "{}",
        run.stdout
    );
    assert_eq!(summary["reprovisions"]["failed"], 0, "{}", run.stdout);
    // Who is never reprovisioned stays where it is.
    assert_eq!(
        summary["reprovisions"]["placements"],
        json!({"eastus to hub-eus": 2 * 5, "eastus to hub-weu": 5})
    );
}

/// The service has other policies than the scenario believes.
#[test]
fn a_twin_that_is_not_as_the_policy_says_is_found() {
    let scratch = Scratch::new();
    let actual = scenario(&[("lost", "reset"), ("kept", "migrate")]);
    let believed = scenario(&[("lost", "migrate"), ("kept", "reset")]);
    let file = scratch.write("actual.toml", &actual);
    let list = scratch.path("list.jsonl");
    let exported = fleetstorm(&["enrollments", path(&file), "--out", path(&list)]);
    assert_eq!(exported.exit_code, 0, "{}", exported.stderr);
    let config = scratch.write("server.toml", SERVER);
    let served = Served::start(&["--config", path(&config), "--enrollments", path(&list)]);
    let ca = scratch.write("ca.pem", served.text("ca_pem"));
    let run = scratch.run(&believed, &served.flags(&ca));
    assert!(
        run.stdout.contains("twin not kept, or not reset"),
        "{}\n{}",
        run.stdout,
        run.stderr
    );
    let summary = scratch.summary();
    assert_eq!(summary["devices"]["provisioned"], 2 * 5);
    assert_eq!(summary["reprovisions"]["failed"], 2 * 5);
    let rows = summary["oracle"]["cohorts"].as_array().expect("rows");
    for row in rows {
        assert_eq!(row["contradictions"], 5, "{row}");
    }
    assert_eq!(run.exit_code, 99);
}

const SERVER: &str = r#"
https-port = 0
mqtt-port = 0
amqp-port = 0

[[region]]
name = "westeurope"
prefixes = ["127.44.0.0/16"]
latency = { eastus = "30ms" }

[[region]]
name = "eastus"
prefixes = ["127.45.0.0/16"]

[[hub]]
host-name = "hub-weu.fleetstorm.test"
region = "westeurope"

[[hub]]
host-name = "hub-eus.fleetstorm.test"
region = "eastus"

[[instance]]
processing-p50-us = 1000
processing-p99-us = 5000
retry-after-seconds = 0
"#;
