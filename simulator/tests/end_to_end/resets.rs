//! Devices that are as they left the factory again.

use crate::binary::Scratch;

/// Every policy for twins, by what proves itself in a way of its own.
fn scenario() -> String {
    let cohort = |name: &str, attestation: &str, transport: &str| {
        ["migrate", "reset", "never"]
            .map(|policy| {
                format!(
                    r#"
[[cohort]]
name = "{name}-{policy}"
devices = 3
attestation = "{attestation}"
transport = "{transport}"
reprovision = "{policy}"
desired = {{ interval = 30 }}
after = {{ reported = {{ sealed = true }}, hold = "4s" }}
"#
                )
            })
            .concat()
    };
    [
        r#"
name = "resets"
seed = 9
device-timeout = "20s"

[server]
hub = [{ name = "hub-1" }, { name = "hub-2" }]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "0s"

[arrival]
kind = "all-at-once"

[[event]]
at = "2s"
do = "factory-reset"

[[event]]
at = "3s"
do = "factory-reset"

[thresholds]
"provisioned.ratio" = "== 100%"
"#
        .to_owned(),
        cohort("gauges", "tpm", "https"),
        cohort("valves", "tpm", "amqp"),
        cohort("gateways", "x509-group", "mqtt"),
        cohort("meters", "symmetric-key-individual", "amqp-ws"),
    ]
    .concat()
}

/// With another storage root key each time: the hub's new key can be opened with that alone.
#[test]
fn a_device_that_was_reset_is_let_in_and_finds_its_twin_as_the_policy_says() {
    let scratch = Scratch::new();
    let run = scratch.run(&scenario(), &[]);
    let told = format!("{}\n{}", run.stdout, run.stderr);
    assert_eq!(run.exit_code, 0, "{told}");
    let summary = scratch.summary();
    assert_eq!(summary["reprovisions"]["provisioned"], 2 * 36, "{told}");
    assert_eq!(summary["reprovisions"]["failed"], 0, "{told}");
    assert_eq!(summary["server_counters"]["agree"], true, "{told}");
}
