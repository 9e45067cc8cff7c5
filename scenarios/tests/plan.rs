//! Plans: overrides, order, shards, transports.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fleetstorm_protocol::attestation::TransportKind;
use fleetstorm_reports::exact::Decimal;
use fleetstorm_reports::threshold::Cut;
use fleetstorm_scenarios::event::{Action, DeviceAction, When};
use fleetstorm_scenarios::{Overrides, Plan, Release, Scenario, parse};
use proptest::prelude::*;

const ARRIVALS: [&str; 5] = [
    r#"{ kind = "all-at-once" }"#,
    r#"{ kind = "constant-rate", rate = "37/s" }"#,
    r#"{ kind = "ramping-rate", stages = [{ to = "90/s", over = "7s" }, { to = "3/s", over = "0s" }] }"#,
    r#"{ kind = "ramping-rate", start = "50/s", stages = [{ to = "0/s", over = "2s" }, { hold = "1s" }, { to = "10/s", over = "1s" }] }"#,
    r#"{ kind = "constant-rate", rate = "50/s", spacing = "poisson" }"#,
];

/// Cohorts by number of devices and arrival.
fn scenario(cohorts: &[(u64, &str)]) -> Scenario {
    let mut text = String::from("name = \"test\"\nseed = 7\n");
    for (index, (devices, arrival)) in cohorts.iter().enumerate() {
        text += &format!(
            r#"
            [[cohort]]
            name = "cohort-{index}"
            devices = {devices}
            attestation = "x509-group"
            transport = {{ https = 70, mqtt = 30 }}
            arrival = {arrival}
            "#
        );
    }
    parse(&text, "test.toml").unwrap_or_else(|error| panic!("{error}"))
}

fn plan(scenario: Scenario, overrides: Overrides) -> Plan {
    Plan::new(scenario, &overrides).expect("a plan")
}

fn constant(devices: u64, rate: u64) -> (u64, String) {
    (
        devices,
        format!(r#"{{ kind = "constant-rate", rate = "{rate}/s" }}"#),
    )
}

fn two_cohorts() -> Scenario {
    let (a, b) = (constant(300, 30), constant(100, 10));
    scenario(&[(a.0, &a.1), (b.0, &b.1)])
}

fn devices(plan: &Plan) -> Vec<u64> {
    let cohorts = plan.scenario().cohorts.iter();
    cohorts.map(|cohort| cohort.devices).collect()
}

#[test]
fn devices_are_scaled_in_proportion() {
    let overrides = Overrides {
        devices: Some(20_000),
        ..Overrides::default()
    };
    assert_eq!(devices(&plan(two_cohorts(), overrides)), [15_000, 5_000]);
}

#[test]
fn a_rate_is_shared_by_the_scaled_devices() {
    let overrides = Overrides {
        devices: Some(2_000),
        rate: Some(100.0),
        ..Overrides::default()
    };
    let plan = plan(two_cohorts(), overrides);
    // 1,500 devices at 75/s and 500 at 25/s: 20 s less one device's distance, 40 ms at most.
    let last = plan.last_release();
    assert!(last < Duration::from_secs(20), "{last:?}");
    assert!(last >= Duration::from_millis(19_960), "{last:?}");
}

#[test]
fn a_duration_cuts_what_is_due_then_or_later() {
    let overrides = Overrides {
        duration: Some(Duration::from_secs(2)),
        ..Overrides::default()
    };
    let plan = plan(two_cohorts(), overrides);
    assert_eq!(devices(&plan), [60, 20]);
    assert!(plan.last_release() < Duration::from_secs(2));
    assert_eq!(plan.schedule(0, 1).count(), 80);
    assert_eq!(plan.due(Duration::MAX), 80);
}

#[test]
fn a_cohort_cut_off_whole_keeps_its_index() {
    let late = r#"{ kind = "ramping-rate", stages = [{ to = "0/s", over = "1m" }, { to = "5/s", over = "0s" }] }"#;
    let overrides = Overrides {
        duration: Some(Duration::from_secs(10)),
        ..Overrides::default()
    };
    let plan = plan(scenario(&[(10, late), (10, ARRIVALS[0])]), overrides);
    assert_eq!(devices(&plan), [0, 10]);
    assert!(plan.schedule(0, 1).all(|release| release.cohort == 1));
}

#[test]
fn overrides_that_leave_nothing_or_make_no_sense_are_refused() {
    let none = Overrides::default();
    let cases = [
        (
            Overrides {
                devices: Some(0),
                ..none.clone()
            },
            "no device would be left",
        ),
        (
            Overrides {
                devices: Some(u64::MAX),
                ..none.clone()
            },
            "the limit is 4294967295",
        ),
        (
            Overrides {
                duration: Some(Duration::ZERO),
                ..none.clone()
            },
            "lengthen the duration",
        ),
        (
            Overrides {
                rate: Some(0.0),
                ..none.clone()
            },
            "must be above zero",
        ),
        (
            Overrides {
                rate: Some(f64::NAN),
                ..none.clone()
            },
            "must be above zero",
        ),
        (
            Overrides {
                rate: Some(1e-9),
                ..none.clone()
            },
            "more than a year",
        ),
    ];
    for (overrides, expected) in cases {
        let error = Plan::new(two_cohorts(), &overrides).expect_err(expected);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn another_seed_draws_other_transports_and_the_same_seed_the_same() {
    let drawn = |seed| {
        let overrides = Overrides {
            seed: Some(seed),
            ..Overrides::default()
        };
        let plan = plan(two_cohorts(), overrides);
        plan.schedule(0, 1).collect::<Vec<_>>()
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn cohorts_draw_independently_of_each_other() {
    let all: Vec<Release> = plan(two_cohorts(), Overrides::default())
        .schedule(0, 1)
        .collect();
    let of = |cohort| {
        let mut releases: Vec<_> = all.iter().filter(|r| r.cohort == cohort).collect();
        releases.sort_by_key(|release| release.device);
        releases
            .iter()
            .take(100)
            .map(|r| r.transport)
            .collect::<Vec<_>>()
    };
    assert_ne!(of(0), of(1));
}

#[test]
fn a_device_keeps_its_transport_whatever_the_size_of_the_fleet() {
    let transports = |devices| {
        let overrides = Overrides {
            devices: Some(devices),
            ..Overrides::default()
        };
        let plan = plan(two_cohorts(), overrides);
        let releases = plan.schedule(0, 1);
        releases
            .map(|r| ((r.cohort, r.device), r.transport))
            .collect::<BTreeMap<_, _>>()
    };
    let (small, large) = (transports(200), transports(5_000));
    assert!(
        small
            .iter()
            .all(|(device, transport)| large[device] == *transport)
    );
}

#[test]
fn the_mix_follows_the_weights() {
    let overrides = Overrides {
        devices: Some(40_000),
        ..Overrides::default()
    };
    let plan = plan(two_cohorts(), overrides);
    let https = plan
        .schedule(0, 1)
        .filter(|release| release.transport == TransportKind::Https)
        .count();
    // 70 % of 40,000; the standard deviation is 92.
    assert!(https.abs_diff(28_000) < 500, "{https}");
}

#[test]
fn every_shard_has_its_part_of_every_moment() {
    let overrides = Overrides {
        devices: Some(8_000),
        ..Overrides::default()
    };
    let plan = plan(two_cohorts(), overrides);
    for shard in 0..4 {
        let releases: Vec<_> = plan.schedule(shard, 4).collect();
        assert_eq!(releases.len(), 2_000);
        let half = plan.last_release() / 2;
        let early = releases.iter().filter(|r| r.intended_start <= half).count();
        assert!(early.abs_diff(1_000) < 5, "{early}");
    }
}

#[test]
fn single_devices_do_not_all_fall_to_the_first_shard() {
    let plan = plan(scenario(&[(1, ARRIVALS[0]); 8]), Overrides::default());
    for shard in 0..4 {
        assert_eq!(plan.schedule(shard, 4).count(), 2);
    }
}

#[test]
fn a_shard_that_does_not_exist_has_nothing() {
    let plan = plan(two_cohorts(), Overrides::default());
    assert_eq!(plan.schedule(4, 4).count(), 0);
    assert_eq!(plan.schedule(0, 0).count(), 0);
    assert_eq!(plan.schedule(usize::MAX - 1, usize::MAX).count(), 0);
}

#[test]
fn a_schedule_costs_little_per_release() {
    let overrides = Overrides {
        devices: Some(100_000),
        ..Overrides::default()
    };
    let plan = plan(two_cohorts(), overrides);
    let start = Instant::now();
    let releases = plan.schedule(0, 1).count();
    let per_release = start.elapsed() / u32::try_from(releases).expect("100,000");
    println!("{per_release:?} a release");
    // Far above what it takes even unoptimised: guards against a cost that grows.
    assert!(per_release < Duration::from_micros(50), "{per_release:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shards_together_are_the_plan_in_order(
        cohorts in prop::collection::vec((1_u64..200, 0..ARRIVALS.len()), 1..6),
        shards in 1_usize..9,
        cut in prop::option::of(0.5..20.0),
    ) {
        let cohorts: Vec<_> = cohorts.into_iter().map(|(n, kind)| (n, ARRIVALS[kind])).collect();
        let overrides = Overrides {
            duration: cut.map(Duration::from_secs_f64),
            ..Overrides::default()
        };
        let plan = plan(scenario(&cohorts), overrides);
        let whole: Vec<_> = plan.schedule(0, 1).collect();
        prop_assert!(whole.is_sorted_by_key(|release| release.intended_start));
        prop_assert_eq!(whole.len() as u64, plan.devices());
        prop_assert_eq!(whole.last().map(|release| release.intended_start), Some(plan.last_release()));

        let mut dealt = Vec::new();
        for shard in 0..shards {
            let share: Vec<_> = plan.schedule(shard, shards).collect();
            prop_assert!(share.is_sorted_by_key(|release| release.intended_start));
            dealt.extend(share);
        }
        let by_device = |release: &Release| (release.cohort, release.device);
        dealt.sort_by_key(by_device);
        let mut expected = whole.clone();
        expected.sort_by_key(by_device);
        prop_assert_eq!(dealt, expected);
    }

    #[test]
    fn due_counts_the_schedule(
        cohorts in prop::collection::vec((1_u64..200, 0..ARRIVALS.len()), 1..5),
        millis in 0_u64..12_000,
    ) {
        let cohorts: Vec<_> = cohorts.into_iter().map(|(n, kind)| (n, ARRIVALS[kind])).collect();
        let plan = plan(scenario(&cohorts), Overrides::default());
        let elapsed = Duration::from_millis(millis);
        let released = plan.schedule(0, 1).filter(|release| release.intended_start <= elapsed).count();
        prop_assert_eq!(plan.due(elapsed), released as u64);
        prop_assert_eq!(plan.due(plan.last_release()), plan.devices());
    }
}

#[test]
fn the_devices_of_a_cut_are_those_that_the_schedule_has() {
    let text = r#"
name = "cuts"
[[region]]
name = "westeurope"
[[region]]
name = "eastus"
[arrival]
kind = "all-at-once"
[[cohort]]
name = "meters"
devices = 500
attestation = "symmetric-key-group"
transport = { mqtt = 3, https = 1 }
regions = { westeurope = 1, eastus = 2 }
[[cohort]]
name = "gateways"
devices = 300
attestation = "x509-group"
transport = "mqtt"
regions = { eastus = 1 }
"#;
    let scenario = fleetstorm_scenarios::parse(text, "cuts.toml").expect("valid");
    let plan = Plan::new(scenario, &Overrides::default()).expect("a plan");
    let mut counted = 0;
    for cohort in [None, Some(0), Some(1)] {
        for transport in [None, Some(TransportKind::Mqtt), Some(TransportKind::Https)] {
            for region in [None, Some(0), Some(1)] {
                let cut = Cut {
                    cohort,
                    transport: transport.map(|kind| kind as usize),
                    region,
                    ..Cut::default()
                };
                let releases = plan.schedule(0, 1).filter(|release| {
                    cohort.is_none_or(|cohort| usize::from(release.cohort) == cohort)
                        && transport.is_none_or(|kind| release.transport == kind)
                        && region
                            .is_none_or(|region| release.region.map(usize::from) == Some(region))
                });
                let expected = releases.count() as u64;
                assert_eq!(plan.devices_in(&cut), expected, "{cut:?}");
                counted += expected;
            }
        }
    }
    assert!(counted > 3_000, "{counted}: the cuts have devices");
}

#[test]
fn a_time_scale_lets_what_is_planned_pass_faster_and_changes_nobody() {
    let text = r#"
name = "day"
time-scale = 60
[[cohort]]
name = "ramp"
devices = 600
attestation = "symmetric-key-group"
transport = { mqtt = 3, https = 1 }
arrival = { kind = "ramping-rate", stages = [{ to = "60/m", over = "10m" }, { hold = "5m" }], delay = "1h" }
after = { hold = "2h", telemetry = "1/m" }
[[cohort]]
name = "bursts"
devices = 90
attestation = "x509-group"
transport = "mqtt"
arrival = { kind = "bursts", size = 30, every = "30m" }
[[event]]
at = "3h"
do = "power-cut"
share = 0.5
for = "10m"
[[event]]
when = "provisioned >= 50%"
do = "reprovision"
share = 0.5
[thresholds]
tls.p99 = { is = "< 1s", window = "7m", between = ["10m", "17m"], abort = true, after = "1h" }
"#;
    let plan = |time_scale| {
        let scenario = fleetstorm_scenarios::parse(text, "day.toml").expect("valid");
        let overrides = Overrides {
            time_scale,
            ..Overrides::default()
        };
        Plan::new(scenario, &overrides).expect("a plan")
    };
    let (written, quick) = (plan(Some(1.0)), plan(None));
    assert_eq!((written.time_scale(), quick.time_scale()), (1.0, 60.0));
    let of = |plan: &Plan| -> Vec<Release> { plan.schedule(0, 1).collect() };
    let (written_releases, quick_releases) = (of(&written), of(&quick));
    assert_eq!(written_releases.len(), quick_releases.len());
    let by_device = |releases: Vec<Release>| -> BTreeMap<_, _> {
        let keyed = releases.into_iter();
        keyed
            .map(|release| ((release.cohort, release.device), release))
            .collect()
    };
    let quick_releases = by_device(quick_releases);
    for release in written_releases {
        let quick = &quick_releases[&(release.cohort, release.device)];
        assert_eq!(quick.transport, release.transport);
        let expected = release.intended_start.div_f64(60.0);
        let apart = quick.intended_start.abs_diff(expected);
        assert!(apart < Duration::from_micros(1), "{quick:?} {expected:?}");
    }
    let scenario = quick.scenario();
    let after = &scenario.cohorts[0].after;
    assert_eq!(after.hold, Some(Duration::from_secs(120)));
    assert_eq!(after.telemetry, Some(Duration::from_secs(1)));
    assert_eq!(scenario.events[0].when, When::At(Duration::from_secs(180)));
    let half = Decimal::parse("0.5").expect("a share");
    assert_eq!(scenario.events[1].when, When::Provisioned(half));
    assert!(
        matches!(scenario.events[0].action, Action::Devices(_, DeviceAction::PowerCut { off }) if off == Duration::from_secs(10))
    );
    assert_eq!(
        scenario.thresholds[0].terms.window,
        Some(Duration::from_secs(7))
    );
    assert_eq!(
        scenario.thresholds[0].terms.after,
        Some(Duration::from_secs(60))
    );
    assert_eq!(scenario.device_timeout, written.scenario().device_timeout);
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
        let scenario = fleetstorm_scenarios::parse(text, "day.toml").expect("valid");
        let overrides = Overrides {
            time_scale: Some(wrong),
            ..Overrides::default()
        };
        let refused = Plan::new(scenario, &overrides).expect_err("no time scale");
        assert!(refused.contains("time scale"), "{refused}");
    }
}
