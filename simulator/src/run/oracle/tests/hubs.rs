//! Where devices may be assigned to at an endpoint that is not ours.

use std::sync::Arc;

use fleetstorm_scenarios::names::hub_host;

use super::*;
use crate::run::oracle::hubs::AllowedHubs;
use crate::run::oracle::places::Places;

/// Which of these hubs a cohort with these keys may be assigned to at an endpoint; the last stands for one
/// that nobody has told.
fn allowed(keys: &str, told: &[&str]) -> Vec<bool> {
    let text = format!(
        r#"
        name = "elsewhere"
        [target]
        endpoint = "dps.test"
        id-scope = "0ne00000001"
        [[cohort]]
        name = "a"
        devices = 1
        attestation = "tpm"
        transport = "https"
        arrival = {{ kind = "all-at-once" }}
        {keys}
        "#
    );
    let scenario = fleetstorm_scenarios::parse(&text, "elsewhere.toml").expect("valid");
    let hubs: Vec<String> = told.iter().map(ToString::to_string).collect();
    let allowed = AllowedHubs::of(&scenario.cohorts[0], &mut Places::of(&scenario, &hubs));
    let indices = (0..).take(told.len()).map(Some).chain([None]);
    indices
        .map(|hub| {
            let mut at = record(hub, Outcome::Provisioned);
            // Also at one that nobody has told.
            at.registered_us = Some(10_500_000);
            allowed.allow(&at)
        })
        .collect()
}

#[test]
fn elsewhere_the_hubs_that_a_cohort_names_are_held_to_as_far_as_they_are_told() {
    let (one, two) = ("hub-1.azure-devices.net", "HUB-2.azure-devices.net");
    for (keys, told, expected) in [
        ("", vec![], vec![true]),
        ("", vec![one, two], vec![true, true, false]),
        (
            "hubs = [\"hub-1\"]",
            vec![one, two],
            vec![true, false, false],
        ),
        (
            "hubs = [\"hub-2\"]",
            vec![one, two],
            vec![false, true, false],
        ),
        (
            "hubs = [\"hub-1.azure-devices.net\"]",
            vec![one, two],
            vec![true, false, false],
        ),
        // It may be at the third, which nobody has told.
        (
            "hubs = [\"hub-1\", \"hub-3\"]",
            vec![one, two],
            vec![true, false, true],
        ),
        (
            "hubs = [\"hub-3\"]",
            vec![one, two],
            vec![false, false, true],
        ),
        ("hubs = [\"hub-3\"]", vec![], vec![true]),
    ] {
        assert_eq!(allowed(keys, &told), expected, "{keys}, told {told:?}");
    }
}

const NEAR: &str = r#"
name = "near"
[[region]]
name = "west"
latency = { east = "90ms" }
[[region]]
name = "east"
[server]
hub = [{ name = "a", region = "west" }, { name = "b", region = "east" }, { name = "c", region = "east" }]
[[cohort]]
name = "one"
devices = 1
attestation = "tpm"
transport = "https"
allocation = "geo-latency"
regions = { west = 1, east = 1 }
arrival = { kind = "all-at-once" }
"#;

#[test]
fn what_is_near_is_looked_up_once_for_all_cohorts() {
    let scenario = fleetstorm_scenarios::parse(NEAR, "near.toml").expect("valid");
    let hubs: Vec<String> = scenario
        .server
        .hubs
        .iter()
        .map(|hub| hub_host(&hub.name))
        .collect();
    let mut places = Places::of(&scenario, &hubs);
    let near = places.nearest(&[0, 1, 2]);
    assert_eq!(near[..], [vec![0], vec![1, 2]]);
    assert!(Arc::ptr_eq(&near, &places.nearest(&[0, 1, 2])));
    assert_eq!(places.nearest(&[1, 2])[..], [vec![1, 2], vec![1, 2]]);
}

#[test]
fn of_many_hubs_and_cohorts_some_are_told() {
    let hubs: Vec<String> = (0..20).map(|index| format!("hub-{index}.test")).collect();
    let words = AllowedHubs::Any((0..10).collect()).in_words(&hubs);
    assert!(words.ends_with("hub-7 or 2 more"), "{words}");

    let cohort = |index| {
        format!(
            r#"
            [[cohort]]
            name = "c-{index}"
            devices = 1
            attestation = "tpm"
            transport = "https"
            arrival = {{ kind = "all-at-once" }}
            "#
        )
    };
    let cohorts: String = (0..300).map(cohort).collect();
    let text = format!("name = \"many\"\n{cohorts}");
    let scenario = fleetstorm_scenarios::parse(&text, "many.toml").expect("valid");
    let plan = Plan::new(scenario, &Overrides::default()).expect("a plan");
    let mut oracle = Oracle::new(&plan, setting(hubs));
    let unplanned = Record {
        cohort: 299,
        device: 7,
        ..record(Some(0), Outcome::Provisioned)
    };
    oracle.count(&unplanned, &[], name);
    let findings = oracle.close(0, name);
    assert_eq!((findings.cohorts.len(), findings.left_out), (256, 44));
    assert_eq!(
        findings.cohorts.last().map(|row| row.contradictions),
        Some(1)
    );
}
