//! The scenario files of this folder, and what a scenario means.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetstorm_protocol::attestation::{AttestationKind, TransportKind};
use fleetstorm_reports::Threshold;
use fleetstorm_reports::slo::Aim;
use fleetstorm_reports::validity::MAX_DROPPED;
use fleetstorm_scenarios::arrival::{AllAtOnce, ConstantRate, RampingRate, Shape, Stage};
use fleetstorm_scenarios::{
    Flaw, Load, Overrides, Plan, Ports, Release, RetryProfile, load, parse,
};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scenario_files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).expect("the package's folder");
    let files = entries.map(|entry| entry.expect("an entry").path());
    files
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .filter(|path| path.file_name().is_some_and(|name| name != "Cargo.toml"))
        .collect()
}

#[test]
fn every_scenario_file_is_valid_named_like_its_file_and_opens_with_its_schema_and_why() {
    let files = scenario_files();
    assert!(files.len() >= 3, "{files:?}");
    for path in files {
        let scenario = load(&path).unwrap_or_else(|error| panic!("{error}"));
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        assert_eq!(Some(scenario.name.as_str()), stem);
        let text = std::fs::read_to_string(&path).expect("just read");
        assert!(
            text.starts_with("#:schema ./schema.json\n# ") && text.contains("\n# Look at: "),
            "{stem:?}"
        );
        Plan::new(scenario, &Overrides::default()).expect("a plan");
    }
}

#[test]
fn the_same_file_and_seed_give_the_same_schedule_however_it_is_shared_out() {
    for path in scenario_files() {
        let plan = || {
            let scenario = load(&path).unwrap_or_else(|error| panic!("{error}"));
            Plan::new(scenario, &Overrides::default()).expect("a plan")
        };
        let (once, again) = (plan(), plan());
        let first: Vec<_> = once.schedule(0, 1).collect();
        assert_eq!(first.len() as u64, once.devices(), "{path:?}");
        assert!(again.schedule(0, 1).eq(first.iter().copied()), "{path:?}");
        let in_order = |mut releases: Vec<Release>| {
            releases.sort_by_key(|release| (release.cohort, release.device));
            releases
        };
        let shared = (0..3).flat_map(|shard| again.schedule(shard, 3)).collect();
        assert_eq!(in_order(shared), in_order(first), "{path:?}");
    }
}

#[test]
fn a_herd_comes_site_by_site_after_its_delay() {
    let scenario = load(&folder().join("thundering-herd.toml")).expect("valid");
    let arrival = scenario.cohorts[0].load.open().expect("open");
    let due = [4, 5, 14, 15, 25].map(|second| arrival.due(Duration::from_secs(second)));
    assert_eq!(due, [0, 500, 500, 1_000, 1_500]);
}

#[test]
fn smoke_covers_every_attestation_and_lasts_eight_seconds() {
    let scenario = load(&folder().join("smoke.toml")).unwrap_or_else(|error| panic!("{error}"));
    for kind in AttestationKind::ALL {
        assert!(
            scenario
                .cohorts
                .iter()
                .any(|cohort| cohort.attestation == kind)
        );
    }
    assert_eq!(scenario.server.hubs.len(), 2);
    assert_eq!(scenario.target, None);
    let plan = Plan::new(scenario, &Overrides::default()).expect("a plan");
    assert_eq!(plan.devices(), 1_000);
    let last = plan.last_release().as_secs_f64();
    assert!((7.0..8.5).contains(&last), "{last}");
}

#[test]
fn what_is_left_out_has_its_default() {
    let scenario = parse(
        r#"
        name = "least"
        [[cohort]]
        name = "only"
        devices = 3
        attestation = "tpm"
        transport = "https"
        arrival = { kind = "all-at-once" }
        "#,
        "least.toml",
    )
    .expect("valid");
    assert_eq!(scenario.seed, 1);
    assert_eq!(scenario.device_timeout, Duration::from_secs(60));
    assert_eq!(scenario.max_in_flight, 10_000);
    assert_eq!(scenario.server.retry_after, Duration::from_secs(1));
    assert_eq!(scenario.server.processing.p50, Duration::from_millis(20));
    assert_eq!(scenario.server.processing.p99, Duration::from_millis(100));
    let hubs: Vec<_> = scenario.server.hubs.iter().map(|hub| &hub.name).collect();
    assert_eq!(hubs, ["hub-1", "hub-2"]);
    assert!(scenario.thresholds.is_empty());
    let cohort = &scenario.cohorts[0];
    assert_eq!(cohort.hub_transport, None);
    assert!(cohort.enabled && cohort.hubs.is_empty() && cohort.desired.is_empty());
    assert_eq!(cohort.retry, RetryProfile::Patient);
    let at_once: Load = Shape::AllAtOnce(AllAtOnce).into();
    assert_eq!((cohort.flaw, &cohort.load), (None, &at_once));
}

/// What holds without a key is written as the key would be, and read like it.
#[test]
fn every_default_can_be_read() {
    let scenario = parse(
        r#"
        name = "least"
        arrival = { kind = "ramping-rate", stages = [{ to = "5/s", over = "1s" }] }
        [target]
        endpoint = "global.azure-devices-provisioning.net"
        id-scope = "0ne00A1B2C3"
        [server]
        [[region]]
        name = "westeurope"
        [[cohort]]
        name = "only"
        devices = 3
        attestation = "tpm"
        transport = "https"
        after = { hold = "10m" }
        [[cohort]]
        name = "closed"
        devices = 3
        attestation = "tpm"
        transport = "https"
        arrival = { kind = "closed", concurrency = 1 }
        [[event]]
        at = "1s"
        do = "power-cut"
        [[slo]]
        name = "promise"
        objective = "99%"
        [thresholds]
        tls.p99 = { is = "< 1s" }
        "#,
        "least.toml",
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let target = scenario.target.expect("a target");
    assert_eq!(target.ports, Ports::default());
    let [region] = &scenario.regions[..] else {
        panic!("one region: {:?}", scenario.regions);
    };
    assert_eq!(region.link.round_trip, Duration::ZERO);
    let [slo] = &scenario.slos[..] else {
        panic!("one objective: {:?}", scenario.slos);
    };
    assert_eq!(slo.window_s, 30 * 24 * 60 * 60);
    assert_eq!((slo.of, slo.confidence), (Aim::default(), 0.95));
    assert_eq!(scenario.max_dropped, MAX_DROPPED);
    assert!(!scenario.thresholds[0].terms.abort);
}

#[test]
fn everything_that_can_be_said_is_understood() {
    let scenario = parse(
        r#"
        name = "all"
        seed = 0xfeed
        device-timeout = "2m"
        max-in-flight = 500
        max-held = 300

        [target]
        endpoint = "global.azure-devices-provisioning.net"
        id-scope = "0ne00A1B2C3"
        ca = "ca.pem"
        connect-to = "127.0.0.1"
        https-port = 8443
        mqtt-port = 18883
        amqp-port = 15671

        [server]
        processing = { p50 = "1s", p99 = "1m 30s" }
        retry-after = "0s"
        throttle = { registrations-per-minute = 200 }
        hub = [{ name = "a" }]

        [[cohort]]
        name = "one"
        devices = 1_000
        attestation = "x509-group"
        transport = { mqtt = 30, https = 70, mqtt-ws = 5 }
        arrival = { kind = "ramping-rate", start = "60/m", stages = [{ to = "500/s", over = "2m" }, { hold = "5m" }, { to = "2/s", over = "0s" }] }
        hubs = ["elsewhere"]
        desired = { a = 1, b = { c = [true, "x", 1.5] } }
        after = { reported = { state = "ready" }, messages = 3, hold = "10m", telemetry = "2/m" }
        retry = "sdk-csharp"
        enabled = false
        flaw = "wrong-root"
        hub-transport = "mqtt-ws"

        [thresholds]
        "registration.response.p99" = "< 5s"
        dropped.count = "== 0"
        "#,
        "all.toml",
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let target = scenario.target.expect("a target");
    let ports = Ports {
        https: 8443,
        mqtt: 18883,
        amqp: 15671,
    };
    assert_eq!(target.ports, ports);
    assert_eq!(target.connect_to, Some([127, 0, 0, 1].into()));
    assert_eq!(target.ca, Some("ca.pem".into()));
    assert_eq!(scenario.seed, 0xfeed);
    assert_eq!(scenario.max_in_flight, 500);
    assert_eq!(scenario.max_held, 300);
    assert_eq!(scenario.server.processing.p99, Duration::from_secs(90));
    assert_eq!(scenario.server.throttle.registrations_per_minute, 200);
    let subjects: Vec<_> = scenario.thresholds.iter().map(Threshold::name).collect();
    assert_eq!(subjects, ["registration.response.p99", "dropped.count"]);
    let cohort = &scenario.cohorts[0];
    let stage = |to_rate, seconds| Stage {
        to_rate,
        over: Duration::from_secs(seconds),
    };
    assert_eq!(
        cohort.load,
        Shape::RampingRate(RampingRate {
            start_rate: 1.0,
            stages: vec![stage(500.0, 120), stage(500.0, 300), stage(2.0, 0)],
        })
        .into()
    );
    assert_eq!(
        cohort.transports,
        [
            (TransportKind::Https, 70),
            (TransportKind::Mqtt, 30),
            (TransportKind::MqttWs, 5),
        ]
    );
    assert_eq!(cohort.hub_transport, Some(TransportKind::MqttWs));
    assert_eq!(cohort.hubs, ["elsewhere"]);
    assert_eq!(cohort.retry, RetryProfile::SdkCsharp);
    assert!(!cohort.enabled);
    assert_eq!(cohort.flaw, Some(Flaw::WrongRoot));
    assert_eq!(cohort.desired["b"]["c"][2], 1.5);
    assert_eq!(cohort.after.reported["state"], "ready");
    assert_eq!(cohort.after.messages, 3);
    assert_eq!(cohort.after.hold, Some(Duration::from_secs(600)));
    assert_eq!(cohort.after.telemetry, Some(Duration::from_secs(30)));
}

#[test]
fn a_shared_arrival_is_split_by_devices_among_those_without_their_own() {
    let scenario = parse(
        r#"
        name = "shared"
        arrival = { kind = "constant-rate", rate = "100/s" }
        cohort = [
            { name = "a", devices = 300, attestation = "tpm", transport = "https" },
            { name = "b", devices = 100, attestation = "tpm", transport = "https" },
            { name = "c", devices = 600, attestation = "tpm", transport = "https", arrival = { kind = "all-at-once" } },
        ]
        "#,
        "shared.toml",
    )
    .expect("valid");
    let loads: Vec<Load> = scenario
        .cohorts
        .into_iter()
        .map(|cohort| cohort.load)
        .collect();
    let constant = |rate| Shape::ConstantRate(ConstantRate { rate }).into();
    assert_eq!(
        loads,
        [
            constant(75.0),
            constant(25.0),
            Shape::AllAtOnce(AllAtOnce).into(),
        ]
    );
}

#[test]
fn a_target_with_every_key_commented_out_is_none() {
    let text = std::fs::read_to_string(folder().join("ramp.toml")).expect("ramp.toml");
    let scenario = parse(&format!("{text}\n[target]\n"), "ramp.toml").expect("valid");
    assert_eq!(scenario.target, None);
}

#[test]
fn a_missing_file_and_a_folder_are_refused_by_name() {
    for path in [folder().join("no-such.toml"), folder().to_path_buf()] {
        let error = load(&path).expect_err("not a scenario");
        let start = format!("{}: can't be read: ", path.display());
        assert!(error.report().starts_with(&start), "{error}");
    }
}

#[test]
fn a_file_without_end_is_refused() {
    let path = Path::new("/dev/zero");
    if path.exists() {
        let error = load(path).expect_err("not a scenario");
        assert!(error.report().contains("is longer than"), "{error}");
    }
}

#[test]
fn the_files_of_the_page_are_what_it_says() {
    let page = std::fs::read_to_string(folder().join("WRITE-A-SCENARIO.md")).expect("the page");
    let mut blocks = page.split("\n```toml ").skip(1).map(|block| {
        let (name, rest) = block.split_once('\n').expect("a named block");
        let (text, _) = rest.split_once("\n```").expect("it ends");
        (name, text)
    });
    let (name, first) = blocks.next().expect("first.toml");
    let scenario = parse(first, name).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.cohorts[0].devices, 100);
    let (name, geo) = blocks.next().expect("geo-ramp.toml");
    let events = page.split("\n```toml\n[[event]]").nth(1).expect("events");
    let (events, _) = events.split_once("\n```").expect("they end");
    // Somebody has to stay for a power cut.
    let held = geo.replace("desired =", "after = { hold = \"10m\" }\ndesired =");
    let text = format!("{held}\n[[event]]{events}\n");
    let scenario = parse(&text, name).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((scenario.regions.len(), scenario.events.len()), (2, 2));
    parse(geo, name).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(blocks.next(), None);
}

#[test]
fn a_threshold_can_say_of_whom_and_when() {
    let text = r#"
name = "terms"
[[region]]
name = "westeurope"
[[tenant]]
name = "acme"
[[cohort]]
name = "meters"
devices = 10
tenant = "acme"
attestation = "symmetric-key-group"
transport = { mqtt = 1, amqp = 1 }
regions = { westeurope = 1 }
arrival = { kind = "all-at-once" }
[thresholds]
tls.p99 = { is = "< 1s", window = "30s", between = ["1m", "5m"], samples = 20 }
"provisioned.ratio{ cohort : meters, region:westeurope,tenant:acme }" = ">= 99%"
[thresholds."registration.response.p99{transport:mqtt,attestation:symmetric-key-group}"]
is = "< 5s"
abort = true
after = "20s"
[thresholds.registered]
ratio = [">= 99.9%", { is = ">= 90%", abort = true }]
"#;
    let scenario = parse(text, "terms.toml").unwrap_or_else(|error| panic!("{error}"));
    let [windows, share, abort, end, meanwhile] = &scenario.thresholds[..] else {
        panic!("five thresholds: {:?}", scenario.thresholds);
    };
    assert_eq!(end.name(), "registered.ratio");
    assert_eq!(meanwhile.name(), "registered.ratio");
    assert!(meanwhile.terms.abort && !end.terms.abort);
    let seconds = Duration::from_secs;
    assert_eq!(windows.terms.window, Some(seconds(30)));
    assert_eq!(windows.terms.between, Some((seconds(60), seconds(300))));
    assert_eq!(windows.terms.samples, Some(20));
    assert!(!windows.terms.abort);
    assert_eq!((share.cut().cohort, share.cut().tenant), (Some(0), Some(1)));
    assert_eq!((share.cut().region, share.cut().transport), (Some(0), None));
    assert!(abort.terms.abort);
    assert_eq!(abort.terms.after, Some(seconds(20)));
    assert_eq!(abort.cut().transport, Some(TransportKind::Mqtt as usize));
}

#[test]
fn the_same_hour_comes_earlier_the_farther_east() {
    let text = r#"
name = "mornings"
[[region]]
name = "eastus"
utc-offset = "-5h"
[[region]]
name = "india"
utc-offset = "5h 30m"
[[region]]
name = "japaneast"
utc-offset = "9h"
[arrival]
kind = "all-at-once"
delay = "1h"
[[cohort]]
name = "boston"
devices = 10
attestation = "x509-group"
transport = "https"
regions = { eastus = 1 }
local-time = true
[[cohort]]
name = "pune"
devices = 10
attestation = "x509-group"
transport = "https"
regions = { india = 1 }
local-time = true
[[cohort]]
name = "tokyo"
devices = 10
attestation = "x509-group"
transport = "https"
regions = { japaneast = 1 }
local-time = true
[[cohort]]
name = "anywhere"
devices = 10
attestation = "x509-group"
transport = "https"
regions = { eastus = 1 }
"#;
    let scenario = parse(text, "mornings.toml").unwrap_or_else(|error| panic!("{error}"));
    let starts = scenario.cohorts.iter();
    let starts: Vec<_> = starts
        .map(|cohort| cohort.load.release_at(0).as_secs() / 60)
        .collect();
    assert_eq!(starts, [15 * 60, 4 * 60 + 30, 60, 60], "minutes");
}
