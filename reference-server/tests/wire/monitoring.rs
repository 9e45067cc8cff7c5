//! What the control endpoint tells of a server, read by a parser of Prometheus' text that is not
//! ours.

use std::collections::BTreeMap;

use prometheus_parse::{Sample, Scrape, Value};

use crate::dialect::{Ask, Response, https, mqtt};
use crate::hub::http::to_control;
use crate::instance::{Instance, quick, stranger};
use crate::questions::register;

fn scrape(instance: &Instance) -> Scrape {
    let page = to_control(instance, "GET /metrics", &[], "");
    assert_eq!(page.status, 200);
    let lines = page.body.lines().map(|line| Ok(line.to_owned()));
    Scrape::parse(lines).expect("Prometheus' text")
}

/// What the samples of a metric with these labels come to together.
fn sum(scrape: &Scrape, metric: &str, labels: &[(&str, &str)]) -> f64 {
    let is_meant = |sample: &&Sample| {
        let mut labels = labels.iter();
        sample.metric == metric
            && labels.all(|(name, value)| sample.labels.get(name) == Some(*value))
    };
    let samples = scrape.samples.iter().filter(is_meant);
    samples
        .map(|sample| match &sample.value {
            Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => *value,
            other => panic!("{metric} is no number: {other:?}"),
        })
        .sum()
}

fn registered(instance: &Instance, ask: impl Fn(&Ask) -> Response) {
    let operation = ask(&register()).body["operationId"]
        .as_str()
        .expect("accepted")
        .to_owned();
    let ended = ask(&Ask::OperationStatus(operation));
    assert_eq!(ended.body["status"], "assigned");
    assert!(instance.server.counters().registrations_assigned > 0);
}

#[test]
fn attempts_assignments_and_durations_are_counted_with_the_documented_dimensions() {
    let instance = Instance::start(quick());
    let server = instance.server.announcement();
    let pump = instance.pump("pump-1");
    registered(&instance, |ask| (https::DIALECT.ask)(server, &pump, ask));
    registered(&instance, |ask| (mqtt::DIALECT.ask)(server, &pump, ask));
    let refused = (mqtt::DIALECT.ask)(server, &stranger("pump-2"), &register());
    assert_eq!(refused.status, 401);
    let scrape = scrape(&instance);
    let is = |metric, labels: &[(&str, &str)], count: f64| {
        let counted = sum(&scrape, metric, labels);
        assert!(
            (counted - count).abs() < 1e-9,
            "{metric} {labels:?}: {counted}"
        );
    };
    let attempts = "dps_registration_attempts_total";
    is(attempts, &[("status", "Success")], 2.0);
    is(
        attempts,
        &[("status", "Failure"), ("iot_hub_name", "")],
        1.0,
    );
    is("dps_device_assignments_total", &[], 2.0);
    let attestations = "dps_attestation_attempts_total";
    for (protocol, status, count) in [
        ("Http", "Success", 1.0),
        ("Mqtt", "Success", 1.0),
        ("Mqtt", "Failure", 1.0),
        ("Amqp", "Success", 0.0),
    ] {
        is(
            attestations,
            &[("protocol", protocol), ("status", status)],
            count,
        );
    }
    is("dps_errors_total", &[("code", "401000")], 1.0);
    is("fleetstorm_connections_total", &[], 5.0);
    assert!(sum(&scrape, "process_resident_memory_bytes", &[]) > 1e6);
    let durations = scrape.samples.iter().filter_map(|sample| {
        let named = ["operation", "protocol"].map(|name| sample.labels.get(name).unwrap_or(""));
        let Value::Histogram(buckets) = &sample.value else {
            return None;
        };
        Some((named.map(str::to_owned), buckets.last()?.count))
    });
    let durations: BTreeMap<_, _> = durations.collect();
    let of = |operation: &str, protocol: &str| {
        durations.get(&[operation.to_owned(), protocol.to_owned()])
    };
    assert_eq!(of("register", "Http"), Some(&1.0));
    assert_eq!(of("register", "Mqtt"), Some(&2.0));
    assert_eq!(of("operation-status", "Mqtt"), Some(&1.0));
    assert_eq!(of("register", "Amqp"), None);
    let service = scrape.samples.iter();
    let service = service.filter_map(|sample| sample.labels.get("provisioning_service_name"));
    assert!(service.into_iter().all(|name| name.ends_with(".test")));
}

#[test]
fn health_readiness_and_the_list_of_paths_are_told() {
    let instance = Instance::start(quick());
    for (path, words) in [
        ("/health", "ok"),
        ("/ready", "ready"),
        ("/", "/metrics"),
        ("/counters", "registrations_accepted"),
    ] {
        let answer = to_control(&instance, &format!("GET {path}"), &[], "");
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.contains(words), "{path}: {}", answer.body);
    }
    assert_eq!(to_control(&instance, "GET /nothing", &[], "").status, 404);
}
