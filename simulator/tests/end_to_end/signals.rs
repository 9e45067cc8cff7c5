//! Signals at every point of a command: nothing is lost, nothing is left behind.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use socket2::SockRef;

use crate::binary::{
    Going, Scratch, command, command_that_hears_hangups, path, records, side_by_side, wait_until,
};
use crate::service::secured;

fn scenario(attestation: &str, arrival: &str) -> String {
    format!(
        r#"
name = "signals"
seed = 6

[server]
processing = {{ p50 = "1ms", p99 = "5ms" }}
retry-after = "0s"

[arrival]
{arrival}

[[cohort]]
name = "meters"
devices = 100
attestation = "{attestation}"
transport = "https"
"#
    )
}

/// A run of a hundred devices, of which some have ended.
fn under_way(scratch: &Scratch, command: &mut Command) -> Going {
    let going = Going::quietly(command);
    let journal = scratch.path("out/unfinished/journal.jsonl");
    wait_until("no record was written", || records(&journal) > 5);
    going
}

fn args(scratch: &Scratch, scenario: &str) -> [PathBuf; 2] {
    [
        scratch.write("scenario.toml", scenario),
        scratch.path("out"),
    ]
}

const SLOW: &str = "kind = \"constant-rate\"\nrate = \"20/s\"";

#[test]
fn whoever_watched_has_gone_and_the_report_is_written() {
    let scratch = Scratch::new();
    let [file, out] = args(&scratch, &scenario("symmetric-key-group", SLOW));
    let args = ["run", path(&file), "--out", path(&out), "--journal"];
    let mut going = under_way(&scratch, &mut command_that_hears_hangups(&args));
    // A shell that ends says so a second time.
    going.signal(Signal::SIGHUP);
    going.signal(Signal::SIGHUP);
    assert_eq!(going.exit_code(), 130);
    let summary = scratch.summary();
    assert_eq!(summary["verdict"], "invalid");
    assert_eq!(summary["invalid_reasons"][0], "the run was interrupted");
    let outcomes = summary["outcomes"].as_array().expect("outcomes");
    assert_eq!(
        outcomes.len(),
        1,
        "those under way came to their end: {summary}"
    );
    assert!(out.join("report.html").exists());
}

/// As when a machine shuts down: the server ends as soon as the run hears of it.
#[test]
fn a_run_whose_server_is_asked_to_stop_with_it_does_not_wait_for_answers() {
    let scratch = Scratch::new();
    let patient = scenario("symmetric-key-group", SLOW)
        .replace("p50 = \"1ms\", p99 = \"5ms\"", "p50 = \"2s\", p99 = \"3s\"")
        .replace("[server]", "device-timeout = \"10m\"\n\n[server]");
    let [file, out] = args(&scratch, &patient);
    let args = ["run", path(&file), "--out", path(&out), "--journal"];
    let mut going = under_way(&scratch, &mut command(&args));
    let server = child_of(going.child.id()).expect("a server");
    let server = server
        .file_name()
        .and_then(|pid| pid.to_str()?.parse().ok());
    going.signal(Signal::SIGTERM);
    kill(Pid::from_raw(server.expect("a process")), Signal::SIGTERM).expect("it runs");
    assert_eq!(going.exit_code(), 130);
    assert_eq!(
        scratch.summary()["invalid_reasons"][0],
        "the run was interrupted"
    );
}

#[test]
fn a_run_that_was_started_to_outlive_its_terminal_does() {
    let scratch = Scratch::new();
    let [file, out] = args(&scratch, &scenario("symmetric-key-group", SLOW));
    let args = ["run", path(&file), "--out", path(&out), "--journal"];
    let run = command(&args);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
    let mut going = under_way(&scratch, shell.arg(run.get_program()).args(args));
    going.signal(Signal::SIGHUP);
    going.exit_code();
    assert_eq!(scratch.summary()["devices"]["provisioned"], 100);
}

/// While primes are found, and while the server takes its enrollments.
#[test]
fn a_run_that_is_called_off_before_it_begins_leaves_nothing_behind() {
    let at_once = "kind = \"all-at-once\"";
    let cases = [
        ("tpm", "5000", false),
        ("symmetric-key-individual", "50000", true),
    ];
    side_by_side(cases, |(attestation, devices, is_ready)| {
        let scratch = Scratch::new();
        let [file, out] = args(&scratch, &scenario(attestation, at_once));
        let args = [
            "run",
            path(&file),
            "--out",
            path(&out),
            "--devices",
            devices,
        ];
        let mut run = command(&args);
        run.env("XDG_CACHE_HOME", scratch.path("cache"));
        let mut going = Going::start(run.stdin(Stdio::null()).stderr(Stdio::piped()));
        let mut said = BufReader::new(going.child.stderr.take().expect("piped"));
        let mut line = String::new();
        let mut server = None;
        if is_ready {
            wait_until("no server is started", || {
                server = child_of(going.child.id());
                server.is_some()
            });
        } else {
            said.read_line(&mut line).expect("UTF-8");
            assert!(line.contains("primes"), "{line}");
        }
        going.signal(Signal::SIGTERM);
        assert_eq!(going.exit_code(), 130, "{attestation}");
        line.clear();
        said.read_line(&mut line).expect("UTF-8");
        assert_eq!(line, "error: interrupted before the run began\n");
        assert!(!out.exists());
        if let Some(server) = server {
            wait_until("the server is left alone", || !server.exists());
        }
    });
}

/// The process that another one has started, in /proc.
fn child_of(parent: u32) -> Option<PathBuf> {
    let children = format!("/proc/{parent}/task/{parent}/children");
    let children = std::fs::read_to_string(children).ok()?;
    let child = children.split_whitespace().next()?;
    Some(Path::new("/proc").join(child))
}

#[test]
fn a_server_stops_when_it_is_told_to_also_while_it_starts() {
    side_by_side(
        [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT],
        |signal| {
            let scratch = Scratch::new();
            let ca = scratch.path("ca.pem");
            let list = scratch.path("list.jsonl");
            let made = Command::new("mkfifo").arg(&list).status();
            assert!(made.expect("mkfifo").success());
            let ports = ["--https-port", "0", "--mqtt-port", "0", "--amqp-port", "0"];
            let serve = ["serve", "--ca-out", path(&ca)];
            let endless = [serve.as_slice(), &ports, &["--enrollments", path(&list)]].concat();
            let mut starting = Going::quietly(&mut command_that_hears_hangups(&endless));
            // It opens its list, which does not end.
            let _list = File::options().write(true).open(&list).expect("a reader");
            starting.signal(signal);
            assert_eq!(starting.exit_code(), 0, "{signal}");
            assert!(!ca.exists());
            drop(starting);

            // Nobody reads where it listens.
            let (_, unread) = std::io::pipe().expect("a pipe");
            let mut serving = command_that_hears_hangups(&[serve.as_slice(), &ports].concat());
            let mut serving = Going::start(serving.stdin(Stdio::null()).stdout(unread));
            wait_until("it does not start", || ca.exists());
            serving.signal(signal);
            assert_eq!(serving.exit_code(), 0, "{signal}");
        },
    );
}

/// A socket that takes little more than what is read from it, and who reads it.
fn narrow() -> (BufReader<UnixStream>, OwnedFd) {
    let (reader, writer) = UnixStream::pair().expect("sockets");
    let small = SockRef::from(&writer).set_send_buffer_size(4096);
    small.expect("a socket can do that");
    (BufReader::new(reader), OwnedFd::from(writer))
}

const ON_FREE_PORTS: [&str; 9] = [
    "serve",
    "--announce",
    "json",
    "--https-port",
    "0",
    "--mqtt-port",
    "0",
    "--amqp-port",
    "0",
];

#[test]
fn a_server_stops_in_order_from_its_announcement_on_whatever_it_hangs_on() {
    for number in 0..20 {
        let args = [ON_FREE_PORTS.as_slice(), &["--enrollments", "-"]].concat();
        let mut serving = Going::start(command(&args).stdin(Stdio::piped()).stdout(Stdio::piped()));
        let mut life_line = serving.child.stdin.take().expect("piped");
        let mut said = BufReader::new(serving.child.stdout.take().expect("piped"));
        life_line.write_all(b"\n").expect("it reads");
        let mut line = String::new();
        said.read_line(&mut line).expect("UTF-8");
        assert!(line.contains("global_endpoint"), "{line}");
        serving.signal(Signal::SIGTERM);
        assert_eq!(serving.exit_code(), 0, "{number}");
        line.clear();
        said.read_line(&mut line).expect("UTF-8");
        assert!(line.contains("\"connections\":0"), "its counters: {line}");
        drop(life_line);
    }
}

#[test]
fn a_server_whose_words_nobody_reads_stops_all_the_same() {
    // Neither its announcement: its certificate is written before that.
    let scratch = Scratch::new();
    let ca = scratch.path("ca.pem");
    let (_unread, full) = narrow();
    let filled = full.try_clone().expect("a socket");
    let mut filler = UnixStream::from(filled);
    filler.set_nonblocking(true).expect("a socket can do that");
    while filler.write(&[b' '; 512]).is_ok() {}
    filler.set_nonblocking(false).expect("a socket can do that");
    let args = [ON_FREE_PORTS.as_slice(), &["--ca-out", path(&ca)]].concat();
    let mut serving = Going::start(command(&args).stdin(Stdio::null()).stdout(full));
    wait_until("it does not start", || ca.exists());
    serving.signal(Signal::SIGTERM);
    assert_eq!(serving.exit_code(), 0);
    drop(serving);

    // Nor its diagnostic log, once that has filled what there is.
    let (mut said, narrow) = narrow();
    let args = [ON_FREE_PORTS.as_slice(), &["--diagnostic-log", "-"]].concat();
    let mut serving = Going::start(command(&args).stdin(Stdio::null()).stdout(narrow));
    let mut line = String::new();
    said.read_line(&mut line).expect("UTF-8");
    let announcement: Value = serde_json::from_str(&line).expect("an announcement");
    let text = |key: &str| announcement[key].as_str().expect("text");
    let mut wire = secured(text("https"), text("ca_pem"), text("global_endpoint"));
    let body = r#"{"registrationId":"nobody"}"#;
    let (host, length) = (text("global_endpoint"), body.len());
    let id_scope = announcement["instances"][0]["id_scope"].as_str();
    let id_scope = id_scope.expect("text");
    let request = format!(
        "PUT /{id_scope}/registrations/nobody/register?api-version=2019-03-31 HTTP/1.1\r\n\
         Host: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    for _ in 0..60 {
        wire.write_all(request.as_bytes()).expect("it is read");
        let mut answer = [0; 4096];
        assert!(wire.read(&mut answer).expect("an answer") > 0);
    }
    serving.signal(Signal::SIGTERM);
    assert_eq!(serving.exit_code(), 0);
    drop(said);
}
