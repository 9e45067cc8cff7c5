//! Whoever reads along may leave: that ends no run, changes no exit code and is no bug.

use std::fs::File;
use std::io::{PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::Signal;
use socket2::SockRef;

use crate::binary::{Going, Scratch, command, path, turn, wait_until};

const SCENARIO: &str = r#"
name = "listeners"
seed = 4

[server]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "0s"

[arrival]
kind = "constant-rate"
rate = "20/s"

[[cohort]]
name = "meters"
devices = 30
attestation = "symmetric-key-group"
transport = "mqtt"

[thresholds]
"provisioned.ratio" = "== 100%"
"#;

/// A pipe that nobody reads.
fn unread() -> PipeWriter {
    let (_reader, writer) = std::io::pipe().expect("a pipe");
    writer
}

/// What a command says on standard error when the reader of its answer has gone.
fn unheard(args: &[&str]) -> (ExitStatus, String) {
    let output = command(args).stdout(unread()).stdin(Stdio::null()).output();
    let output = output.expect("the binary");
    (
        output.status,
        String::from_utf8(output.stderr).expect("UTF-8"),
    )
}

#[test]
fn an_answer_without_a_reader_ends_quietly() {
    let scratch = Scratch::new();
    let good = scratch.write("good.toml", SCENARIO);
    let good = path(&good);
    for args in [
        ["schema"].as_slice(),
        &["validate", good, good],
        &["plan", good],
        &["plan", good, "--json"],
        &["enrollments", good],
        &["completions", "bash"],
        &["--help"],
        &["run", "--help"],
        &["--version"],
    ] {
        let (status, said) = unheard(args);
        assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn mistakes_keep_their_exit_code_when_nobody_hears_of_them() {
    let scratch = Scratch::new();
    let bad = scratch.write("bad.toml", "name = 1\n");
    for args in [
        ["validate", path(&bad)].as_slice(),
        &["run", path(&bad)],
        &["report", path(&bad)],
        &["run", "--no-such-flag"],
    ] {
        let unheard = command(args).stderr(unread()).stdout(unread()).status();
        assert_eq!(unheard.expect("the binary").code(), Some(2), "{args:?}");
    }
}

#[test]
fn an_answer_waits_for_a_slow_reader_though_somebody_made_its_output_non_blocking() {
    let (mut reader, writer) = UnixStream::pair().expect("sockets");
    writer.set_nonblocking(true).expect("a socket can do that");
    let small = SockRef::from(&writer).set_send_buffer_size(4096);
    small.expect("a socket can do that");
    let mut schema = command(&["schema"]);
    let mut answering = schema
        .stdout(OwnedFd::from(writer))
        .spawn()
        .expect("the binary");
    drop(schema);
    std::thread::sleep(Duration::from_millis(300));
    let mut schema = String::new();
    reader.read_to_string(&mut schema).expect("UTF-8");
    assert_eq!(answering.wait().expect("its end").code(), Some(0));
    assert!(schema.ends_with("}\n"), "to its end");
}

#[test]
fn an_answer_that_a_full_disk_can_not_take_has_an_exit_code_of_its_own() {
    let full = File::options().write(true).open("/dev/full");
    let mut schema = command(&["schema"]);
    let output = schema.stdout(full.expect("it opens")).output();
    let output = output.expect("the binary");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("No space left"), "{said}");
}

/// Without a word to the run, as when its terminal was not its own: reading ends, writing fails.
#[test]
fn a_terminal_that_is_gone_ends_no_run() {
    for tui in ["always", "never"] {
        let scratch = Scratch::new();
        let file = scratch.write("scenario.toml", SCENARIO);
        let out = scratch.path("out");
        let OpenptyResult { master, slave } = openpty(None, None).expect("a terminal");
        let ours = || slave.try_clone().expect("a terminal");
        let args = ["run", path(&file), "--out", path(&out), "--tui", tui];
        let mut run = command(&args);
        let mut going = Going::start(run.stdin(ours()).stdout(ours()).stderr(ours()));
        drop((run, slave));
        let mut terminal = File::from(master);
        terminal.read_exact(&mut [0]).expect("it shows itself");
        drop(terminal);
        let exit_code = going.exit_code();
        let summary = scratch.summary();
        assert_eq!(summary["devices"]["provisioned"], 30, "{tui}");
        assert_eq!(summary["exit_code"], exit_code, "{tui}");
    }
}

/// What is said fills its place, and nobody ever reads it.
#[test]
fn a_listener_that_is_stuck_keeps_no_run_from_its_report() {
    let full = || {
        let (reader, mut writer) = UnixStream::pair().expect("sockets");
        writer.set_nonblocking(true).expect("a socket can do that");
        while writer.write(&[b' '; 512]).is_ok() {}
        writer.set_nonblocking(false).expect("a socket can do that");
        (reader, OwnedFd::from(writer))
    };
    let scratch = Scratch::new();
    let file = scratch.write("scenario.toml", SCENARIO);
    let out = scratch.path("out");
    let args = ["run", path(&file), "--out", path(&out), "--tui", "never"];
    let (_errors, stderr) = full();
    let (_answers, stdout) = full();
    let mut run = command(&args);
    let mut going = Going::start(run.stdin(Stdio::null()).stdout(stdout).stderr(stderr));
    wait_until("no report", || out.join("summary.json").exists());
    let summary = scratch.summary();
    assert_eq!(summary["devices"]["provisioned"], 30);
    // It would still say so.
    assert!(going.child.try_wait().expect("a child").is_none());
    going.signal(Signal::SIGTERM);
    assert_eq!(summary["exit_code"], going.exit_code());
}

#[test]
fn a_run_goes_on_unheard_and_leaves_its_report() {
    let scratch = Scratch::new();
    let file = scratch.write("scenario.toml", SCENARIO);
    let out = scratch.path("out");
    let args = ["run", path(&file), "--out", path(&out)];
    let _turn = turn();
    let status = command(&args).stdout(unread()).stderr(unread()).status();
    assert_eq!(status.expect("the binary").code(), Some(0));
    assert_eq!(scratch.summary()["verdict"], "pass");
    let (status, said) = unheard(&["report", path(&out)]);
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}
