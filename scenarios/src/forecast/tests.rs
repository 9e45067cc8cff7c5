//! Forecasts beside what can be worked out by hand.

use super::*;
use crate::load::parse;
use crate::plan::Overrides;
use crate::server::ProcessingTime;
use fleetstorm_protocol::quota::Rates;

/// `devices` that come by `arrival`, with more keys for the cohort and the root.
fn plan(devices: u64, arrival: &str, keys: &str, root: &str) -> Plan {
    let text = format!(
        r#"
        name = "one"
        {root}
        [[cohort]]
        name = "a"
        devices = {devices}
        attestation = "symmetric-key-group"
        transport = "mqtt"
        arrival = {{ {arrival} }}
        {keys}
        "#
    );
    let scenario = parse(&text, "one.toml").expect("valid");
    Plan::new(scenario, &Overrides::default()).expect("a plan")
}

const ROOMY: &str = "device-timeout = \"700h\"\nmax-in-flight = 1_000_000_000";

fn options(rates: Rates) -> ForecastOptions {
    ForecastOptions {
        rates,
        processing: ProcessingTime {
            p50: Duration::from_millis(20),
            p99: Duration::from_millis(100),
        },
        processing_factor: 1.0,
        retry_after: Duration::from_secs(1),
        starts_in_minute: Duration::ZERO,
        machine: None,
        budget: Budget::default(),
    }
}

fn a_minute(registrations: u32) -> Rates {
    Rates {
        registrations_per_minute: registrations,
        ..Rates::NONE
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn without_rates_nobody_is_turned_away_and_a_device_takes_its_retry_after() {
    let plan = plan(1_000, "kind = \"constant-rate\", rate = \"100/s\"", "", "");
    let forecast = forecast(&plan, &options(Rates::NONE));
    assert_eq!(forecast.turned_away, 0);
    assert_eq!(forecast.cohorts[0].throttled, 0);
    assert_eq!(forecast.cohorts[0].provisioned, 1_000);
    assert_eq!((forecast.registers, forecast.storms), (1_000, 0));
    assert_eq!(forecast.last_start, Duration::from_millis(9_990));
    assert_eq!(forecast.last_end, Duration::from_millis(10_990));
    // A second of devices under way at 100 a second, and the one that comes as another ends.
    assert!((100..=101).contains(&forecast.peak_in_flight));
}

/// 2,500 at once, 1,000 a minute, from second 20 of a minute on: 1,000 at once, the others are told 40 s;
/// 1,000 of them at the next minute, 500 are told 60 s. They are through a second later.
#[test]
fn patient_devices_of_a_storm_come_in_by_the_minute() {
    let plan = plan(2_500, "kind = \"all-at-once\"", "", ROOMY);
    let options = ForecastOptions {
        starts_in_minute: seconds(20),
        ..options(a_minute(1_000))
    };
    let forecast = forecast(&plan, &options);
    assert_eq!(forecast.cohorts[0].provisioned, 2_500);
    assert_eq!(forecast.cohorts[0].throttled, 1_500);
    assert_eq!(forecast.registers, 2_500 + 1_500 + 500);
    assert_eq!(forecast.turned_away, 1_500 + 500);
    assert_eq!(forecast.peak_in_flight, 2_500);
    assert_eq!(forecast.last_end, seconds(101));
    let storm = forecast.longest_storm.expect("a storm");
    assert_eq!((storm.recovery(), storm.peak), (seconds(101), 2_500));
    assert_eq!(forecast.storms, 1);
}

/// The same with devices that ask every second whatever they are told: 1,500 ask 40 times until the
/// minute is over, the last time with success for 1,000; 500 ask 60 times more.
#[test]
fn naive_devices_of_a_storm_are_in_no_sooner_and_ask_all_the_time() {
    let plan = plan(2_500, "kind = \"all-at-once\"", "retry = \"naive\"", ROOMY);
    let options = ForecastOptions {
        starts_in_minute: seconds(20),
        ..options(a_minute(1_000))
    };
    let forecast = forecast(&plan, &options);
    assert_eq!(forecast.cohorts[0].provisioned, 2_500);
    assert_eq!(forecast.turned_away, 1_500 * 40 + 500 * 60);
    assert_eq!(forecast.last_end, seconds(101));
}

/// Those who give up at 429 leave the first thousand.
#[test]
fn devices_that_do_not_ask_again_are_lost() {
    let keys = "retry = \"sdk-java\"";
    let plan = plan(2_500, "kind = \"all-at-once\"", keys, ROOMY);
    let forecast = forecast(&plan, &options(a_minute(1_000)));
    let foreseen = forecast.cohorts[0];
    assert_eq!((foreseen.provisioned, foreseen.failed), (1_000, 1_500));
    assert_eq!(forecast.turned_away, 1_500);
}

/// 60 s is what a device has by default: the second minute's devices are too late.
#[test]
fn devices_run_out_of_time() {
    let plan = plan(2_500, "kind = \"all-at-once\"", "", "");
    let options = ForecastOptions {
        starts_in_minute: seconds(20),
        ..options(a_minute(1_000))
    };
    let forecast = forecast(&plan, &options);
    let foreseen = forecast.cohorts[0];
    assert_eq!((foreseen.provisioned, foreseen.timed_out), (2_000, 500));
    assert_eq!(forecast.last_end, seconds(60));
}

/// Polls every second against 5 in ten seconds, with an assignment that takes 8 s: polls at 1 to 5 s, the
/// sixth is told 4 s, the first of the next span is too late by nothing.
#[test]
fn polls_of_a_device_have_their_rate() {
    let plan = plan(10, "kind = \"all-at-once\"", "", ROOMY);
    let options = ForecastOptions {
        rates: Rates {
            polls_per_ten_seconds: 5,
            ..Rates::NONE
        },
        processing: ProcessingTime {
            p50: seconds(8),
            p99: seconds(8),
        },
        ..options(Rates::NONE)
    };
    let forecast = forecast(&plan, &options);
    assert_eq!(forecast.polls, 10 * 7);
    assert_eq!(forecast.turned_away, 10);
    assert_eq!(forecast.last_end, seconds(10));
}

#[test]
fn what_goes_beyond_max_in_flight_is_dropped() {
    let plan = plan(100, "kind = \"all-at-once\"", "", "max-in-flight = 30");
    let forecast = forecast(&plan, &options(Rates::NONE));
    let foreseen = forecast.cohorts[0];
    assert_eq!((foreseen.started, foreseen.dropped), (30, 70));
    assert_eq!(forecast.peak_in_flight, 30);
}

/// 10 a second that stay for 20 s each are 200 that stay at once, and 10 more under way.
#[test]
fn devices_that_stay_keep_their_connections() {
    let arrival = "kind = \"constant-rate\", rate = \"10/s\"";
    let keys = "after = { hold = \"20s\" }";
    let plan_with = |root| plan(600, arrival, keys, root);
    let forecast_of = |plan| forecast(&plan, &options(Rates::NONE));
    let all = forecast_of(plan_with(""));
    assert!((200..=201).contains(&all.peak_held), "{}", all.peak_held);
    assert!((210..=212).contains(&all.peak_connections));
    assert_eq!(
        all.last_end,
        Duration::from_millis(60_900),
        "staying is not provisioning"
    );
    let some = forecast_of(plan_with("max-held = 50"));
    assert_eq!((some.peak_held, some.cohorts[0].provisioned), (50, 600));
}

#[test]
fn disabled_and_flawed_devices_fail_and_cost_no_registration() {
    for keys in ["enabled = false", "flaw = \"wrong-key\""] {
        let plan = plan(100, "kind = \"all-at-once\"", keys, "");
        let forecast = forecast(&plan, &options(a_minute(10)));
        assert_eq!(forecast.cohorts[0].failed, 100, "{keys}");
        assert_eq!(forecast.registers, 0, "{keys}");
    }
}

/// 1,000 devices at once share two cores that run both ends: 560 µs each take 280 ms, a poll of 40 µs
/// takes 20 ms, and a second goes by in between. Registering is uneven work: those who are through early
/// poll early, so that it ends before 1.3 s.
#[test]
fn the_machines_cores_hold_a_storm_up() {
    let plan = plan(1_000, "kind = \"all-at-once\"", "", ROOMY);
    let options = ForecastOptions {
        machine: Some(Machine {
            cores: 2,
            runs_server: true,
            slowness: 1.0,
        }),
        ..options(Rates::NONE)
    };
    let forecast = forecast(&plan, &options);
    let end = forecast.last_end.as_secs_f64();
    assert!((1.2..1.3).contains(&end), "{end}");
    let cpu = forecast.simulator_cpu + forecast.server_cpu;
    assert_eq!(cpu, Duration::from_millis(560));
}

#[test]
fn the_same_plan_has_the_same_forecast() {
    let arrival = "kind = \"bursts\", size = 700, every = \"20s\"";
    let of = |seed| {
        let keys = "retry = \"well-behaved\"";
        let plan = plan(3_000, arrival, keys, &format!("seed = {seed}\n{ROOMY}"));
        forecast(&plan, &options(a_minute(500)))
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2), "chance derives from the seed");
}

/// 60,000 devices one by one and in batches of ten and more: what matters is the same within 2 %.
#[test]
fn crowds_tell_what_single_devices_tell() {
    for (keys, arrival) in [
        ("", "kind = \"all-at-once\""),
        ("retry = \"well-behaved\"", "kind = \"all-at-once\""),
        (
            "retry = \"sdk-c\"",
            "kind = \"constant-rate\", rate = \"500/s\"",
        ),
        (
            "retry = \"naive\"",
            "kind = \"bursts\", size = 9000, every = \"30s\"",
        ),
    ] {
        let plan = plan(
            60_000,
            arrival,
            keys,
            "device-timeout = \"5m\"\nmax-in-flight = 100_000",
        );
        let with = |batches| {
            let options = ForecastOptions {
                budget: Budget {
                    batches,
                    events: u64::MAX,
                },
                ..options(a_minute(10_000))
            };
            forecast(&plan, &options)
        };
        let (single, batches) = (with(60_000), with(6_000));
        assert_eq!((single.batch, batches.batch), (1, 10));
        let figures = |forecast: &Forecast| {
            [
                forecast.cohorts[0].provisioned as f64,
                forecast.cohorts[0].throttled as f64,
                forecast.turned_away as f64,
                forecast.last_end.as_secs_f64(),
                forecast.peak_in_flight as f64,
            ]
        };
        for (a, b) in figures(&single).into_iter().zip(figures(&batches)) {
            let off = (a - b).abs() / a.max(1.0);
            assert!(off < 0.02, "{keys} {arrival}: {a} and {b}");
        }
    }
}

/// A hundred million devices that ask for as many registrations as there are in 20 days, and have 100 h: not
/// one more is let in than the rate allows, whatever the size of the batches and however busy the cores.
#[test]
fn no_rate_is_exceeded_at_any_size() {
    for retry in ["patient", "naive"] {
        let keys = format!("retry = \"{retry}\"");
        let root = "device-timeout = \"100h\"\nmax-in-flight = 200_000_000";
        let plan = plan(100_000_000, "kind = \"all-at-once\"", &keys, root);
        let options = ForecastOptions {
            machine: Some(Machine {
                cores: 2,
                runs_server: true,
                slowness: 1.0,
            }),
            budget: Budget {
                batches: 2_000,
                events: 300_000,
            },
            ..options(Rates::AZURE)
        };
        let forecast = forecast(&plan, &options);
        let foreseen = forecast.cohorts[0];
        assert_eq!(foreseen.provisioned + foreseen.timed_out, 100_000_000);
        let minutes = 100 * 60;
        assert!(
            foreseen.provisioned <= minutes * 1_000,
            "{retry}: {foreseen:?}"
        );
        assert!(forecast.batch > 1);
    }
}

/// 300 that stay are cut off for 5 s at second 20 and boot together, 100 a minute: those who ask DPS come in by
/// the minute once more, and the others are at their hubs at once.
#[test]
fn a_power_cut_sends_back_whoever_asks_dps_on_every_boot() {
    let cut = |boot| {
        let keys = format!(
            "after = {{ hold = \"10m\" }}\nboot = \"{boot}\"\n[[event]]\nat = \"20s\"\ndo = \"power-cut\"\nfor = \"5s\"\n[[event]]\nat = \"10s\"\ndo = \"throttle\"\nto = {{ registrations-per-minute = 100 }}"
        );
        let plan = plan(300, "kind = \"all-at-once\"", &keys, ROOMY);
        forecast(&plan, &options(Rates::NONE))
    };
    let back = cut("register-always");
    assert_eq!(back.cohorts[0].provisioned, 300);
    assert_eq!(
        (back.reprovisions.started, back.reprovisions.provisioned),
        (300, 300)
    );
    // A hundred at second 25, at 60 and at 120; nothing was counted before there was a rate.
    assert_eq!(
        (back.reprovisions.throttled, back.turned_away),
        (200, 200 + 100)
    );
    assert_eq!(back.last_end, seconds(121));
    let home = cut("hub-first");
    assert_eq!((home.reprovisions.started, home.turned_away), (0, 0));
    assert_eq!(home.peak_held, 300);
    assert!(home.unforeseen.is_empty());
}

/// Their own instance has no quotas; the buyer's takes 60 a minute.
#[test]
fn sold_devices_meet_the_quotas_of_their_new_owner() {
    let keys = "after = { hold = \"10m\" }\n[[tenant]]\nname = \"acme\"\nthrottle = { registrations-per-minute = 60 }\n\
                [[event]]\nat = \"30s\"\ndo = \"change-owner\"\ncohort = \"a\"\nto = \"acme\"";
    let plan = plan(100, "kind = \"all-at-once\"", keys, ROOMY);
    let forecast = forecast(&plan, &options(Rates::NONE));
    assert_eq!(forecast.cohorts[0].throttled, 0);
    assert_eq!(forecast.turned_away, 40);
    assert_eq!(forecast.registers, 100 + 100 + 40);
}

#[test]
fn a_tenants_instance_takes_its_own_time() {
    let of_tenant = "tenant = \"acme\"\n[[tenant]]\nname = \"acme\"\nretry-after = \"5s\"\n\
                     processing = { p50 = \"7s\", p99 = \"8s\" }";
    for (keys, end) in [("", 1), (of_tenant, 10)] {
        let plan = plan(10, "kind = \"all-at-once\"", keys, "");
        let options = options(Rates::NONE);
        assert_eq!(forecast(&plan, &options).last_end, seconds(end), "{keys}");
        assert_eq!(options.unhindered(&plan), seconds(end), "{keys}");
    }
}

#[test]
fn devices_that_take_turns_come_as_fast_as_the_service_lets_them() {
    for (devices, concurrency) in [(100, 10), (100, 1), (5, 10), (100_000, 1_000)] {
        let arrival = format!("kind = \"closed\", concurrency = {concurrency}, delay = \"10s\"");
        let plan = plan(devices, &arrival, "", ROOMY);
        let foreseen = forecast(&plan, &options(Rates::NONE));
        // Each is assigned when it asks for the first time, after a second.
        let rounds = devices.div_ceil(concurrency);
        let expected = 10.0 + rounds as f64;
        let end = foreseen.last_end.as_secs_f64();
        assert!(
            (end / expected - 1.0).abs() < 0.05,
            "{devices}: {end} s, not {expected}"
        );
        assert!(foreseen.peak_in_flight <= concurrency);
        let provisioned: u64 = foreseen
            .cohorts
            .iter()
            .map(|foreseen| foreseen.provisioned)
            .sum();
        assert_eq!(provisioned, devices);
    }
}

/// Each region's devices need the round trips that their transport takes: as a run over lines of 200 ms
/// took them, whose phases were counted.
#[test]
fn distance_takes_the_round_trips_of_the_transport() {
    for (attestation, transport, trips) in [
        ("x509-group", "https", 9.0),
        ("x509-group", "mqtt", 11.0),
        ("x509-group", "amqp", 9.0),
        ("symmetric-key-group", "amqp-ws", 15.0),
        ("symmetric-key-group", "mqtt-ws", 13.0),
        ("tpm", "https", 10.0),
        ("tpm", "amqp", 16.0),
    ] {
        let text = format!(
            r#"
            name = "far"
            [[region]]
            name = "far"
            rtt = "200ms"
            [server]
            hub = [{{ name = "hub-1", region = "far" }}]
            processing = {{ p50 = "1ms", p99 = "2ms" }}
            [[cohort]]
            name = "a"
            devices = 3
            attestation = "{attestation}"
            transport = "{transport}"
            arrival = {{ kind = "all-at-once" }}
            regions = {{ far = 1 }}
            "#
        );
        let scenario = parse(&text, "far.toml").unwrap_or_else(|e| panic!("{e}"));
        let plan = Plan::new(scenario, &Overrides::default()).expect("a plan");
        let mut options = options(Rates::NONE);
        options.processing = plan.scenario().server.processing;
        options.retry_after = Duration::from_secs(1);
        options.machine = None;
        let forecast = forecast(&plan, &options);
        let [far] = forecast.regions.as_slice() else {
            panic!("one region: {:?}", forecast.regions);
        };
        assert_eq!(far.started, 3);
        let foretold = (far.response_p50.expect("devices").as_secs_f64() - 1.0) / 0.2;
        assert!(
            (foretold / trips - 1.0).abs() < 0.03,
            "{attestation} over {transport}: {foretold} round trips, measured {trips}"
        );
    }
}

#[test]
fn an_event_comes_with_the_very_device_that_makes_its_share() {
    // 999 of 1,000 are 99.9 %; as floating numbers go they are less.
    let event = "[[event]]\nwhen = \"provisioned >= 99.9%\"\ndo = \"throttle\"\nto = \"azure\"";
    let plan = plan(
        1_000,
        "kind = \"constant-rate\", rate = \"100/s\"",
        event,
        "",
    );
    let share = match plan.scenario().events[0].when {
        crate::event::When::Provisioned(share) => share,
        crate::event::When::At(_) => unreachable!("it is on a condition"),
    };
    assert!(share.is_reached_by(999, 1_000));
    assert!(!share.is_reached_by(998, 1_000));
}
