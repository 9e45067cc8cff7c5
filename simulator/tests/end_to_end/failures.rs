//! Whatever goes wrong: a clear message and its exit code.

use std::net::TcpListener;

use crate::binary::{Run, Scratch, Served, fleetstorm, path};

const HEAD: &str = r#"
name = "failing"
seed = 3
device-timeout = "20s"

[server]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "0s"

[arrival]
kind = "constant-rate"
rate = "50/s"
"#;

fn scenario(cohort: &str, thresholds: &str) -> String {
    format!("{HEAD}[[cohort]]\nname = \"bad\"\ndevices = 5\n{cohort}\n[thresholds]\n{thresholds}\n")
}

/// All devices of flawed cohorts end in `outcome`, so that nothing is provisioned: exit 4.
fn all_end_in(outcome: &str, cohorts: &[(&str, &str, &str)]) {
    let count = cohorts.len();
    let cohorts = cohorts.iter().map(|(attestation, transport, flaw)| {
        format!(
            "[[cohort]]\nname = \"{attestation}-{transport}-{}\"\ndevices = 5\nattestation = \"{attestation}\"\ntransport = \"{transport}\"\n{flaw}\n",
            flaw.len()
        )
    });
    let text = HEAD.to_owned() + &cohorts.collect::<String>();
    let scratch = Scratch::new();
    let run = scratch.run(&text, &[]);
    assert_eq!(run.exit_code, 4, "{}\n{}", run.stdout, run.stderr);
    assert!(run.stdout.contains(outcome), "{outcome}\n{}", run.stdout);
    let summary = scratch.summary();
    let outcomes = summary["outcomes"].as_array().expect("a list");
    assert_eq!(outcomes.len(), 1, "{}", run.stdout);
    assert_eq!(outcomes[0]["text"], outcome);
    assert_eq!(outcomes[0]["count"], 5 * count);
}

fn refused(run: &Run, exit_code: i32, words: &[&str]) {
    assert_eq!(run.exit_code, exit_code, "{}\n{}", run.stdout, run.stderr);
    for word in words {
        assert!(
            run.stderr.contains(word),
            "{word:?} is not in\n{}",
            run.stderr
        );
    }
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
}

#[test]
fn what_a_server_broke_of_the_protocol_is_shown_by_an_example() {
    let corrupt = r#"
attestation = "x509-group"
transport = { https = 1, mqtt = 1, amqp = 1 }

[[event]]
at = "1us"
do = "faults"
rules = [{ do = "corrupt", operations = ["register"] }]
"#;
    let scratch = Scratch::new();
    let run = scratch.run(&scenario(corrupt, ""), &["--devices", "60"]);
    let summary = scratch.summary();
    let outcomes = summary["outcomes"].as_array().expect("a list");
    let words = "protocol broken at register: the answer is not the documented JSON";
    let broken = outcomes.iter().find(|one| one["text"] == words);
    let broken = broken.unwrap_or_else(|| panic!("{}", run.stdout));
    let example = broken["example"].as_str().expect("an example");
    assert!(example.contains("at line 1"), "{example}");
    assert!(run.stdout.contains(example), "{example}\n{}", run.stdout);
}

#[test]
fn certificates_that_do_not_hold_are_refused() {
    let expired = "flaw = \"expired-certificate\"";
    all_end_in(
        "refused at register: 401 (401002)",
        &[
            ("x509-group", "https", expired),
            ("x509-group", "mqtt", expired),
            ("x509-group", "amqp", expired),
            ("x509-group", "https", "flaw = \"wrong-root\""),
            ("x509-group", "mqtt", "flaw = \"missing-intermediate\""),
        ],
    );
}

#[test]
fn a_wrong_key_is_refused() {
    let wrong = "flaw = \"wrong-key\"";
    all_end_in(
        "refused at register: 401 (401000)",
        &[
            ("symmetric-key-group", "https", wrong),
            ("symmetric-key-group", "mqtt", wrong),
            ("symmetric-key-individual", "https", wrong),
            ("symmetric-key-group", "amqp", wrong),
            ("symmetric-key-individual", "mqtt-ws", wrong),
            ("symmetric-key-individual", "amqp-ws", wrong),
        ],
    );
}

#[test]
fn a_wrong_tpm_key_can_not_activate() {
    let wrong = "flaw = \"wrong-tpm-key\"";
    all_end_in(
        "TPM activation failed at attest",
        &[("tpm", "https", wrong), ("tpm", "amqp", wrong)],
    );
}

#[test]
fn an_unenrolled_tpm_is_unknown() {
    let unknown = "flaw = \"unenrolled\"";
    // Over AMQP the challenge is solved before anything is asked.
    all_end_in(
        "refused at attest: 404 (404201)",
        &[("tpm", "https", unknown)],
    );
    all_end_in(
        "refused at register: 404 (404201)",
        &[("tpm", "amqp-ws", unknown)],
    );
}

#[test]
fn a_disabled_group_lets_nobody_in() {
    let disabled = "enabled = false";
    all_end_in(
        "enrollment disabled",
        &[
            ("x509-group", "https", disabled),
            ("x509-group", "mqtt", disabled),
            ("x509-group", "amqp", disabled),
        ],
    );
}

#[test]
fn a_crossed_threshold_exits_99_and_says_what_was_measured() {
    let scratch = Scratch::new();
    let good = "attestation = \"x509-group\"\ntransport = \"https\"";
    let run = scratch.run(
        &scenario(good, "\"registration.response.p99\" = \"< 1ms\""),
        &[],
    );
    assert_eq!(run.exit_code, 99, "{}\n{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("registration.response.p99 < 1ms"),
        "{}",
        run.stdout
    );
    let summary = scratch.summary();
    assert_eq!(summary["verdict"], "fail");
    assert_eq!(summary["thresholds"][0]["outcome"], "crossed");
}

#[test]
fn an_objective_without_evidence_is_no_pass_and_a_missed_one_fails() {
    let good = "attestation = \"symmetric-key-group\"\ntransport = \"mqtt\"";
    for (objective, exit_code, outcome) in [
        ("objective = \"50%\"", 0, "met"),
        ("objective = \"99.9%\"", 98, "not-enough-evidence"),
        ("objective = \"99.9%\"\nwithin = \"1us\"", 99, "missed"),
    ] {
        let scratch = Scratch::new();
        let slo = format!("[[slo]]\nname = \"all\"\n{objective}");
        let run = scratch.run(&scenario(good, &slo), &["--journal"]);
        assert_eq!(run.exit_code, exit_code, "{}\n{}", run.stdout, run.stderr);
        assert_eq!(scratch.summary()["slos"][0]["outcome"], outcome);
    }
}

#[test]
fn three_mistakes_are_reported_at_once_with_line_and_key() {
    let scratch = Scratch::new();
    let text = "name = \"three\"\nsead = 1\n\n[arrival]\nkind = \"constant-rate\"\nrate = \"-5/s\"\n\n[[cohort]]\nname = \"a\"\ndevices = 5\nattestation = \"tpm\"\ntransport = \"mqtt\"\n";
    let file = scratch.write("three.toml", text);
    for run in [
        fleetstorm(&["validate", path(&file)]),
        scratch.run(text, &[]),
    ] {
        refused(
            &run,
            2,
            &[
                ":2:",
                "sead",
                "\"seed\"",
                ":6:",
                "arrival.rate",
                ":12:",
                "cohort[0].transport",
            ],
        );
    }
    assert!(!scratch.path("out").exists(), "nothing was started");
}

#[test]
fn validate_tells_of_every_file_and_passes_over_cargos() {
    let scratch = Scratch::new();
    let text = |devices| {
        let cohort = "attestation = \"tpm\"\ntransport = \"https\"";
        scenario(cohort, "").replace("devices = 5", &format!("devices = {devices}"))
    };
    let good = scratch.write("good.toml", &text(5));
    let manifest = scratch.write("Cargo.toml", "[package]\nname = \"x\"\n");
    let late = scratch.write("late.toml", &text(4_000_000_000_u64));
    let other = scratch.write("other.toml", &text(4_000_000_000_u64));
    let fine = fleetstorm(&["validate", path(&good), path(&manifest)]);
    assert_eq!(fine.exit_code, 0, "{}", fine.stderr);
    assert!(fine.stdout.contains("passed over"), "{}", fine.stdout);
    refused(
        &fleetstorm(&["validate", path(&late), path(&good), path(&other)]),
        2,
        &["late.toml:13:1: ", "other.toml:13:1: ", "more than a year"],
    );
}

/// The endpoint answers, and nobody would have had a hub.
#[test]
fn an_unreachable_port_of_a_hub_exits_3() {
    let scratch = Scratch::new();
    let served = Served::start(&[]);
    let ca = scratch.write("ca.pem", served.text("ca_pem"));
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its number").port().to_string();
    drop(free);
    let good = "attestation = \"x509-group\"\ntransport = \"https\"";
    let mut flags = served.flags(&ca);
    let mqtt = flags.iter().position(|flag| *flag == "--mqtt-port");
    flags[mqtt.expect("the flag") + 1] = &port;
    let unnamed = scratch.run(&scenario(good, ""), &flags);
    refused(&unnamed, 3, &["hubs at 127.0.0.1:", &port, "refused"]);
    flags.extend(["--hub", "hub-1.fleetstorm.test"]);
    let named = scratch.run(&scenario(good, ""), &flags);
    let place = format!("hub hub-1.fleetstorm.test:{port}: connection refused");
    refused(&named, 3, &[&place]);
}

#[test]
fn an_unreachable_endpoint_exits_3() {
    let scratch = Scratch::new();
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its number").port().to_string();
    drop(free);
    let good = "attestation = \"x509-group\"\ntransport = \"https\"";
    let run = scratch.run(
        &scenario(good, ""),
        &[
            "--endpoint",
            "localhost",
            "--id-scope",
            "0ne00000001",
            "--https-port",
            &port,
        ],
    );
    refused(&run, 3, &["localhost", &port, "refused"]);
}

#[test]
fn a_host_that_is_not_this_machine_needs_the_users_word() {
    let scratch = Scratch::new();
    let good = "attestation = \"x509-group\"\ntransport = \"https\"";
    let flags = ["--endpoint", "192.0.2.1", "--id-scope", "0ne00000001"];
    refused(
        &scratch.run(&scenario(good, ""), &flags),
        2,
        &["--yes-load-test 192.0.2.1"],
    );
}

#[test]
fn a_wrong_trust_anchor_exits_3() {
    let scratch = Scratch::new();
    let served = Served::with_enrollments(&scratch.write("none.jsonl", ""));
    let stranger = rcgen::generate_simple_self_signed(vec!["stranger.test".to_owned()])
        .expect("a certificate");
    let ca = scratch.write("stranger.pem", &stranger.cert.pem());
    let good = "attestation = \"x509-group\"\ntransport = \"https\"";
    let run = scratch.run(&scenario(good, ""), &served.flags(&ca));
    refused(&run, 3, &["not trusted", "--ca"]);
}

#[test]
fn a_ca_that_expired_is_refused_wherever_it_is_named() {
    let scratch = Scratch::new();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let key = rcgen::KeyPair::generate().expect("a key");
    let expired = params.self_signed(&key).expect("a CA").pem();
    let (ca, key) = (
        scratch.write("old.pem", &expired),
        scratch.write("old.key", &key.serialize_pem()),
    );
    let good = "attestation = \"x509-group\"\ntransport = \"https\"";
    let flags = ["--endpoint", "127.0.0.1", "--id-scope", "0ne00000001"];
    let run = scratch.run(
        &scenario(good, ""),
        &[&flags[..], &["--ca", path(&ca)]].concat(),
    );
    refused(&run, 2, &["old.pem", "expired", "2020-01-01"]);

    let (ca, key) = (path(&ca), path(&key));
    for config in [
        format!("ca-certificate = \"{ca}\"\nca-key = \"{key}\"\n"),
        format!("[[instance]]\nca-certificate = [{{ name = \"old\", file = \"{ca}\" }}]\n"),
        format!(
            "[[instance]]\n[[instance.credential-policy]]\nname = \"old\"\nca-certificate = \"{ca}\"\nca-key = \"{key}\"\n"
        ),
        format!("[webhook]\ntrust = \"{ca}\"\n"),
    ] {
        let file = scratch.write("server.toml", &config);
        let run = fleetstorm(&["serve", "--config", path(&file)]);
        refused(&run, 2, &["expired", "2020-01-01"]);
    }
}

#[test]
fn an_unwritable_out_is_found_before_anything_starts() {
    let scratch = Scratch::new();
    let file = scratch.write("a-file", "in the way");
    let good = "attestation = \"x509-group\"\ntransport = \"https\"";
    let below = file.join("out");
    for out in [path(&file), path(&below), "/proc/fleetstorm"] {
        refused(
            &scratch.run(&scenario(good, ""), &["--out", out]),
            2,
            &[out, "--out"],
        );
    }
}

#[test]
fn a_port_in_use_exits_3_and_names_the_port() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its number").port().to_string();
    for flag in ["--https-port", "--mqtt-port", "--amqp-port"] {
        refused(
            &fleetstorm(&["serve", flag, &port]),
            3,
            &[&port, "in use", flag],
        );
    }
}

#[test]
fn a_broken_enrollment_names_its_line() {
    let scratch = Scratch::new();
    let list = scratch.write("list.jsonl", "{\"registrationId\": \"a\"}\n");
    refused(
        &fleetstorm(&["serve", "--enrollments", path(&list)]),
        2,
        &["enrollment 1", "attestation"],
    );
}
