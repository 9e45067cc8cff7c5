//! Where devices may be assigned to at an endpoint that is not ours.

use super::*;
use crate::oracle::hubs::AllowedHubs;

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
    let allowed = AllowedHubs::of(&scenario.cohorts[0], &scenario, &hubs);
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
