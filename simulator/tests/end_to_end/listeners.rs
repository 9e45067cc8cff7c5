//! Whoever reads along may leave: that ends no run, changes no exit code and is no bug.

use std::fs::File;
use std::io::{PipeWriter, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use socket2::SockRef;

use crate::binary::{Scratch, command, path, turn};

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
