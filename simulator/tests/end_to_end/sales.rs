//! Devices that are sold: they leave one instance and its hubs for another.

use serde_json::json;

use crate::binary::Scratch;

/// Three devices that stay with their owner, and twelve of each kind that it sells, or a share of them; each owner
/// has one hub.
fn scenario(sold: &[(&str, &str)], share: &str, hubs: [&str; 2]) -> String {
    let [of_seller, of_buyer] = hubs;
    let head = format!(
        r#"
name = "sales"
seed = 6
device-timeout = "20s"

[server]
hub = [{{ name = "hub-1" }}, {{ name = "hub-2" }}]
processing = {{ p50 = "1ms", p99 = "5ms" }}
retry-after = "0s"

[[tenant]]
name = "acme"
hubs = ["{of_seller}"]

[[tenant]]
name = "globex"
hubs = ["{of_buyer}"]

[[cohort]]
name = "kept"
tenant = "acme"
devices = 3
attestation = "symmetric-key-group"
transport = "mqtt"
arrival = {{ kind = "all-at-once" }}
after = {{ reported = {{ sealed = true }}, hold = "4s" }}

[[event]]
at = "3s"
do = "reprovision"

[thresholds]
"provisioned.ratio" = "== 100%"
"#
    );
    let sold = sold.iter().map(|(attestation, transport)| {
        format!(
            r#"
[[cohort]]
name = "{attestation}"
tenant = "acme"
devices = 12
attestation = "{attestation}"
transport = "{transport}"
arrival = {{ kind = "all-at-once" }}
desired = {{ owner = "acme" }}
after = {{ reported = {{ sealed = true }}, hold = "4s" }}

[[event]]
at = "2s"
do = "change-owner"
cohort = "{attestation}"
{share}
to = "globex"
desired = {{ owner = "globex" }}
"#
        )
    });
    head + &sold.collect::<String>()
}

#[test]
fn sold_devices_go_to_their_new_owner_whatever_they_are() {
    let sold = [
        ("x509-group", "mqtt"),
        ("x509-individual", "amqp"),
        ("symmetric-key-group", "mqtt-ws"),
        ("symmetric-key-individual", "amqp"),
        ("tpm", "https"),
    ];
    let scratch = Scratch::new();
    let run = scratch.run(&scenario(&sold, "", ["hub-1", "hub-2"]), &[]);
    let told = format!("{}\n{}", run.stdout, run.stderr);
    assert_eq!(run.exit_code, 0, "{told}");
    let summary = scratch.summary();
    let again = &summary["reprovisions"];
    assert_eq!(again["failed"], 0, "{told}");
    // Each went over, and came back once.
    let placements = json!({"acme to hub-1": 3, "globex to hub-2": 2 * 5 * 12});
    assert_eq!(again["placements"], placements, "{told}");
    assert_eq!(summary["server_counters"]["agree"], true, "{told}");
}

#[test]
fn a_buyer_of_a_share_at_the_same_hub_has_nothing_of_the_sellers_twin() {
    let scratch = Scratch::new();
    let sold = [("symmetric-key-group", "mqtt")];
    let run = scratch.run(&scenario(&sold, "share = 0.5", ["hub-1", "hub-1"]), &[]);
    let told = format!("{}\n{}", run.stdout, run.stderr);
    assert_eq!(run.exit_code, 0, "{told}");
    let summary = scratch.summary();
    let again = &summary["reprovisions"];
    assert_eq!(again["failed"], 0, "{told}");
    let sold = again["placements"]["globex to hub-1"].as_u64().unwrap_or(0);
    // Each went over, and came back once; of the others those alone that were told to.
    assert!(sold >= 4 && sold.is_multiple_of(2), "{told}");
    let kept = 15 - sold / 2;
    let placements = json!({"acme to hub-1": kept, "globex to hub-1": sold});
    assert_eq!(again["placements"], placements, "{told}");
}

#[test]
fn devices_that_come_after_they_were_sold_go_to_their_new_owner_at_once() {
    let scratch = Scratch::new();
    let late = "arrival = { kind = \"constant-rate\", rate = \"3/s\" }\ndesired";
    let sold = [("symmetric-key-group", "https")];
    let all = scenario(&sold, "", ["hub-1", "hub-2"])
        .replace("arrival = { kind = \"all-at-once\" }\ndesired", late)
        .replace("\"provisioned.ratio\" = \"== 100%\"", "");
    let run = scratch.run(&all, &[]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    // Two seconds of four have passed. Who is on its way just then may be refused.
    let rows = summary["cuts"].as_array().expect("cuts").iter();
    let mut rows = rows.filter(|row| row["dimension"] == "tenant");
    let bought = rows.find(|row| row["name"] == "globex").expect("a row");
    assert!(bought["provisioned"].as_u64() >= Some(4), "{}", run.stdout);
    assert_eq!(summary["oracle"]["contradictions"], 0, "{}", run.stdout);
}
