//! What became of devices, against what the scenario says had to become of them.

use serde_json::Value;

use crate::binary::{Scratch, Served, fleetstorm, path, side_by_side};

const HEAD: &str = r#"
name = "judged"
seed = 11
device-timeout = "20s"

[server]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "0s"

[arrival]
kind = "constant-rate"
rate = "60/s"
"#;

fn cohort(name: &str, attestation: &str, transport: &str, more: &str) -> String {
    format!(
        "[[cohort]]\nname = \"{name}\"\ndevices = 2\nattestation = \"{attestation}\"\ntransport = \"{transport}\"\n{more}\n"
    )
}

/// A cohort's row.
fn row<'a>(summary: &'a Value, cohort: &str) -> &'a Value {
    let rows = summary["oracle"]["cohorts"].as_array().expect("rows");
    let mut rows = rows.iter();
    rows.find(|row| row["cohort"] == cohort)
        .expect("the cohort")
}

#[test]
fn every_bad_batch_is_refused_for_its_own_reason_over_every_transport() {
    let transports = ["https", "mqtt", "mqtt-ws", "amqp", "amqp-ws"];
    let x509 = ["x509-group", "x509-individual"];
    let keys = ["symmetric-key-group", "symmetric-key-individual"];
    let all = [&x509[..], &keys, &["tpm"]].concat();
    let bad = [
        ("flaw = \"expired-certificate\"", &x509[..]),
        ("flaw = \"wrong-root\"", &x509[..1]),
        ("flaw = \"missing-intermediate\"", &x509[..1]),
        ("flaw = \"wrong-key\"", &keys),
        ("flaw = \"wrong-tpm-key\"", &["tpm"]),
        ("flaw = \"unenrolled\"", &all),
        ("enabled = false", &all),
    ];
    let mut text = HEAD.to_owned() + &cohort("good", "x509-group", "https", "");
    let mut cohorts = 0;
    for (more, attestations) in bad {
        for attestation in attestations {
            let fit = transports
                .iter()
                .filter(|transport| *attestation != "tpm" || !transport.starts_with("mqtt"));
            for transport in fit {
                cohorts += 1;
                text += &cohort(&format!("bad-{cohorts}"), attestation, transport, more);
            }
        }
    }
    let scratch = Scratch::new();
    let run = scratch.run(&text, &[]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let oracle = &scratch.summary()["oracle"];
    assert_eq!(oracle["contradictions"], 0, "{oracle}");
    assert_eq!(oracle["unrecorded"], 0);
    let rows = oracle["cohorts"].as_array().expect("rows");
    assert_eq!(rows.len(), cohorts + 1);
    for row in rows {
        assert_eq!(row["as_intended"], 2, "{row}");
    }
}

#[test]
fn what_contradicts_the_scenario_fails_the_run_and_is_told_by_name() {
    let scratch = Scratch::new();
    let of = |strangers: &str, forgotten: &str| {
        HEAD.to_owned()
            + &cohort("good", "symmetric-key-group", "mqtt", "")
            + &cohort("strangers", "symmetric-key-individual", "https", strangers)
            + &cohort("forgotten", "x509-group", "amqp", forgotten)
    };
    // The service lets in whom it should not know, and does not know whom it should.
    let theirs = scratch.write("theirs.toml", &of("", "flaw = \"unenrolled\""));
    let list = scratch.path("enrollments.jsonl");
    let exported = fleetstorm(&["enrollments", path(&theirs), "--out", path(&list)]);
    assert_eq!(exported.exit_code, 0, "{}", exported.stderr);
    let served = Served::with_enrollments(&list);
    let ca = scratch.write("ca.pem", served.text("ca_pem"));
    let mine = of("flaw = \"unenrolled\"", "");
    let run = scratch.run(&mine, &served.flags(&ca));
    assert_eq!(run.exit_code, 99, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    assert_eq!(row(&summary, "good")["as_intended"], 2);
    assert_eq!(row(&summary, "strangers")["contradictions"], 2);
    assert_eq!(row(&summary, "forgotten")["contradictions"], 2);
    let again = fleetstorm(&["report", path(&scratch.path("out"))]);
    for told in [&run.stdout, &again.stdout] {
        for words in [
            "strangers-0000000 at",
            "intended was: refused as unknown",
            "forgotten-0000001 at",
            "refused at register: 401 (401002); intended was: provisioned",
            "FAIL (exit code 99)",
        ] {
            assert!(told.contains(words), "{words:?} is not in\n{told}");
        }
    }

    let good = HEAD.to_owned() + &cohort("good", "symmetric-key-group", "mqtt", "");
    // Only the hubs that are named are allowed: not both devices are at both.
    let named = ["hub-1.fleetstorm.test", "hub-2.fleetstorm.test"];
    let came = named.map(|hub| {
        let mut flags = served.flags(&ca);
        flags.extend(["--hub", hub]);
        let run = scratch.run(&good, &flags);
        let example = scratch.summary()["oracle"]["examples"][0]["came"].clone();
        (run.exit_code, example.as_str().map(str::to_owned))
    });
    let refused = came.iter().any(|(exit_code, came)| {
        let elsewhere = |came: &String| came.contains("which is not allowed");
        *exit_code == 99 && came.as_ref().is_some_and(elsewhere)
    });
    assert!(refused, "{came:?}");
}

#[test]
fn at_another_endpoint_the_hubs_that_a_cohort_names_are_held_to() {
    let scratch = Scratch::new();
    let of = |hub: &str| {
        let hubs = format!("hubs = [\"{hub}\"]");
        HEAD.to_owned() + &cohort("meters", "symmetric-key-group", "mqtt", &hubs)
    };
    let theirs = scratch.write("theirs.toml", &of("hub-2"));
    let list = scratch.path("enrollments.jsonl");
    let exported = fleetstorm(&["enrollments", path(&theirs), "--out", path(&list)]);
    assert_eq!(exported.exit_code, 0, "{}", exported.stderr);
    let served = Served::with_enrollments(&list);
    let ca = scratch.write("ca.pem", served.text("ca_pem"));
    let mut flags = served.flags(&ca);
    for hub in ["hub-1.fleetstorm.test", "hub-2.fleetstorm.test"] {
        flags.extend(["--hub", hub]);
    }
    for (mine, exit_code, right, wrong) in [("hub-2", 0, 2, 0), ("hub-1", 99, 0, 2)] {
        let out = scratch.path("out");
        let _ = std::fs::remove_dir_all(&out);
        let run = scratch.run(&of(mine), &flags);
        assert_eq!(run.exit_code, exit_code, "{}\n{}", run.stdout, run.stderr);
        let summary = scratch.summary();
        let meters = row(&summary, "meters");
        assert_eq!(meters["as_intended"], right, "{meters}");
        assert_eq!(meters["contradictions"], wrong, "{meters}");
    }
}

/// As many wrong refusals as there are devices, beside a rule that is for others.
#[test]
fn a_fault_rule_for_other_devices_excuses_nobody() {
    let scratch = Scratch::new();
    let strangers = HEAD.to_owned()
        + &cohort("meters", "symmetric-key-group", "mqtt", "")
        + &cohort("pumps", "symmetric-key-group", "https", "");
    let rules = |devices: &str| {
        format!(
            "{strangers}\n[[event]]\nat = \"0s\"\ndo = \"faults\"\nrules = [{{ do = \"refuse\", code = 404201, operations = [\"register\"], devices = [\"{devices}\"] }}]\n"
        )
    };
    let run = scratch.run(&rules("ghost-*"), &[]);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    for name in ["meters", "pumps"] {
        assert_eq!(row(&summary, name)["as_intended"], 2);
    }
    let scratch = Scratch::new();
    let run = scratch.run(&rules("pumps-*"), &[]);
    let summary = scratch.summary();
    let told = format!("{}\n{}", run.stdout, run.stderr);
    assert_eq!(row(&summary, "meters")["as_intended"], 2, "{told}");
    // The first may have been there before the rule.
    assert_ne!(row(&summary, "pumps")["either_way"], 0, "{told}");
    assert_eq!(summary["oracle"]["contradictions"], 0, "{told}");
}

/// Over every transport, by every attestation: what faults do to devices is theirs, and every answer that got
/// lost is accounted for.
#[test]
fn whatever_faults_do_contradicts_nothing_and_makes_no_counter_differ() {
    let refusals = [401_000, 400_004, 403_001, 404_201, 500_001]
        .map(|code| format!("{{ do = \"refuse\", code = {code}, share = 0.05 }}, "));
    let cases = [
        "{ do = \"corrupt\", share = 0.3 }".to_owned(),
        refusals.concat() + "{ do = \"throttle\", share = 0.05 }",
        "{ do = \"drop\", share = 0.08 }, { do = \"reset\", share = 0.08 }, { do = \"stall\", time = \"200ms\", share = 0.03 }, { do = \"delay\", time = \"2s\", share = 0.05 }".to_owned(),
    ];
    side_by_side(cases, |rules| {
        let mut text = HEAD.replace("\"20s\"", "\"1500ms\"");
        for (attestation, transports) in [
            (
                "x509-group",
                &["https", "mqtt", "mqtt-ws", "amqp", "amqp-ws"][..],
            ),
            ("symmetric-key-individual", &["https", "mqtt", "amqp-ws"]),
            ("tpm", &["https", "amqp"]),
        ] {
            for transport in transports {
                let after = "desired = { interval = 30 }\nafter = { reported = { sealed = true }, messages = 1 }";
                let cohort = cohort(
                    &format!("{attestation}-{transport}"),
                    attestation,
                    transport,
                    after,
                );
                text += &cohort.replace("devices = 2", "devices = 12");
            }
        }
        text += &cohort("bad", "x509-group", "https", "flaw = \"wrong-root\"");
        text += &cohort("off", "symmetric-key-group", "mqtt", "enabled = false");
        text += &format!("[[event]]\nat = \"0s\"\ndo = \"faults\"\nrules = [{rules}]\n");
        let scratch = Scratch::new();
        let run = scratch.run(&text, &[]);
        let summary = scratch.summary();
        let told = format!("{}\n{}", run.stdout, run.stderr);
        assert_eq!(summary["oracle"]["contradictions"], 0, "{told}");
        assert_eq!(summary["oracle"]["unrecorded"], 0, "{told}");
        assert_eq!(summary["server_counters"]["agree"], true, "{told}");
        assert_ne!(summary["devices"]["failed"], 0, "{told}");
    });
}
