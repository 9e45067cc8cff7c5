//! TPMs that share an endorsement key.

use serde_json::Value;

use crate::binary::Scratch;

fn run(arrival: &str, server: &str) -> Value {
    let scratch = Scratch::new();
    let scenario = format!(
        r#"
name = "doubles"
seed = 3
device-timeout = "20s"

[server]
{server}

[[cohort]]
name = "good"
devices = 4
attestation = "tpm"
transport = "https"
arrival = {{ kind = "all-at-once" }}

[[cohort]]
name = "doubles"
devices = 8
attestation = "tpm"
transport = "https"
flaw = "duplicate-ek"
arrival = {{ {arrival} }}
after = {{ hold = "6s" }}
"#
    );
    let run = scratch.run(&scenario, &[]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    scratch.summary()
}

fn row<'s>(summary: &'s Value, list: &str, key: &str, name: &str) -> &'s Value {
    let mut rows = summary
        .pointer(list)
        .and_then(Value::as_array)
        .expect(list)
        .iter();
    rows.find(|row| row[key] == name).expect(name)
}

/// The one that proved itself last can open what the hub's key is wrapped in.
#[test]
fn doubles_that_come_together_share_an_assignment_that_one_of_them_can_use() {
    let server = "processing = { p50 = \"20ms\", p99 = \"100ms\" }\nretry-after = \"2s\"";
    let summary = run("kind = \"all-at-once\"", server);
    let good = row(&summary, "/cuts", "name", "good");
    let doubles = row(&summary, "/cuts", "name", "doubles");
    assert_eq!(
        (&good["provisioned"], &good["failed"]),
        (&4.into(), &0.into())
    );
    assert_eq!(
        (&doubles["provisioned"], &doubles["failed"]),
        (&4.into(), &4.into())
    );
    let why = "TPM activation failed at hub-connect";
    assert_eq!(row(&summary, "/outcomes", "text", why)["count"], 4);
    let judged = row(&summary, "/oracle/cohorts", "cohort", "doubles");
    assert_eq!(
        (&judged["as_intended"], &judged["either_way"]),
        (&4.into(), &4.into())
    );
    assert_eq!(summary["server_counters"]["agree"], true);
}

#[test]
fn doubles_that_come_one_after_the_other_throw_each_other_out() {
    let server = "processing = { p50 = \"1ms\", p99 = \"5ms\" }\nretry-after = \"0s\"";
    let summary = run("kind = \"constant-rate\", rate = \"2/s\"", server);
    assert_eq!(summary["devices"]["provisioned"], 12);
    let again = summary["reprovisions"]["provisioned"]
        .as_u64()
        .expect("a count");
    assert!(again >= 4, "{again}");
    assert_eq!(summary["oracle"]["contradictions"], 0);
}
