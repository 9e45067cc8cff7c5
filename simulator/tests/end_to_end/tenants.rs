//! Several DPS instances behind one endpoint.

use serde_json::Value;

use crate::binary::{Scratch, fleetstorm, path};

const SCENARIO: &str = r#"
name = "tenants"
seed = 4
device-timeout = "20s"

[server]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "0s"

[[tenant]]
name = "acme"
hubs = ["hub-1"]
processing = { p50 = "300ms", p99 = "400ms" }
retry-after = "1s"

[[tenant]]
name = "globex"
id-scope = "0neGLOBEX"
hubs = ["hub-2"]
throttle = { registrations-per-minute = 3 }

[arrival]
kind = "all-at-once"

[[cohort]]
name = "own"
devices = 4
attestation = "tpm"
transport = { https = 50, amqp = 50 }

[[cohort]]
name = "gateways"
tenant = "acme"
devices = 8
attestation = "x509-group"
transport = { mqtt = 50, amqp = 50 }

[[cohort]]
name = "meters"
tenant = "globex"
devices = 8
attestation = "symmetric-key-individual"
transport = { https = 50, mqtt-ws = 50 }
retry = "naive"

[[event]]
at = "3s"
do = "throttle"
to = "none"
tenant = "globex"

[thresholds]
"provisioned.ratio" = "== 100%"
"#;

fn row<'s>(summary: &'s Value, dimension: &str, name: &str) -> &'s Value {
    let rows = summary["cuts"].as_array().expect("cuts").iter();
    let mut rows = rows.filter(|row| row["dimension"] == dimension);
    rows.find(|row| row["name"] == name).expect(name)
}

#[test]
fn tenants_have_hubs_enrollments_and_quotas_to_themselves() {
    let scratch = Scratch::new();
    let run = scratch.run(SCENARIO, &[]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    assert_eq!(summary["server_counters"]["agree"], true, "{}", run.stdout);
    for (tenant, devices, throttled) in [("0ne00000001", 4, 0), ("acme", 8, 0), ("globex", 8, 5)] {
        let row = row(&summary, "tenant", tenant);
        assert_eq!(row["provisioned"], devices, "{tenant}");
        assert_eq!(row["attempts"]["throttled"], throttled, "{tenant}");
    }
    // It tells devices to wait longer than the others do.
    let of_acme = &row(&summary, "tenant", "acme")["registration"]["service"];
    let median_us = of_acme["p50_us"].as_u64().expect("a time");
    assert!(median_us >= 950_000, "{of_acme}");
    let hubs = &summary["hubs"];
    let at = |name: &str| hubs[name].as_u64().expect("a count");
    let (first, second) = (at("hub-1.fleetstorm.test"), at("hub-2.fleetstorm.test"));
    assert_eq!(first + second, 20, "{hubs}");
    assert!(first >= 8 && second >= 8, "{hubs}");
}

#[test]
fn each_tenant_has_a_list_of_its_own() {
    let scratch = Scratch::new();
    let file = scratch.write("tenants.toml", SCENARIO);
    for (tenant, lines, word) in [
        (None, 4, "endorsementKey"),
        (Some("acme"), 1, "\"enrollmentGroupId\":\"gateways\""),
        (Some("globex"), 8, "meters-0000007"),
    ] {
        let mut args = vec!["enrollments", path(&file)];
        args.extend(tenant.iter().flat_map(|tenant| ["--tenant", tenant]));
        let list = fleetstorm(&args);
        assert_eq!(list.exit_code, 0, "{}", list.stderr);
        assert_eq!(list.stdout.lines().count(), lines, "{tenant:?}");
        assert!(list.stdout.contains(word), "{tenant:?}");
    }
    let unknown = fleetstorm(&["enrollments", path(&file), "--tenant", "initech"]);
    assert_eq!(unknown.exit_code, 2);
}

#[test]
fn a_tenant_without_id_scope_can_not_be_found_elsewhere() {
    let scratch = Scratch::new();
    let quiet = SCENARIO.split("[[event]]").next().expect("a start");
    let quiet = &quiet.replace("throttle = { registrations-per-minute = 3 }", "");
    let flags = ["--endpoint", "127.0.0.1", "--id-scope", "0ne00000001"];
    let run = scratch.run(quiet, &flags);
    assert_eq!(run.exit_code, 2, "{}", run.stderr);
    assert!(
        run.stderr.contains("tenant \"acme\" has no id-scope"),
        "{}",
        run.stderr
    );
}
