//! What fault rules explain, and what they don't.

use super::*;

/// A run in which these rules come at second 1.
fn with(rules: &str) -> String {
    format!("[[event]]\nat = \"1s\"\ndo = \"faults\"\nrules = [{rules}]\n")
}

/// What a record is while they are in force.
fn judged(rules: &str, record: Record) -> char {
    World::new(KEYS, &with(rules))
        .happened(&[(1, 1)])
        .judge(record)
}

/// A good device that was refused at its registration, as a rule for 401000 would have it.
fn unjust() -> Record {
    record(None, refused(401, 401_000))
}

#[test]
fn a_rule_excuses_those_that_it_selects_and_nobody_else() {
    for (selects, class) in [
        ("", 'e'),
        ("devices = [\"a-*\"]", 'e'),
        ("devices = [\"A-000000?\"]", 'e'),
        ("devices = [\"ghost-*\"]", 'c'),
        ("devices = [\"ghost-*\", \"a-0000000\"]", 'e'),
        ("operations = [\"register\"]", 'e'),
        ("operations = [\"poll\", \"twin\"]", 'c'),
        ("protocol = \"https\"", 'e'),
        ("protocol = \"mqtt\"", 'c'),
        ("instance = \"0NE00000001\"", 'e'),
        ("region = \"weu\"", 'e'),
        ("region = \"eus\"", 'c'),
        // A hub answers no registration.
        ("hub = \"hub-weu\"", 'c'),
    ] {
        let comma = if selects.is_empty() { "" } else { ", " };
        let rule = format!("{{ do = \"refuse\", code = 401000{comma}{selects} }}");
        let mut there = unjust();
        there.region = Some(0);
        assert_eq!(judged(&rule, there), class, "{selects}");
    }
    let mut nowhere = unjust();
    nowhere.region = None;
    let rule = "{ do = \"refuse\", code = 401000, region = \"weu\" }";
    assert_eq!(judged(rule, nowhere), 'c');
    let mut others = unjust();
    others.tenant = 1;
    let rule = "{ do = \"refuse\", code = 401000, instance = \"0ne00000001\" }";
    assert_eq!(
        judged(rule, others),
        'c',
        "another owner's instance at that"
    );
}

#[test]
fn a_rule_excuses_what_it_can_cause_and_nothing_else() {
    let at = |phase, status, code| Outcome::Refused {
        phase,
        status,
        code,
    };
    let garbled = |phase| Outcome::Broken {
        phase,
        fault: Fault::Protocol(Breach::Answer),
    };
    let refuse = "{ do = \"refuse\", code = 401000 }";
    let refuse_poll = "{ do = \"refuse\", code = 404201, operations = [\"poll\"] }";
    let refuse_twin = "{ do = \"refuse\", code = 404001, operations = [\"twin\"] }";
    let corrupt = "{ do = \"corrupt\" }";
    let corrupt_poll = "{ do = \"corrupt\", operations = [\"poll\"] }";
    let corrupt_twin = "{ do = \"corrupt\", operations = [\"twin\"] }";
    let harmless = "{ do = \"delay\", time = \"1s\" }, { do = \"stall\", time = \"1s\" }, { do = \"drop\" }, { do = \"reset\" }, { do = \"throttle\" }";
    for (rules, hub, outcome, class) in [
        (refuse, None, at(Phase::Register, 401, 401_000), 'e'),
        (refuse, None, at(Phase::Register, 401, 0), 'e'),
        (refuse, None, at(Phase::Register, 401, 401_002), 'c'),
        (refuse, None, at(Phase::Register, 404, 404_201), 'c'),
        (refuse, None, Outcome::Disabled, 'c'),
        (refuse, None, garbled(Phase::Register), 'c'),
        (refuse, Some(0), at(Phase::HubConnect, 401, 0), 'e'),
        (refuse, Some(0), Outcome::TwinMismatch, 'c'),
        (refuse_poll, None, at(Phase::Assign, 404, 404_201), 'e'),
        (refuse_poll, None, at(Phase::Register, 404, 404_201), 'c'),
        (refuse_twin, Some(0), at(Phase::Twin, 404, 0), 'e'),
        (refuse_twin, Some(0), at(Phase::Report, 404, 0), 'e'),
        (refuse_twin, Some(0), at(Phase::HubConnect, 404, 0), 'c'),
        (corrupt, None, garbled(Phase::Register), 'e'),
        (corrupt, None, garbled(Phase::Assign), 'e'),
        (corrupt, Some(0), garbled(Phase::Twin), 'e'),
        (corrupt, None, garbled(Phase::Open), 'c'),
        (corrupt, None, broken(Fault::UntrustedServer), 'c'),
        (corrupt, None, at(Phase::Register, 401, 401_000), 'c'),
        (corrupt, None, at(Phase::Attest, 401, 0), 'e'),
        (corrupt_poll, None, at(Phase::Attest, 401, 0), 'c'),
        (corrupt, None, at(Phase::Assign, 404, 404_201), 'e'),
        (corrupt_poll, None, garbled(Phase::Register), 'c'),
        (corrupt_poll, Some(0), garbled(Phase::HubConnect), 'e'),
        (corrupt_poll, Some(0), at(Phase::HubConnect, 401, 0), 'e'),
        (corrupt_poll, Some(0), Outcome::TwinMismatch, 'c'),
        (corrupt_twin, Some(0), Outcome::TwinMismatch, 'e'),
        (corrupt_twin, Some(0), garbled(Phase::Assign), 'c'),
        (harmless, None, at(Phase::Register, 401, 401_000), 'c'),
        (harmless, None, garbled(Phase::Register), 'c'),
        (harmless, None, at(Phase::Register, 429, 429_001), 'f'),
        (harmless, None, broken(Fault::ConnectionLost), 'f'),
    ] {
        let told = format!("{rules}: {outcome}");
        assert_eq!(judged(rules, record(hub, outcome)), class, "{told}");
    }
}

#[test]
fn a_name_of_a_hub_that_was_garbled_leads_nowhere() {
    let mut astray = record(None, broken(Fault::UntrustedServer));
    astray.registered_us = Some(10_500_000);
    for (rules, class) in [
        ("{ do = \"corrupt\", operations = [\"poll\"] }", 'e'),
        ("{ do = \"corrupt\", operations = [\"register\"] }", 'c'),
        ("{ do = \"refuse\", code = 401000 }", 'c'),
    ] {
        assert_eq!(judged(rules, astray), class, "{rules}");
    }
}

#[test]
fn no_rule_excuses_who_was_let_in_and_must_not_be() {
    let flaw = format!("{KEYS}\nflaw = \"wrong-key\"");
    let rules = with("{ do = \"corrupt\" }, { do = \"refuse\", code = 401000 }");
    let mut world = World::new(&flaw, &rules).happened(&[(1, 1)]);
    assert_eq!(world.judge(record(Some(0), Outcome::Provisioned)), 'c');
    // The code of its refusal could not be read.
    let mut garbled = record(None, refused(401, 401_002));
    garbled.device = 1;
    assert_eq!(world.judge(garbled), 'e');
}

#[test]
fn a_rule_excuses_while_it_is_in_force() {
    let rules = "{ do = \"refuse\", code = 401000 }";
    let ends = "[[event]]\nat = \"2s\"\ndo = \"faults\"\nrules = []\n";
    let others = "[[event]]\nat = \"2s\"\ndo = \"throttle\"\nto = \"azure\"\n";
    let restart = "[[event]]\nat = \"2s\"\ndo = \"restart-server\"\n";
    for (after, times, class) in [
        (ends, vec![], 'c'),
        (ends, vec![(5, 6)], 'e'),
        (ends, vec![(11, 12)], 'e'),
        (ends, vec![(12, 13)], 'c'),
        (ends, vec![(5, 6), (9, 10)], 'e'),
        (ends, vec![(5, 6), (8, 9)], 'c'),
        (restart, vec![(5, 6), (8, 9)], 'c'),
        (restart, vec![(5, 6), (8, 10)], 'e'),
        (others, vec![(5, 6), (8, 9)], 'e'),
    ] {
        let mut world = World::new(KEYS, &[&with(rules), after].concat()).happened(&times);
        assert_eq!(world.judge(unjust()), class, "{after}: {times:?}");
    }
}

/// The record is of the seconds 10 to 11; the server started at second -3 or -2.
#[test]
fn a_rule_excuses_in_its_own_time() {
    for (times, class) in [
        ("after = \"12s\"", 'e'),
        ("after = \"20s\"", 'c'),
        ("before = \"20s\"", 'e'),
        ("before = \"10s\"", 'c'),
        ("after = \"5s\", before = \"8s\"", 'c'),
        ("from = \"2030-01-01T12:00:05Z\"", 'e'),
        ("from = \"2030-01-01T12:00:15Z\"", 'c'),
        ("until = 2030-01-01T12:00:15Z", 'e'),
        ("until = \"2030-01-01T12:00:05Z\"", 'c'),
    ] {
        let rule = format!("{{ do = \"refuse\", code = 401000, {times} }}");
        assert_eq!(judged(&rule, unjust()), class, "{times}");
    }
}
