//! What a run leaves for other people's tools, and runs beside each other.

use std::fs;

use serde_json::Value;

use crate::binary::{Scratch, command, fleetstorm, path, turn};

const SCENARIO: &str = r#"
name = "outputs"
output = ["csv", "hgrm"]
thresholds = { "provisioned.ratio" = "== 100%" }
[server]
processing = { p50 = "20ms", p99 = "40ms" }
retry-after = "1s"
[arrival]
kind = "constant-rate"
rate = "100/s"
[[cohort]]
name = "gateways"
devices = 40
attestation = "symmetric-key-group"
transport = "mqtt"
"#;

#[test]
fn outputs_lie_where_they_were_asked_for_and_are_made_again() {
    let scratch = Scratch::new();
    let (junit, page, out) = (
        scratch.path("junit.xml"),
        scratch.path("page.md"),
        scratch.path("out"),
    );
    let asked = format!("junit={},markdown", path(&junit));
    let file = scratch.write("scenario.toml", SCENARIO);
    let turn = turn();
    let run = command(&[
        "run",
        path(&file),
        "--tui",
        "never",
        "--out",
        path(&out),
        "--output",
        &asked,
    ])
    .env("GITHUB_STEP_SUMMARY", path(&page))
    .output()
    .expect("the binary");
    drop(turn);
    assert!(run.status.success(), "{run:?}");
    let made = ["summary.md", "timeline.csv", "provisioning.response.hgrm"];
    for name in made {
        assert!(out.join(name).exists(), "{name}");
        fs::remove_file(out.join(name)).expect("a file");
    }
    assert!(!out.join("junit.xml").exists());
    let cases = fs::read_to_string(&junit).expect("a file");
    assert!(cases.contains("provisioned.ratio == 100%"), "{cases}");
    let text = fs::read_to_string(&page).expect("a page");
    assert!(text.contains("outputs: PASS"), "{text}");
    let again = fleetstorm(&["report", path(&out), "--output", "markdown,csv,hgrm"]);
    assert_eq!(again.exit_code, 0, "{}", again.stderr);
    assert!(made.iter().all(|name| out.join(name).exists()));
    let nowhere = fleetstorm(&["report", path(&out), "--output", "junit=/nowhere/junit.xml"]);
    assert_eq!(nowhere.exit_code, 2, "{}", nowhere.stderr);
    assert!(
        nowhere.stderr.contains("/nowhere/junit.xml"),
        "{}",
        nowhere.stderr
    );
}

#[test]
fn runs_are_compared_by_folder_and_by_file() {
    let scratch = Scratch::new();
    let run = scratch.run(SCENARIO, &[]);
    assert_eq!(run.exit_code, 0, "{}", run.stderr);
    let out = scratch.path("out");
    let file = out.join("summary.json");
    let same = fleetstorm(&[
        "compare",
        path(&out),
        path(&file),
        "--format",
        "json",
        "--tolerance",
        "100%",
    ]);
    assert_eq!(same.exit_code, 0, "{}{}", same.stdout, same.stderr);
    let comparison: Value = serde_json::from_str(&same.stdout).expect("JSON");
    assert_eq!(comparison["verdict"], "same");

    let text = fs::read_to_string(&file).expect("a summary");
    let mut summary: Value = serde_json::from_str(&text).expect("JSON");
    let changed = |name: &str, summary: &Value| {
        scratch.write(name, &serde_json::to_string(summary).expect("JSON"))
    };
    // Whatever the machine did to the run.
    summary["generator"]["server_starved"] = Value::Null;
    summary["devices"]["provisioned"] = 10.into();
    let worse = changed("worse.json", &summary);
    let found = fleetstorm(&["compare", path(&out), path(&worse)]);
    assert_eq!(found.exit_code, 97, "{}{}", found.stdout, found.stderr);
    assert!(
        found.stdout.contains("✗ not-provisioned.ratio"),
        "{}",
        found.stdout
    );
    let more = ["--baseline", path(&worse), "--tolerance", "60%", "--force"];
    let beside = scratch.run(SCENARIO, &more);
    assert!(
        beside.stdout.contains("this run beside "),
        "{}",
        beside.stdout
    );
    assert!(
        beside.stdout.contains("✓ not-provisioned.ratio"),
        "{}",
        beside.stdout
    );
    assert_eq!(beside.exit_code, 0, "{}{}", beside.stdout, beside.stderr);
    summary["scenario"] = "another".into();
    let other = changed("other.json", &summary);
    let refused = fleetstorm(&["compare", path(&out), path(&other), "--format", "markdown"]);
    assert_eq!(
        refused.exit_code, 98,
        "{}{}",
        refused.stdout, refused.stderr
    );
    assert!(
        refused.stdout.contains("another scenario"),
        "{}",
        refused.stdout
    );
    summary["distributions"]["provisioning.response"] = "SGlzdG9ncmFt".into();
    let damaged = changed("damaged.json", &summary);
    let failed = fleetstorm(&["compare", path(&out), path(&damaged)]);
    assert_eq!(failed.exit_code, 2, "{}{}", failed.stdout, failed.stderr);
    assert!(failed.stderr.contains("damaged.json"), "{}", failed.stderr);
}
