//! A region's line beside the real thing: a proxy that delays bytes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary::{Scratch, Served, alone, fleetstorm_beside, path};

const ROUND_TRIP: Duration = Duration::from_millis(200);
const DEVICES_A_COHORT: u64 = 3;

/// Every transport, and TPMs where there are any, side by side: apart enough that they don't wait for a core.
const COHORTS: [(&str, &str, &str); 7] = [
    ("https", "x509-group", "https"),
    ("tpm-https", "tpm", "https"),
    ("mqtt", "x509-group", "mqtt"),
    ("mqtt-ws", "symmetric-key-group", "mqtt-ws"),
    ("amqp", "x509-group", "amqp"),
    ("tpm-amqp", "tpm", "amqp"),
    ("amqp-ws", "symmetric-key-group", "amqp-ws"),
];

const SERVER: &str = r#"
https-port = 0
mqtt-port = 0
amqp-port = 0

[[hub]]
host-name = "hub-1.fleetstorm.test"

[[instance]]
processing-p50-us = 1000
processing-p99-us = 2000
retry-after-seconds = 0
"#;

/// The fleet, somewhere or nowhere in particular.
fn scenario(region: Option<Duration>) -> String {
    let mut text = "name = \"lines\"\nseed = 3\n".to_owned();
    let mut regions = "";
    if let Some(round_trip) = region {
        let rtt = round_trip.as_millis();
        text += &format!("[[region]]\nname = \"far\"\nrtt = \"{rtt}ms\"\n");
        regions = "regions = { far = 1 }";
    }
    for (place, (name, attestation, transport)) in COHORTS.iter().enumerate() {
        let delay = 30 * place;
        text += &format!(
            r#"
            [[cohort]]
            name = "{name}"
            devices = {DEVICES_A_COHORT}
            attestation = "{attestation}"
            transport = "{transport}"
            arrival = {{ kind = "constant-rate", rate = "4/s", delay = "{delay}ms" }}
            after = {{ reported = {{ firmware = "1.1" }}, messages = 1 }}
            {regions}
            "#
        );
    }
    text
}

/// Listens beside a port of this machine, and passes bytes on to it and back half a round trip later.
fn delaying(port: &str, round_trip: Duration) -> u16 {
    let port: u16 = port.parse().expect("a port");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let ours = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for caller in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
                continue;
            };
            for (from, to) in [(&caller, &server), (&server, &caller)] {
                to.set_nodelay(true).expect("an option");
                let from = from.try_clone().expect("a file");
                let to = to.try_clone().expect("a file");
                pass_on(from, to, round_trip / 2);
            }
        }
    });
    ours
}

/// One way; what is empty is the end.
fn pass_on(mut from: TcpStream, mut to: TcpStream, way: Duration) {
    let (sender, receiver) = sync_channel::<(Instant, Vec<u8>)>(64);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let count = from.read(&mut buffer).unwrap_or(0);
            let piece = (Instant::now() + way, buffer[..count].to_vec());
            if sender.send(piece).is_err() || count == 0 {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (arrival, bytes) in receiver {
            thread::sleep(arrival.saturating_duration_since(Instant::now()));
            let passed = if bytes.is_empty() {
                to.shutdown(Shutdown::Write)
            } else {
                to.write_all(&bytes)
            };
            if passed.is_err() {
                return;
            }
        }
    });
}

/// What a run took, by cohort: the least of its devices, which a busy machine disturbs least.
type Took = BTreeMap<String, BTreeMap<String, Duration>>;

/// A fleet that is far away, or that goes through a proxy.
fn took(is_proxied: bool) -> Took {
    let _alone = alone();
    let scratch = Scratch::new();
    let text = scenario((!is_proxied).then_some(ROUND_TRIP));
    let file = scratch.write("fleet.toml", &text);
    let list = scratch.path("list.jsonl");
    let exported = fleetstorm_beside(&["enrollments", path(&file), "--out", path(&list)]);
    assert_eq!(exported.exit_code, 0, "{}", exported.stderr);
    let config = scratch.write("server.toml", SERVER);
    let served = Served::start(&["--config", path(&config), "--enrollments", path(&list)]);
    let ca = scratch.write("ca.pem", served.text("ca_pem"));
    let flags = served.flags(&ca).into_iter().map(str::to_owned);
    let mut flags: Vec<String> = flags.collect();
    if is_proxied {
        for name in ["https", "mqtt", "amqp"] {
            let flag = format!("--{name}-port");
            let place = flags.iter().position(|other| *other == flag).expect(name);
            flags[place + 1] = delaying(served.port(name), ROUND_TRIP).to_string();
        }
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let run = scratch.run_beside(&text, &flags);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    let cohorts = COHORTS.iter().map(|(name, _, _)| {
        let cuts = summary["cuts"].as_array().expect("cuts");
        let mut cuts = cuts.iter().filter(|cut| cut["dimension"] == "cohort");
        let cut = cuts.find(|cut| cut["name"] == *name).expect(name);
        assert_eq!(cut["provisioned"], DEVICES_A_COHORT, "{name}");
        ((*name).to_owned(), took_of(cut))
    });
    cohorts.collect()
}

fn took_of(cut: &Value) -> BTreeMap<String, Duration> {
    let us = |percentiles: &Value, key: &str| {
        Duration::from_micros(percentiles[key].as_u64().expect("microseconds"))
    };
    let phases = cut["phases"].as_object().expect("phases");
    let on_the_way = phases
        .iter()
        .filter(|(phase, _)| !["queue", "report", "telemetry"].contains(&phase.as_str()));
    let sum: Duration = on_the_way.map(|(_, phase)| us(phase, "mean_us")).sum();
    let whole = us(&cut["provisioning"]["service"], "mean_us");
    assert!(
        whole.abs_diff(sum) < whole / 100,
        "{}: the phases are {sum:?} of {whole:?}",
        cut["name"]
    );
    let taken = phases.iter().filter(|(_, phase)| phase["count"] != 0);
    let mut took: BTreeMap<_, _> = taken
        .map(|(name, phase)| (name.clone(), us(phase, "min_us")))
        .collect();
    for latency in ["registration", "provisioning"] {
        let least = us(&cut[latency]["service"], "min_us");
        took.insert(latency.to_owned(), least);
    }
    took
}

#[test]
fn a_line_takes_as_long_as_a_proxy_that_delays_bytes() {
    let (proxied, far) = (took(true), took(false));
    let mut off = Vec::new();
    for (cohort, phases) in &proxied {
        assert!(phases.keys().eq(far[cohort].keys()), "{cohort}: {phases:?}");
        for (phase, proxied) in phases {
            // A proxy answers SYN itself.
            let connections = match phase.as_str() {
                "queue" => continue,
                "connect" | "hub-connect" | "registration" => 1,
                "provisioning" => 2,
                _ => 0,
            };
            let proxied = *proxied + ROUND_TRIP * connections;
            let far = far[cohort][phase];
            println!("{cohort:10} {phase:14} proxied {proxied:>12?}, far {far:>12?}");
            // Two milliseconds are the timers'.
            let tolerance = proxied.mul_f64(0.03) + Duration::from_millis(2);
            if far.abs_diff(proxied) > tolerance {
                off.push(format!(
                    "{cohort} {phase}: proxied {proxied:?}, far {far:?}"
                ));
            }
        }
    }
    assert!(off.is_empty(), "{}", off.join("\n"));
}
