//! Thresholds of a part of the devices, over windows, and such as stop the run.

use crate::binary::{Scratch, fleetstorm, path, side_by_side};

/// 200 good devices in ten seconds, and from the fifth second on as many that are refused.
fn scenario(thresholds: &str) -> String {
    format!(
        r#"
name = "judged-by-parts"
seed = 4
device-timeout = "20s"

[server]
processing = {{ p50 = "1ms", p99 = "5ms" }}
retry-after = "0s"

[[cohort]]
name = "good"
devices = 200
attestation = "symmetric-key-group"
transport = {{ mqtt = 50, https = 50 }}
arrival = {{ kind = "constant-rate", rate = "20/s" }}

[[cohort]]
name = "bad"
devices = 100
attestation = "symmetric-key-group"
transport = "mqtt"
flaw = "wrong-key"
arrival = {{ kind = "constant-rate", rate = "20/s", delay = "5s" }}

[thresholds]
{thresholds}
"#
    )
}

#[test]
fn cuts_and_windows_are_judged_by_themselves() {
    let scratch = Scratch::new();
    let text = scenario(
        r#"
"provisioned.ratio{cohort:good}" = "== 100%"
"provisioned.ratio{cohort:good,transport:mqtt}" = "== 100%"
"failed.count{cohort:bad}" = "== 100"
"registration.response.p99{attestation:symmetric-key-group,transport:https}" = "< 10s"
"registration.response.p99" = "< 10s"
"registration.response.p99{outcome:succeeded}" = "< 10s"
"provisioned.ratio" = { is = ">= 60%", window = "3s" }
"failed.count" = { is = "== 0", between = ["0s", "4s"] }
"attest.p99" = { is = "< 1s", samples = 10 }
"tls.p999" = { is = "< 10s", samples = 1000 }
"#,
    );
    let run = scratch.run(&text, &["--journal"]);
    assert_eq!(run.exit_code, 99, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    let results = summary["thresholds"].as_array().expect("results");
    let passed: Vec<_> = results.iter().map(|it| it["outcome"] == "held").collect();
    assert_eq!(
        passed,
        [
            true, true, true, true, false, true, false, true, false, false
        ],
        "{}",
        run.stdout
    );
    assert_eq!(
        results[4]["observed"],
        "more than 1 % did not get so far (100 of 300)"
    );
    let worst = &results[6]["over"];
    let from = worst["from_us"].as_u64().expect("a window");
    assert!((4_000_000..=8_000_000).contains(&from), "{worst}");
    assert_eq!(worst["to_us"].as_u64(), Some(from + 3_000_000));
    for unproven in &results[8..] {
        assert_eq!(unproven["observed"], "not enough samples");
    }
    let again = fleetstorm(&["report", path(&scratch.path("out"))]);
    assert!(run.stdout.starts_with(&again.stdout), "{}", again.stdout);
}

#[test]
fn too_few_samples_alone_make_no_verdict() {
    let scratch = Scratch::new();
    let thresholds = "\"tls.p999\" = { is = \"< 10s\", samples = 1000 }";
    let run = scratch.run(&scenario(thresholds), &["--devices", "30"]);
    assert_eq!(run.exit_code, 98, "{}\n{}", run.stdout, run.stderr);
    let reason = "not enough samples to judge tls.p999 < 10s";
    assert!(run.stdout.contains(reason), "{}", run.stdout);
}

#[test]
fn a_crossed_threshold_stops_the_run_gently_and_fails_it() {
    let cases = [
        ("\"failed.ratio\" = { is = \"< 5%\", abort = true }", 5),
        (
            "\"failed.count\" = { is = \"< 10\", window = \"2s\", abort = true }",
            6,
        ),
        (
            "\"failed.ratio\" = { is = \"< 5%\", abort = true, after = \"8s\" }",
            8,
        ),
    ];
    side_by_side(cases, |(threshold, least)| {
        let scratch = Scratch::new();
        let run = scratch.run(&scenario(threshold), &["--journal"]);
        assert_eq!(run.exit_code, 99, "{}\n{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("the run stops"), "{}", run.stderr);
        let summary = scratch.summary();
        assert_eq!(summary["verdict"], "fail");
        let stopped = summary["thresholds"][0]["stopped_the_run_us"].as_u64();
        let stopped = stopped.expect("a moment") / 1_000_000;
        assert!((least..=9).contains(&stopped), "{stopped} s: {threshold}");
        assert!(
            run.stdout.contains("it stopped the run at"),
            "{}",
            run.stdout
        );
        let devices = &summary["devices"];
        let count = |name: &str| devices[name].as_u64().expect("a count");
        assert!(count("released") < 300, "{devices}");
        assert_eq!(count("provisioned") + count("failed"), count("released"));
        assert_eq!(summary["oracle"]["contradictions"], 0);
        assert_eq!(summary["server_counters"]["agree"], true, "{}", run.stdout);
        let again = fleetstorm(&["report", path(&scratch.path("out"))]);
        assert!(run.stdout.starts_with(&again.stdout), "{}", again.stdout);
    });
}

#[test]
fn devices_that_are_due_and_not_started_are_told_wherever_devices_are() {
    let scratch = Scratch::new();
    let text = r#"
name = "crowded"
seed = 4
max-in-flight = 20
max-dropped = "100%"

[server]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "1s"

[[region]]
name = "eastus"

[[tenant]]
name = "acme"

[[cohort]]
name = "many"
devices = 300
attestation = "symmetric-key-group"
transport = "mqtt"
regions = { eastus = 100 }
tenant = "acme"
arrival = { kind = "bursts", size = 100, every = "1s" }

[[slo]]
name = "registrations"
objective = "95%"

[thresholds]
"provisioned.ratio" = { is = ">= 90%", window = "1s" }
"provisioned.ratio{tenant:acme}" = ">= 90%"
"provisioned.ratio{region:eastus}" = ">= 90%"
"dropped.count{cohort:many}" = "> 100"
"failed.count" = "== 0"
"#;
    let run = scratch.run(text, &["--journal"]);
    assert_eq!(run.exit_code, 99, "{}\n{}", run.stdout, run.stderr);
    let summary = scratch.summary();
    let devices = &summary["devices"];
    let count = |key: &str| devices[key].as_u64().expect("a count");
    let dropped = count("dropped");
    assert!(dropped > 100, "{devices}");
    assert_eq!(count("released") + dropped, 300);
    assert_eq!(count("failed"), 0);
    let results = summary["thresholds"].as_array().expect("results");
    let passed: Vec<_> = results.iter().map(|it| it["outcome"] == "held").collect();
    assert_eq!(passed, [false, false, false, true, true], "{}", run.stdout);
    let slo = &summary["slos"][0];
    assert_eq!(slo["total"], 300);
    assert_eq!(slo["outcome"], "missed");
    let cuts = summary["cuts"].as_array().expect("cuts");
    for dimension in ["cohort", "transport", "attestation", "tenant", "region"] {
        let mut cuts = cuts.iter();
        let cut = cuts.find(|cut| cut["dimension"] == dimension);
        assert_eq!(cut.expect(dimension)["dropped"], dropped, "{dimension}");
    }
    assert_eq!(summary["oracle"]["cohorts"][0]["not_started"], dropped);
    let again = fleetstorm(&["report", path(&scratch.path("out"))]);
    assert!(run.stdout.starts_with(&again.stdout), "{}", again.stdout);
}
