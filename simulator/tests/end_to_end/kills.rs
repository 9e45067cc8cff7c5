//! A server with a data folder that is killed in the middle of a run, again and again: the run goes on,
//! and nothing that a device was told is lost or there twice.
//!
//! `FLEETSTORM_KILLED_RUN=20000,10` runs the test with 20,000 devices and ten kills.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::binary::{Scratch, Served, fleetstorm, path};
use crate::registry::ServiceApi;
use crate::service::control;

/// Devices, and how often the server is killed.
fn size() -> (u64, u64) {
    let asked = std::env::var("FLEETSTORM_KILLED_RUN");
    let asked = asked.as_deref().unwrap_or("2000,3");
    let (devices, kills) = asked.split_once(',').expect("devices,kills");
    let number = |text: &str| text.parse().expect("a number");
    (number(devices), number(kills))
}

/// Every attestation, most transports; devices that come back by themselves.
fn scenario(devices: u64) -> String {
    // What comes while the server starts anew has to have its place.
    let rate = (devices / 8).min(300);
    let cohort = |name: &str, share: u64, attestation: &str, transport: &str| {
        let devices = devices * share / 100;
        format!(
            r#"
[[cohort]]
name = "{name}"
devices = {devices}
attestation = "{attestation}"
transport = {transport}
retry = "naive"
desired = {{ interval = 30 }}
after = {{ reported = {{ firmware = "1.1" }} }}
"#
        )
    };
    format!(
        r#"
name = "killed"
seed = 13
device-timeout = "60s"
max-in-flight = 8000

[arrival]
kind = "constant-rate"
rate = "{rate}/s"
"#
    ) + &cohort(
        "gateways",
        40,
        "x509-group",
        "{ https = 1, mqtt = 1, amqp = 1 }",
    ) + &cohort(
        "sensors",
        15,
        "x509-individual",
        "{ https = 1, amqp-ws = 1 }",
    ) + &cohort(
        "meters",
        30,
        "symmetric-key-group",
        "{ https = 1, mqtt-ws = 1 }",
    ) + &cohort(
        "locks",
        10,
        "symmetric-key-individual",
        "{ mqtt = 1, amqp = 1 }",
    ) + &cohort("controllers", 5, "tpm", "{ https = 1, amqp = 1 }")
}

/// Ports that stay the same over the server's lives.
fn config() -> String {
    let taken = [0; 4].map(|_| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let port = |index: usize| taken[index].local_addr().expect("its number").port();
    let (https, mqtt, amqp, control) = (port(0), port(1), port(2), port(3));
    format!(
        "https-port = {https}\nmqtt-port = {mqtt}\namqp-port = {amqp}\ncontrol-port = {control}\n\
         [[instance]]\nprocessing-p50-us = 40_000\nprocessing-p99-us = 400_000\nretry-after-seconds = 1\n"
    )
}

/// One that was killed may hold its ports for a moment longer.
fn start(config: &Path, list: &Path, data: &Path) -> Served {
    let flags = ["--config", "--enrollments", "--data-dir"];
    let values = [path(config), path(list), path(data)];
    let args: Vec<_> = flags
        .into_iter()
        .zip(values)
        .flat_map(|(flag, value)| [flag, value])
        .collect();
    Served::start(&args)
}

fn assigned(served: &Served) -> u64 {
    let counters = control(served, "GET", "/counters", "");
    counters["registrations_assigned"]
        .as_u64()
        .expect("a count")
}

/// Kills it whenever it has assigned `share` devices, and starts it anew, until the run is over.
fn kill_again_and_again(
    mut served: Served,
    (share, kills): (u64, u64),
    is_over: &AtomicBool,
    anew: impl Fn() -> Served,
) -> Served {
    for kill in 0..kills {
        while assigned(&served) < share {
            assert!(!is_over.load(Ordering::Relaxed), "only {kill} kills");
            std::thread::sleep(Duration::from_millis(20));
        }
        served.kill();
        served = anew();
    }
    served
}

/// Registration ids by cohort and device, and the hub that each was told.
fn told(scratch: &Scratch, list: &Path) -> Vec<(String, usize)> {
    let read = |path: &Path| std::fs::read_to_string(path).expect("readable");
    let enrollments = read(list);
    let tpms: Vec<_> = enrollments
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|enrollment| enrollment["attestation"]["type"] == "tpm")
        .map(|enrollment| {
            enrollment["registrationId"]
                .as_str()
                .expect("text")
                .to_owned()
        })
        .collect();
    let cohorts = ["gateways", "sensors", "meters", "locks", "controllers"];
    let journal = read(&scratch.path("out/journal.jsonl"));
    let lines = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let records = lines.filter_map(|line| line.get("record").cloned());
    let number = |value: &Value| usize::try_from(value.as_u64().expect("a number")).expect("small");
    records
        .map(|record| {
            let cohort = cohorts[number(&record["cohort"])];
            let device = number(&record["device"]);
            let id = match cohort {
                "controllers" => tpms[device].clone(),
                cohort => format!("{cohort}-{device:07}"),
            };
            (id, number(&record["hub"]))
        })
        .collect()
}

#[test]
fn what_devices_were_told_outlives_kills_of_the_server() {
    let (devices, kills) = size();
    let scratch = Scratch::new();
    let scenario = scenario(devices);
    let file = scratch.write("killed.toml", &scenario);
    let list = scratch.path("enrollments.jsonl");
    let exported = fleetstorm(&["enrollments", path(&file), "--out", path(&list)]);
    assert_eq!(exported.exit_code, 0, "{}", exported.stderr);
    let mode = list.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "keys are in it");
    let config = scratch.write("server.toml", &config());
    let data = scratch.path("data");
    let anew = || start(&config, &list, &data);

    let served = anew();
    let ca = scratch.write("ca.pem", served.text("ca_pem"));
    let hubs = served.announcement["hubs"]
        .as_array()
        .expect("hubs")
        .clone();
    let hubs: Vec<_> = hubs.iter().map(|hub| hub.as_str().expect("text")).collect();
    let announcement = served.announcement.clone();
    let flags: Vec<String> = served.flags(&ca).into_iter().map(str::to_owned).collect();
    let mut flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    flags.extend(hubs.iter().flat_map(|hub| ["--hub", hub]));
    flags.push("--journal");
    // A life overshoots its share, more so on a slow machine.
    let share = devices / (2 * kills);
    let is_over = AtomicBool::new(false);
    let served = std::thread::scope(|scope| {
        let killing = scope.spawn(|| kill_again_and_again(served, (share, kills), &is_over, anew));
        let run = scratch.run(&scenario, &flags);
        is_over.store(true, Ordering::Relaxed);
        // Latencies are no matter here: a machine that is too slow for them may say so.
        let summary = scratch.summary();
        let reasons = summary["invalid_reasons"].as_array().expect("reasons");
        let is_of_machine = |reason: &Value| {
            let reason = reason.as_str().expect("text");
            let says = [
                "the generator was the bottleneck",
                "the load was not the planned one",
            ];
            says.iter().any(|words| reason.starts_with(words))
        };
        let is_slow = !reasons.is_empty() && reasons.iter().all(is_of_machine);
        let is_well = run.exit_code == 0 || run.exit_code == 98 && is_slow;
        assert!(is_well, "{}\n{}", run.stdout, run.stderr);
        killing.join().expect("a server that starts anew each time")
    });
    assert_eq!(
        served.announcement, announcement,
        "keys and CA are the same"
    );
    let summary = scratch.summary();
    let outcomes = &summary["outcomes"];
    assert_eq!(summary["devices"]["provisioned"], devices, "{outcomes}");
    assert!(summary["attempts"]["lost_connections"].as_u64() > Some(0));

    let told = told(&scratch, &list);
    assert_eq!(told.len() as u64, devices);
    let dps = &served.announcement["instances"][0]["connection_string"];
    let mut dps = ServiceApi::connect(&served, dps.as_str().expect("text"));
    let strings = served.announcement["hub_connection_strings"]
        .as_array()
        .expect("hubs");
    let mut registries: Vec<_> = strings
        .iter()
        .map(|string| ServiceApi::connect(&served, string.as_str().expect("text")))
        .collect();
    for (id, hub) in &told {
        let record = dps.get(&format!("/registrations/{id}")).expect(id);
        assert_eq!(record["status"], "assigned", "{record}");
        assert_eq!(record["assignedHub"], hubs[*hub], "{record}");
        assert_eq!(record["substatus"], "initialAssignment", "{record}");
        for (index, registry) in registries.iter_mut().enumerate() {
            let twin = registry.get(&format!("/twins/{id}"));
            assert_eq!(twin.is_some(), index == *hub, "{id}: {record}, {twin:?}");
            if let Some(twin) = twin {
                let properties = &twin["properties"];
                assert_eq!(properties["reported"]["firmware"], json!("1.1"), "{id}");
                assert_eq!(properties["desired"]["interval"], json!(30), "{id}");
            }
        }
    }
    let each = |hub: usize| told.iter().filter(|(_, told)| *told == hub).count();
    println!(
        "{devices} devices, {kills} kills: {} and {} at the hubs, as they were told; attempts {}",
        each(0),
        each(1),
        summary["attempts"]
    );
}
