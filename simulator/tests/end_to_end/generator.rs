//! A generator that is in its own way says so, and blames nobody else.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::binary::{Scratch, command, path, side_by_side, turn};

/// A burst that asks twice, a second apart, until the server is done with it.
fn scenario(more: &str, devices: u32, thresholds: &str) -> String {
    format!(
        r#"
name = "in-its-own-way"
{more}

[server]
processing = {{ p50 = "1400ms", p99 = "1500ms" }}
retry-after = "1s"

[[cohort]]
name = "burst"
devices = {devices}
attestation = "symmetric-key-group"
transport = {{ mqtt = 50, https = 50 }}
arrival = {{ kind = "all-at-once" }}

[thresholds]
{thresholds}
"#
    )
}

#[test]
fn a_simulator_that_is_stopped_does_not_blame_the_service() {
    let scratch = Scratch::new();
    let thresholds = r#""provisioning.response.p99" = "< 2900ms""#;
    let file = scratch.write("scenario.toml", &scenario("", 40, thresholds));
    let out = scratch.path("out");
    let _turn = turn();
    let mut run = command(&["run", path(&file), "--tui", "never", "--out", path(&out)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    let id = run.id().to_string();
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &id]).status();
        assert!(sent.expect("kill").success());
    };
    // Its first line tells that devices are under way.
    let mut lines = std::io::BufReader::new(run.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("released") {
        line.clear();
        let read = std::io::BufRead::read_line(&mut lines, &mut line);
        assert!(read.expect("text") > 0, "no line of progress");
    }
    signal("-STOP");
    std::thread::sleep(Duration::from_secs(3));
    signal("-CONT");
    let rest = std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    let status = run.wait().expect("an end");
    rest.join().expect("no panic").expect("text");

    let summary = scratch.summary();
    let reasons = summary["invalid_reasons"].to_string();
    assert_eq!(status.code(), Some(98), "{reasons}");
    assert!(
        reasons.contains("the generator was the bottleneck"),
        "{reasons}"
    );
    let generator = &summary["generator"];
    let stalls = generator["stalls"].as_array().expect("stalls");
    let us = |stall: &serde_json::Value, key| stall[key].as_u64().expect("microseconds");
    let longest = stalls
        .iter()
        .map(|stall| us(stall, "to_us") - us(stall, "from_us"));
    assert!(longest.max() >= Some(2_800_000), "{stalls:?}");
    assert!(
        generator["added"]["p50_us"].as_u64() >= Some(1_000_000),
        "{generator}"
    );
}

#[test]
fn load_that_was_not_offered_proves_nothing_unless_drops_are_what_is_tested() {
    let thresholds = r#""dropped.count" = "== 35""#;
    let cases = [
        ("max-in-flight = 5", 98),
        ("max-in-flight = 5\nmax-dropped = \"100%\"", 0),
    ];
    side_by_side(cases, |(more, exit_code)| {
        let scratch = Scratch::new();
        let run = scratch.run(&scenario(more, 40, thresholds), &[]);
        assert_eq!(run.exit_code, exit_code, "{}\n{}", run.stdout, run.stderr);
        let says_so = run.stdout.contains("the load was not the planned one");
        assert_eq!(says_so, exit_code == 98, "{}", run.stdout);
        assert_eq!(scratch.summary()["devices"]["dropped"], 35);
    });
}
