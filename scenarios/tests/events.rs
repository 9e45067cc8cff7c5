//! Every event, as it is written and as a report tells it.

use fleetstorm_scenarios::parse;

const FLEET: &str = r#"
name = "events"
server = { hub = [{ name = "hub-1", region = "north" }, { name = "hub-2" }] }
region = [{ name = "north" }, { name = "south" }]
tenant = [{ name = "buyer" }]
arrival = { kind = "all-at-once" }
cohort = [
    { name = "gateways", devices = 9, attestation = "x509-group", transport = "mqtt", after = { hold = "1h" } },
    { name = "meters", devices = 9, attestation = "symmetric-key-group", transport = "mqtt" },
]
"#;

/// What an event is in words.
fn told(event: &str) -> String {
    let text = format!("{FLEET}\n[[event]]\nat = \"10s\"\n{event}");
    let scenario = parse(&text, "events.toml");
    let scenario = scenario.unwrap_or_else(|error| panic!("{event}: {}", error.report()));
    scenario.in_words(&scenario.events[0].action)
}

#[test]
fn every_event_is_told_by_its_word_and_to_whom_it_happens() {
    let rows = [
        // The service.
        ("do = \"hub-down\"", "hub-down, all hubs"),
        ("do = \"hub-up\"\nhub = \"hub-2\"", "hub-up hub-2"),
        (
            "do = \"region-down\"\nregion = \"north\"",
            "region-down north",
        ),
        ("do = \"region-up\"\nregion = \"north\"", "region-up north"),
        (
            "do = \"throttle\"\nto = { registrations-per-minute = 9 }\ntenant = \"buyer\"",
            "throttle of buyer: 9 registrations a minute",
        ),
        ("do = \"throttle\"\nto = \"none\"", "throttle off"),
        (
            "do = \"faults\"\nrules = [{ do = \"corrupt\" }]",
            "faults: 1 rules",
        ),
        ("do = \"faults\"\nrules = []", "faults off"),
        (
            "do = \"disable-enrollment\"\ncohort = \"meters\"",
            "disable-enrollment meters",
        ),
        (
            "do = \"enable-enrollment\"\ncohort = \"gateways\"",
            "enable-enrollment gateways",
        ),
        ("do = \"key-roll\"\ncohort = \"meters\"", "key-roll meters"),
        (
            "do = \"key-retire\"\ncohort = \"meters\"",
            "key-retire meters",
        ),
        (
            "do = \"certificate-roll\"\ncohort = \"gateways\"",
            "certificate-roll gateways",
        ),
        (
            "do = \"certificate-retire\"\ncohort = \"gateways\"",
            "certificate-retire gateways",
        ),
        // Time.
        (
            "do = \"expire-batch\"\ncohort = \"gateways\"\nshare = 0.25",
            "expire-batch, 25 % of gateways",
        ),
        // The server.
        ("do = \"restart-server\"", "restart-server (stop)"),
        (
            "do = \"restart-server\"\nhow = \"kill\"\noff = \"2s\"",
            "restart-server (kill), off for 2s",
        ),
        // Lines.
        (
            "do = \"latency\"\nregion = \"south\"\nrtt = \"250ms\"\nbandwidth = \"none\"",
            "latency south: rtt 250ms, no limit of bandwidth",
        ),
        // Devices.
        (
            "do = \"power-cut\"\nfor = \"5s\"\nshare = 0.5",
            "power-cut, 50 % of those that stay for 5s",
        ),
        ("do = \"reboot\"", "power-cut, 100 % of those that stay"),
        (
            "do = \"reprovision\"\ncohort = \"gateways\"",
            "reprovision, 100 % of gateways",
        ),
        (
            "do = \"move\"\nto = \"south\"",
            "move, 100 % of those that stay, to south",
        ),
        (
            "do = \"factory-reset\"",
            "factory-reset, 100 % of those that stay",
        ),
        (
            "do = \"change-owner\"\ncohort = \"gateways\"\nto = \"buyer\"",
            "change-owner, 100 % of gateways, to buyer",
        ),
    ];
    for (event, words) in rows {
        assert_eq!(told(event), words, "{event}");
    }
}
