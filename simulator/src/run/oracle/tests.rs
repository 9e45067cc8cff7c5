use super::*;
use fleetstorm_reports::record::RecordedDevice;
use fleetstorm_reports::{Breach, Fault, Outcome, Phase};
use fleetstorm_scenarios::Overrides;

const HUBS: [&str; 3] = [
    "hub-weu.fleetstorm.test",
    "hub-eus.fleetstorm.test",
    "hub-sea.fleetstorm.test",
];

/// A run of a scenario that has one cohort, `a`, with these keys, and these events.
struct World {
    oracle: Oracle,
    times: Vec<EventTimes>,
}

impl World {
    fn new(cohort: &str, events: &str) -> Self {
        let text = format!(
            r#"
name = "one"
[[region]]
name = "weu"
latency = {{ eus = "85ms", sea = "160ms" }}
[[region]]
name = "eus"
latency = {{ weu = "85ms", sea = "220ms" }}
[[region]]
name = "sea"
[server]
hub = [
    {{ name = "hub-weu", region = "weu" }},
    {{ name = "hub-eus", region = "eus" }},
    {{ name = "hub-sea", region = "sea" }},
]
[arrival]
kind = "all-at-once"
[[cohort]]
name = "a"
devices = 100
{cohort}
{events}
"#
        );
        let scenario = fleetstorm_scenarios::parse(&text, "one.toml").expect("valid");
        let plan = Plan::new(scenario, &Overrides::default()).expect("a plan");
        Self {
            oracle: Oracle::new(&plan, setting(HUBS.map(String::from).into())),
            times: Vec::new(),
        }
    }

    /// Events in the scenario's order have begun and are done at these seconds.
    fn happened(mut self, seconds: &[(u64, u64)]) -> Self {
        self.times = (0..)
            .zip(seconds)
            .map(|(event, (began, done))| EventTimes {
                event,
                began_us: began * 1_000_000,
                done_us: Some(done * 1_000_000),
            })
            .collect();
        self
    }

    /// What one more record is: the first letter of its class.
    fn judge(&mut self, record: Record) -> char {
        let before = self.classes();
        self.oracle.count(&record, &self.times, name);
        let after = self.classes();
        let changed = before.iter().zip(after).position(|(was, is)| *was != is);
        "ifec"
            .chars()
            .nth(changed.expect("one class"))
            .expect("four")
    }

    fn classes(&self) -> [u64; 4] {
        let cohort = &self.oracle.cohorts[0];
        [
            cohort.as_intended,
            cohort.fell_short,
            cohort.either_way,
            cohort.contradictions,
        ]
    }
}

fn setting(hubs: Vec<String>) -> Setting {
    Setting {
        hubs,
        id_scopes: vec!["0ne00000001".into(), "0ne00000002".into()],
        started_at: "2030-01-01T12:00:00Z".parse().expect("a moment"),
        server_born_us: Some((-3_000_000, -2_000_000)),
    }
}

fn name(_cohort: u16, device: u32) -> String {
    format!("a-{device:07}")
}

/// Of device 0, from second 10 to second 11; at `hub`, where it was let in.
fn record(hub: Option<u16>, outcome: Outcome) -> Record {
    Record {
        registered_us: hub.map(|_| 10_500_000),
        end_us: 11_000_000,
        polls: 1,
        hub,
        ..Record::new(RecordedDevice::default(), 10_000_000, 10_000_000, outcome)
    }
}

fn refused(status: u16, code: u32) -> Outcome {
    Outcome::Refused {
        phase: Phase::Register,
        status,
        code,
    }
}

fn broken(fault: Fault) -> Outcome {
    Outcome::Broken {
        phase: Phase::Attest,
        fault,
    }
}

const KEYS: &str = "attestation = \"symmetric-key-group\"\ntransport = \"https\"";

#[test]
fn each_flaw_has_its_refusal_and_none_lets_anybody_in() {
    let x509 = "attestation = \"x509-group\"\ntransport = \"https\"";
    let tpm = "attestation = \"tpm\"\ntransport = \"https\"";
    let certificate = refused(401, 401_002);
    let key = refused(401, 401_000);
    let unknown = refused(404, 404_201);
    let activation = broken(Fault::Activation);
    for (cohort, more, right, wrong) in [
        (x509, "flaw = \"expired-certificate\"", certificate, key),
        (x509, "flaw = \"wrong-root\"", certificate, activation),
        (
            x509,
            "flaw = \"missing-intermediate\"",
            certificate,
            unknown,
        ),
        (x509, "flaw = \"unenrolled\"", certificate, key),
        (KEYS, "flaw = \"wrong-key\"", key, certificate),
        (KEYS, "flaw = \"unenrolled\"", key, Outcome::Disabled),
        (tpm, "flaw = \"unenrolled\"", unknown, activation),
        (tpm, "flaw = \"unenrolled\"", refused(401, 0), certificate),
        (tpm, "flaw = \"wrong-tpm-key\"", activation, unknown),
        (KEYS, "enabled = false", Outcome::Disabled, key),
    ] {
        for (hub, outcome, class) in [
            (None, right, 'i'),
            (None, wrong, 'c'),
            (None, Outcome::AssignmentFailed { code: 400_209 }, 'c'),
            (None, Outcome::TimedOut { phase: Phase::Tls }, 'f'),
            (None, refused(429, 429_001), 'f'),
            (None, Outcome::Cancelled, 'f'),
            (Some(0), Outcome::Provisioned, 'c'),
            (Some(0), broken(Fault::ConnectionLost), 'c'),
        ] {
            let mut world = World::new(&format!("{cohort}\n{more}"), "");
            let judged = world.judge(record(hub, outcome));
            assert_eq!(judged, class, "{more}: {outcome}, hub {hub:?}");
        }
    }
}

#[test]
fn a_good_device_is_let_in_or_falls_short() {
    for (hub, outcome, class) in [
        (Some(1), Outcome::Provisioned, 'i'),
        (Some(1), Outcome::TwinMismatch, 'c'),
        (Some(1), Outcome::DataMismatch, 'c'),
        (Some(1), Outcome::TimedOut { phase: Phase::Twin }, 'f'),
        (Some(1), refused(404, 0), 'c'),
        (None, broken(Fault::ConnectionRefused), 'f'),
        (None, broken(Fault::ConnectionLost), 'f'),
        (None, broken(Fault::Unresolvable), 'f'),
        (None, broken(Fault::LocalResources), 'f'),
        (None, broken(Fault::Activation), 'c'),
        (None, broken(Fault::Protocol(Breach::Answer)), 'c'),
        (None, broken(Fault::Tls), 'c'),
        (None, broken(Fault::UntrustedServer), 'c'),
        (Some(1), broken(Fault::Protocol(Breach::Answer)), 'c'),
        (None, refused(429, 429_001), 'f'),
        (None, refused(503, 0), 'f'),
        (None, refused(401, 401_000), 'c'),
        (None, Outcome::Disabled, 'c'),
        (None, Outcome::AssignmentFailed { code: 400_208 }, 'c'),
    ] {
        let judged = World::new(KEYS, "").judge(record(hub, outcome));
        assert_eq!(judged, class, "{outcome}");
    }
}

#[test]
fn a_hub_is_one_that_policy_and_region_allow() {
    let geo = "allocation = \"geo-latency\"\nregions = { weu = 1 }";
    let two = "hubs = [\"hub-eus\", \"hub-sea\"]";
    let fixed = "hubs = [\"hub-sea\"]\nallocation = \"static\"";
    for (more, region, again, allowed) in [
        ("", None, false, vec![0, 1, 2]),
        (two, None, false, vec![1, 2]),
        (fixed, None, true, vec![2]),
        (geo, Some(0), false, vec![0]),
        (geo, Some(1), true, vec![1]),
        (geo, None, false, vec![0, 1, 2]),
        (&format!("{geo}\n{two}"), Some(0), false, vec![1]),
        (&format!("{geo}\n{two}"), Some(2), false, vec![2]),
        (
            &format!("{geo}\nreprovision = \"never\""),
            Some(1),
            true,
            vec![0, 1, 2],
        ),
    ] {
        for hub in [Some(0), Some(1), Some(2), None] {
            let mut at = record(hub, Outcome::Provisioned);
            (at.region, at.reprovision) = (region, again);
            // Also one that is not known.
            at.registered_us = Some(10_500_000);
            let class = if hub.is_some_and(|hub| allowed.contains(&hub)) {
                'i'
            } else {
                'c'
            };
            let judged = World::new(&format!("{KEYS}\n{more}"), "").judge(at);
            assert_eq!(judged, class, "{more}, region {region:?}, hub {hub:?}");
        }
    }
}

#[test]
fn while_an_event_changes_the_intent_either_is_right_and_after_it_the_new_one() {
    let events = r#"
[[event]]
at = "1s"
do = "disable-enrollment"
cohort = "a"
[[event]]
at = "2s"
do = "enable-enrollment"
cohort = "a"
"#;
    let provisioned = record(Some(0), Outcome::Provisioned);
    let disabled = record(None, Outcome::Disabled);
    for (times, let_in, turned_away) in [
        (vec![], 'i', 'c'),
        (vec![(5, 6)], 'c', 'i'),
        (vec![(5, 10)], 'e', 'e'),
        (vec![(11, 12)], 'e', 'e'),
        (vec![(12, 13)], 'i', 'c'),
        (vec![(5, 6), (8, 9)], 'i', 'c'),
        (vec![(5, 6), (8, 10)], 'e', 'e'),
    ] {
        let mut world = World::new(KEYS, events).happened(&times);
        assert_eq!(world.judge(provisioned), let_in, "{times:?}");
        let mut other = disabled;
        other.device = 1;
        assert_eq!(world.judge(other), turned_away, "{times:?}");
        other.device = 2;
        other.outcome = refused(401, 401_000);
        assert_eq!(world.judge(other), 'c', "{times:?}");
    }
}

#[test]
fn who_comes_back_with_a_retired_key_may_be_refused_and_a_new_one_may_not() {
    let events = r#"
[[event]]
at = "1s"
do = "key-roll"
cohort = "a"
[[event]]
at = "2s"
do = "key-retire"
cohort = "a"
"#;
    let mut refused_key = record(None, refused(401, 401_000));
    let rolled = World::new(KEYS, events)
        .happened(&[(5, 6)])
        .judge(refused_key);
    assert_eq!(rolled, 'c', "both keys hold");
    let mut world = World::new(KEYS, events).happened(&[(5, 6), (7, 8)]);
    assert_eq!(
        world.judge(refused_key),
        'c',
        "it was made with the new key"
    );
    refused_key.reprovision = true;
    assert_eq!(world.judge(refused_key), 'e');
    assert_eq!(
        world.judge(record(Some(0), Outcome::Provisioned)),
        'c',
        "twice"
    );
}

#[test]
fn a_certificate_that_expires_is_refused_from_then_on_unless_it_was_rolled_before() {
    let x509 = "attestation = \"x509-group\"\ntransport = \"https\"";
    let expire = |at: &str, roll: &str| {
        format!(
            "{roll}[[event]]\nat = \"{at}\"\ndo = \"expire-batch\"\ncohort = \"a\"\nshare = \"100%\"\n"
        )
    };
    let roll = "[[event]]\nat = \"1s\"\ndo = \"certificate-roll\"\ncohort = \"a\"\n";
    let provisioned = record(Some(0), Outcome::Provisioned);
    let mut expired = record(None, refused(401, 401_002));
    expired.device = 1;
    for (at, roll, let_in, turned_away) in [
        ("5s", "", 'c', 'i'),
        ("10s", "", 'e', 'e'),
        ("12s", "", 'e', 'e'),
        ("20s", "", 'i', 'c'),
        ("5s", roll, 'e', 'e'),
    ] {
        let mut world = World::new(x509, &expire(at, roll)).happened(&[(1, 2)]);
        assert_eq!(world.judge(provisioned), let_in, "{at} {roll}");
        assert_eq!(world.judge(expired), turned_away, "{at} {roll}");
    }
}

#[test]
fn the_end_tells_who_came_twice_who_never_and_who_is_none_of_the_plan() {
    let mut world = World::new(KEYS, "");
    let mut good = record(Some(0), Outcome::Provisioned);
    for device in 0..20 {
        good.device = device;
        world.judge(good);
        world.judge(good);
    }
    good.device = 100;
    world.judge(good);
    let findings = world.oracle.close(25, |_, device| format!("name-{device}"));
    assert_eq!(findings.contradictions, 21);
    assert_eq!(findings.examples.len(), MAX_EXAMPLES);
    assert_eq!(findings.unrecorded, 5);
    assert!(!findings.agrees());
    let row = &findings.cohorts[0];
    assert_eq!((row.planned, row.not_started), (100, 80));
    assert_eq!((row.as_intended, row.contradictions), (20, 21));
    assert_eq!(row.intended, "provisioned at any hub");
    assert_eq!(findings.examples[3].device, "name-3");
    assert_eq!(
        findings.examples[3].came,
        "a second record of it: provisioned"
    );

    let mut world = World::new(KEYS, "");
    world.judge(good);
    let findings = world.oracle.close(0, |_, _| panic!("it has no name"));
    assert_eq!(findings.examples[0].device, "a 100");
}

#[test]
fn a_sold_device_is_its_buyers_from_then_on() {
    let events = r#"
after = { hold = "1m" }
hubs = ["hub-weu"]
[[tenant]]
name = "acme"
hubs = ["hub-eus"]
[[event]]
at = "1s"
do = "change-owner"
cohort = "a"
to = "acme"
"#;
    let (before, meanwhile, after) = ((15, 16), (9, 11), (5, 6));
    let let_in = |tenant, hub| Record {
        tenant,
        ..record(Some(hub), Outcome::Provisioned)
    };
    let out = |status| Record {
        tenant: 0,
        ..record(None, refused(status, 0))
    };
    for (when, record, class, why) in [
        (before, let_in(0, 0), 'i', "the seller's"),
        (before, let_in(1, 1), 'c', "nobody has bought it"),
        (meanwhile, let_in(0, 0), 'i', "just before"),
        (meanwhile, let_in(1, 1), 'i', "just after"),
        (meanwhile, out(401), 'e', "the seller has let go of it"),
        (meanwhile, let_in(1, 0), 'c', "a hub that the buyer has not"),
        (after, let_in(1, 1), 'i', "the buyer's"),
        (after, let_in(0, 0), 'c', "no longer the seller's"),
        (after, out(401), 'c', "it should have gone to the buyer"),
    ] {
        let mut world = World::new(KEYS, events).happened(&[when]);
        assert_eq!(world.judge(record), class, "{when:?}: {why}");
        let findings = world.oracle.close(1, |_, _| String::new());
        let intended = "provisioned at hub-weu, once sold at hub-eus";
        assert_eq!(findings.cohorts[0].intended, intended);
    }
}

#[test]
fn who_was_due_and_not_started_came_to_nothing() {
    let mut world = World::new(KEYS, "");
    for device in 0..5 {
        let outcome = if device < 2 {
            Outcome::Provisioned
        } else {
            Outcome::NotStarted
        };
        let hub = outcome.is_started().then_some(0);
        let record = Record {
            device,
            ..record(hub, outcome)
        };
        world.oracle.count(&record, &world.times, name);
    }
    let findings = world.oracle.close(2, |_, _| String::new());
    let cohort = &findings.cohorts[0];
    assert_eq!((cohort.as_intended, cohort.not_started), (2, 98));
    assert_eq!((cohort.fell_short, cohort.contradictions), (0, 0));
    assert_eq!(findings.unrecorded, 0, "two were released, and two came");
    let twice = Record {
        device: 3,
        ..record(Some(0), Outcome::Provisioned)
    };
    assert_eq!(world.judge(twice), 'c', "it can't have been both");
}

#[test]
fn a_certificate_may_be_refused_in_the_handshake_already() {
    let x509 = "attestation = \"x509-group\"\ntransport = \"https\"";
    for (cohort, flaw, class) in [
        (x509, "flaw = \"wrong-root\"", 'i'),
        (x509, "flaw = \"unenrolled\"", 'i'),
        (KEYS, "flaw = \"wrong-key\"", 'c'),
        (x509, "enabled = false", 'c'),
    ] {
        let mut world = World::new(&format!("{cohort}\n{flaw}"), "");
        let judged = world.judge(record(None, broken(Fault::Tls)));
        assert_eq!(judged, class, "{cohort} {flaw}");
    }
}

mod faults;
mod hubs;
