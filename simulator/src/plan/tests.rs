//! The screen, from a machine and a seed that are given.

use fleetstorm_scenarios::{Overrides, parse};

use super::*;

const HAS: Has = Has {
    files: 20_000,
    memory: Some(8 << 30),
    ports: 28_232,
};

fn machine(plan: &Plan) -> Option<Machine> {
    Some(Machine {
        cores: 2,
        runs_server: plan.scenario().target.is_none(),
        slowness: 1.0,
    })
}

fn plan_of(text: &str) -> Plan {
    let scenario = parse(text, "plan.toml").expect("valid");
    Plan::new(scenario, &Overrides::default()).expect("a plan")
}

#[test]
fn the_screen_of_a_herd_without_rates() {
    let plan = plan_of(include_str!("../../../scenarios/thundering-herd.toml"));
    insta::assert_snapshot!(text::of(&look(&plan, machine(&plan), HAS, None)));
}

#[test]
fn the_screen_of_a_storm_against_the_documented_rates() {
    let plan = plan_of(
        r#"
        name = "storm"
        max-in-flight = 50_000
        device-timeout = "30m"
        [target]
        endpoint = "global.azure-devices-provisioning.net"
        id-scope = "0ne00000001"
        [[cohort]]
        name = "meters"
        devices = 5_000
        attestation = "tpm"
        transport = { https = 3, amqp = 1 }
        retry = "sdk-c"
        arrival = { kind = "all-at-once" }
        [[cohort]]
        name = "hasty"
        devices = 600
        attestation = "x509-group"
        transport = "mqtt"
        retry = "naive"
        arrival = { kind = "constant-rate", rate = "10/s" }
        "#,
    );
    insta::assert_snapshot!(text::of(&look(&plan, machine(&plan), HAS, None)));
}

#[test]
fn what_nobody_comes_to_is_null_and_a_dash() {
    let plan = plan_of(
        r#"
        name = "fakes"
        [[region]]
        name = "nowhere"
        [[cohort]]
        name = "fakes"
        devices = 3
        attestation = "x509-group"
        transport = "https"
        flaw = "wrong-root"
        regions = { nowhere = 1 }
        arrival = { kind = "all-at-once" }
        "#,
    );
    let planned = look(&plan, machine(&plan), HAS, None);
    let value = serde_json::to_value(json::document(&planned)).expect("JSON");
    for pointer in [
        "/response_s/p50",
        "/response_s/p99",
        "/response_s/max",
        "/by_region/nowhere/response_p50_s",
    ] {
        let null = Some(&serde_json::Value::Null);
        assert_eq!(value.pointer(pointer), null, "{pointer}");
    }
    assert!(
        text::of(&planned).contains("response of the 0 % that are provisioned: – half of them")
    );
}

#[test]
fn json_says_what_the_screen_says() {
    let plan = plan_of(include_str!("../../../scenarios/thundering-herd.toml"));
    let planned = look(&plan, machine(&plan), HAS, None);
    let value = serde_json::to_value(json::document(&planned)).expect("JSON");
    assert_eq!(value["devices"], 1_800);
    assert_eq!(value["cohorts"][0]["transport"]["mqtt"], 80);
    assert_eq!(value["throttled_devices"], 0);
    assert_eq!(value["machine"]["files"]["limit"], 20_000);
    let timeline = value["timeline"].as_array().expect("intervals");
    let due: u64 = timeline
        .iter()
        .filter_map(|window| window["due"].as_u64())
        .sum();
    assert_eq!(
        due,
        1_800 + 1_000,
        "those that go back to DPS are due once more"
    );
}

/// 300 devices that poll every second and are processed in this time.
fn polled_at(p50: &str, p99: &str) -> Plan {
    plan_of(&format!(
        r#"
        name = "polled"
        [server]
        processing = {{ p50 = "{p50}", p99 = "{p99}" }}
        retry-after = "1s"
        [[cohort]]
        name = "meters"
        devices = 300
        attestation = "symmetric-key-group"
        transport = "mqtt"
        arrival = {{ kind = "constant-rate", rate = "20/s" }}
        "#
    ))
}

#[test]
fn a_median_that_a_few_percent_of_processing_move_by_a_poll_is_told() {
    for (p50, p99, is_on_edge) in [
        ("2s", "3s", true),
        ("1s", "1100ms", true),
        ("1500ms", "2500ms", false),
        ("20ms", "100ms", false),
    ] {
        let plan = polled_at(p50, p99);
        let planned = look(&plan, machine(&plan), HAS, None);
        assert_eq!(planned.knife_edge.is_some(), is_on_edge, "{p50}, {p99}");
        let told = text::of(&planned).contains("a poll sooner or later");
        assert_eq!(told, is_on_edge, "{p50}, {p99}");
        let value = serde_json::to_value(json::document(&planned)).expect("JSON");
        assert_eq!(value["knife_edge"].is_null(), !is_on_edge, "{p50}, {p99}");
    }
    let edge = look(&polled_at("2s", "3s"), None, HAS, None).knife_edge;
    let edge = edge.expect("on the edge");
    assert!(
        edge.with_more - edge.with_less >= Duration::from_millis(900),
        "{edge:?}"
    );
}
