use fleetstorm_protocol::fault::{FaultOperation, FaultProtocol};

use super::*;

fn rule(toml: &str) -> Matcher {
    let rule: FaultRule = toml::from_str(toml).expect("a rule");
    rule.check().expect("a good rule");
    Matcher::new(rule)
}

fn occasion(operation: FaultOperation) -> Occasion<'static> {
    Occasion {
        operation,
        protocol: FaultProtocol::Mqtt,
        device: "pump-17",
        instance: Some("0ne00000001"),
        hub: None,
        region: Some("eastus"),
    }
}

const NOW: Moment = Moment {
    since_start: Duration::from_secs(60),
    at: Timestamp::UNIX_EPOCH,
};

#[test]
fn a_rule_hits_what_all_its_keys_name() {
    use FaultOperation::{Connect, HubConnect, Poll, Register, Telemetry, Twin};
    for (keys, operation, hits) in [
        ("do = 'drop'", Register, true),
        ("do = 'drop'", Connect, true),
        ("do = 'drop'\nprotocol = 'mqtt'", Register, true),
        ("do = 'drop'\nprotocol = 'amqp'", Register, false),
        ("do = 'drop'\noperations = ['poll', 'twin']", Twin, true),
        (
            "do = 'drop'\noperations = ['poll', 'twin']",
            Register,
            false,
        ),
        ("do = 'drop'\ndevices = ['valve-*', 'PUMP-*']", Poll, true),
        ("do = 'drop'\ndevices = ['pump-?']", Poll, false),
        ("do = 'drop'\ndevices = ['pump-??']", Poll, true),
        ("do = 'drop'\ninstance = '0NE00000001'", Poll, true),
        ("do = 'drop'\ninstance = '0ne00000002'", Poll, false),
        ("do = 'drop'\nhub = 'hub-1.test'", HubConnect, false),
        ("do = 'drop'\nregion = 'eastus'", Telemetry, true),
        ("do = 'drop'\nregion = 'westus'", Telemetry, false),
        ("do = 'drop'\nafter = '60s'", Register, true),
        ("do = 'drop'\nafter = '61s'", Register, false),
        ("do = 'drop'\nafter = '10s'\nbefore = '1m'", Register, false),
        ("do = 'drop'\nbefore = '61s'", Register, true),
        (
            "do = 'drop'\nfrom = '1970-01-01T00:00:01Z'",
            Register,
            false,
        ),
        (
            "do = 'drop'\nuntil = '1970-01-01T00:00:01Z'",
            Register,
            true,
        ),
        (
            "do = 'drop'\nuntil = '1970-01-01T00:00:00Z'",
            Register,
            false,
        ),
        // Where an action has no place, it does not hit.
        ("do = 'throttle'", Connect, false),
        ("do = 'throttle'", Telemetry, true),
        ("do = 'corrupt'", HubConnect, false),
        ("do = 'corrupt'", Poll, true),
    ] {
        let matched = rule(keys).matches(&occasion(operation), NOW);
        assert_eq!(matched, hits, "{keys}, at {operation:?}");
    }
}

#[test]
fn a_share_is_of_devices_and_the_same_every_time() {
    let rule = rule("do = 'drop'\nname = 'some'\nshare = 0.2");
    let apply = |seed, occurrence| {
        let names = (0..5000).map(|device| format!("pump-{device}"));
        names
            .map(|name| rule.apply(seed, &name, occurrence).is_some())
            .collect::<Vec<_>>()
    };
    let first = apply(1, 0);
    let hit = first.iter().filter(|hit| **hit).count();
    assert!((900..1100).contains(&hit), "{hit} of 5000");
    assert_eq!(first, apply(1, 0));
    assert_ne!(first, apply(1, 1), "another occurrence is another lot");
    assert_ne!(first, apply(2, 0), "another seed as well");
}

#[test]
fn what_is_done_follows_the_rule() {
    let refuse = |code, retry_after| FaultHit::Refuse { code, retry_after };
    for (keys, hit) in [
        (
            "do = 'delay'\ntime = '200ms'",
            FaultHit::Wait(Duration::from_millis(200)),
        ),
        (
            "do = 'stall'\ntime = '10s'",
            FaultHit::Wait(Duration::from_secs(10)),
        ),
        ("do = 'throttle'", refuse(429_001, Some(5))),
        ("do = 'throttle'\nretry-after = 7", refuse(429_001, Some(7))),
        ("do = 'refuse'\ncode = 500001", refuse(500_001, None)),
        ("do = 'reset'", FaultHit::Reset),
        ("do = 'drop'", FaultHit::Drop),
    ] {
        assert_eq!(rule(keys).apply(1, "pump-1", 0), Some(hit), "{keys}");
    }
    let never = rule("do = 'drop'\nshare = 0.0");
    assert_eq!(never.apply(1, "pump-1", 0), None);
}

#[test]
fn delays_have_the_distribution_that_was_asked_for() {
    let times = |keys: &str| {
        let rule = rule(keys);
        let wait = |occurrence| match rule.apply(7, "pump-1", occurrence) {
            Some(FaultHit::Wait(time)) => time.as_secs_f64() * 1e3,
            other => panic!("{other:?}"),
        };
        let mut times: Vec<f64> = (0..10_000).map(wait).collect();
        times.sort_unstable_by(f64::total_cmp);
        times
    };
    let uniform = times("do = 'delay'\ntime = { from = '10ms', to = '30ms' }");
    assert!(uniform[0] >= 10.0 && uniform[9999] <= 30.0);
    assert!((19.0..21.0).contains(&uniform[5000]), "{}", uniform[5000]);
    let skewed = times("do = 'delay'\ntime = { p50 = '40ms', p99 = '400ms' }");
    assert!((37.0..43.0).contains(&skewed[5000]), "{}", skewed[5000]);
    assert!((350.0..450.0).contains(&skewed[9900]), "{}", skewed[9900]);
}
