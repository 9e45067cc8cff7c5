//! Runs that are cut off, and folders that have a report already: nothing that is known is lost.

use std::process::{Command, Stdio};

use crate::binary::{
    Going, Run, Scratch, command, fleetstorm, fleetstorm_beside, path, records, turn, wait_until,
};

/// So many devices, at so many a second.
fn scenario(name: &str, devices: u32, rate: u32) -> String {
    format!(
        r#"
name = "{name}"
seed = 5

[server]
processing = {{ p50 = "1ms", p99 = "5ms" }}
retry-after = "0s"

[arrival]
kind = "constant-rate"
rate = "{rate}/s"

[[cohort]]
name = "meters"
devices = {devices}
attestation = "symmetric-key-group"
transport = "mqtt"
"#
    )
}

fn told(run: &Run, exit_code: i32, words: &[&str]) {
    let all = format!("{}\n{}", run.stdout, run.stderr);
    assert_eq!(run.exit_code, exit_code, "{all}");
    for word in words {
        assert!(all.contains(word), "{word:?} is not in\n{all}");
    }
}

#[test]
fn a_run_that_is_killed_can_be_reported_as_far_as_it_came() {
    let scratch = Scratch::new();
    let file = scratch.write("scenario.toml", &scenario("killed", 2_000, 40));
    let out = scratch.path("out");
    let going = Going::quietly(&mut command(&[
        "run",
        path(&file),
        "--out",
        path(&out),
        "--journal",
    ]));
    wait_until("no record was written", || {
        records(&out.join("unfinished/journal.jsonl")) > 20
    });
    told(
        &fleetstorm_beside(&["run", path(&file), "--out", path(&out)]),
        2,
        &["a run is under way in", "another folder"],
    );
    told(
        &fleetstorm_beside(&["report", path(&out)]),
        2,
        &["a run is under way in"],
    );
    // Dropped, it is killed.
    drop(going);
    let report = fleetstorm(&["report", path(&out)]);
    told(
        &report,
        98,
        &[
            "INVALID",
            "the run was cut off: its journal ends after",
            "of 2,000 devices",
        ],
    );
    let summary = scratch.summary();
    assert_eq!(summary["verdict"], "invalid");
    assert!(
        summary["devices"]["provisioned"].as_u64() > Some(20),
        "{summary}"
    );
    assert!(out.join("report.html").exists());
    told(&fleetstorm(&["report", path(&out)]), 98, &["cut off"]);
}

/// A limit on the size of files fails as a full disk does.
#[test]
fn a_run_goes_on_when_its_journal_can_not_and_says_so() {
    let scratch = Scratch::new();
    let file = scratch.write("scenario.toml", &scenario("full", 600, 150));
    let out = scratch.path("out");
    let limited = "ulimit -f 320; exec \"$0\" \"$@\"";
    let args = ["run", path(&file), "--out", path(&out), "--journal"];
    let plain = command(&args);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", limited])
        .arg(plain.get_program())
        .args(args);
    shell.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let _turn = turn();
    let output = shell.stdin(Stdio::null()).output().expect("a shell");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    let shown = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(5), "{shown}\n{said}");
    assert!(shown.contains("600  provisioned"), "{shown}");
    for words in [
        "warning: the journal ends here",
        "the journal could not be written",
        "too large",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let summary = scratch.summary();
    // What the run has summed up is more than what its journal tells.
    let exit_code = summary["exit_code"].as_i64().expect("a number");
    let exit_code = i32::try_from(exit_code).expect("a small one");
    let report = fleetstorm_beside(&["report", path(&out)]);
    told(&report, exit_code, &["600  provisioned"]);
    assert!(records(&out.join("journal.partial.jsonl")) > 100);
}

#[test]
fn a_report_outlives_a_run_that_does_not_start_and_another_scenarios() {
    let scratch = Scratch::new();
    told(&scratch.run(&scenario("first", 10, 10), &[]), 0, &["PASS"]);
    let summary = scratch.summary();
    let nowhere = [
        "--endpoint",
        "localhost",
        "--id-scope",
        "0ne00000001",
        "--https-port",
        "1",
    ];
    let unstarted = scratch.run(&scenario("first", 10, 10), &nowhere);
    told(&unstarted, 3, &["localhost"]);
    let other = scenario("second", 10, 10);
    told(
        &scratch.run(&other, &[]),
        2,
        &["a report of another scenario: first", "--out", "--force"],
    );
    assert_eq!(scratch.summary(), summary);
    told(&scratch.run(&other, &["--force"]), 0, &["PASS"]);
    assert_eq!(scratch.summary()["scenario"], "second");
}
