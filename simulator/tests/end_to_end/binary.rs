//! The real binary, with its own scratch folder.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A folder for one test.
pub struct Scratch {
    folder: TempDir,
}

/// What a run left behind.
pub struct Run {
    pub exit_code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Scratch {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a scratch folder"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a scratch file");
        path
    }

    /// `fleetstorm run` of a scenario's text into `out`, without a terminal.
    pub fn run(&self, scenario: &str, more: &[&str]) -> Run {
        let _turn = turn();
        self.run_beside(scenario, more)
    }

    /// The same in a turn that the test has already.
    pub fn run_beside(&self, scenario: &str, more: &[&str]) -> Run {
        let file = self.write("scenario.toml", scenario);
        let out = self.path("out");
        let mut args = vec!["run", path(&file), "--tui", "never"];
        if !more.contains(&"--out") {
            args.extend(["--out", path(&out)]);
        }
        args.extend(more);
        fleetstorm_beside(&args)
    }

    /// The summary of the last run.
    pub fn summary(&self) -> Value {
        let text =
            std::fs::read_to_string(self.path("out").join("summary.json")).expect("summary.json");
        serde_json::from_str(&text).expect("JSON")
    }
}

pub fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// The command, with a prime cache that tests share.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetstorm"));
    command
        .args(args)
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("NO_COLOR", "1");
    command
}

/// The same, which hears SIGHUP although whoever started the tests (nohup, a service manager) ignores it.
pub fn command_that_hears_hangups(args: &[&str]) -> Command {
    let command = command(args);
    let mut hearing = Command::new("env");
    hearing
        .arg("--default-signal=HUP")
        .arg(command.get_program())
        .args(args);
    for (name, value) in command.get_envs() {
        hearing.env(name, value.unwrap_or_default());
    }
    hearing
}

/// Runs that may go on side by side: more would rob each other of the cores, and rightly say so.
const SIDE_BY_SIDE: u32 = 3;
static TURNS: Semaphore = Semaphore::const_new(SIDE_BY_SIDE as usize);

/// To be held while a run goes on that is not started by [`fleetstorm`].
pub type Turn = SemaphorePermit<'static>;

/// For one run of a few.
pub fn turn() -> Turn {
    turns(1)
}

/// For a run that measures: no other goes on meanwhile.
pub fn alone() -> Turn {
    turns(SIDE_BY_SIDE)
}

fn turns(count: u32) -> Turn {
    let waiting = Builder::new_current_thread().build().expect("a runtime");
    let turn = waiting.block_on(TURNS.acquire_many(count));
    turn.expect("turns never end")
}

pub fn fleetstorm(args: &[&str]) -> Run {
    let _turn = turn();
    fleetstorm_beside(args)
}

/// In a turn that the test has already.
pub fn fleetstorm_beside(args: &[&str]) -> Run {
    let output = command(args).stdin(Stdio::null()).output();
    let output = output.expect("the binary");
    Run {
        exit_code: output.status.code().expect("an exit code"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// A command that goes on while the test does something to it. Dropped, it is killed.
pub struct Going {
    pub child: Child,
    _turn: Turn,
}

impl Going {
    /// One that has no terminal.
    pub fn quietly(command: &mut Command) -> Self {
        Self::start(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )
    }

    pub fn start(command: &mut Command) -> Self {
        let turn = turn();
        Self {
            child: command.spawn().expect("the binary"),
            _turn: turn,
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a process"));
        kill(pid, signal).expect("it runs");
    }

    /// Its exit code, once it has ended by itself.
    pub fn exit_code(&mut self) -> i32 {
        let mut status = None;
        wait_until("it does not end", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        let status = status.expect("it has ended");
        status.code().unwrap_or_else(|| panic!("{status}"))
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cases that have nothing to do with each other, each in a thread of its own.
pub fn side_by_side<Case: Send>(
    cases: impl IntoIterator<Item = Case>,
    check: impl Fn(Case) + Sync,
) {
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| check(case));
        }
    });
}

pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Records in a journal, as far as it goes.
pub fn records(journal: &Path) -> usize {
    let text = std::fs::read_to_string(journal).unwrap_or_default();
    text.matches("{\"record\"").count()
}

/// `fleetstorm serve` on free ports, as a server that somebody else started.
pub struct Served {
    child: Child,
    pub announcement: Value,
}

impl Served {
    pub fn with_enrollments(enrollments: &Path) -> Self {
        Self::start(&["--enrollments", path(enrollments)])
    }

    pub fn start(args: &[&str]) -> Self {
        Self::of(command(&["serve", "--announce", "json"]).args(args))
    }

    /// One that a command starts.
    pub fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output"))
            .read_line(&mut line)
            .expect("a line");
        Self {
            child,
            announcement: serde_json::from_str(&line).expect("an announcement"),
        }
    }

    pub fn text(&self, key: &str) -> &str {
        self.announcement[key].as_str().expect("text")
    }

    /// Of its first instance.
    pub fn id_scope(&self) -> &str {
        let id_scope = &self.announcement["instances"][0]["id_scope"];
        id_scope.as_str().expect("text")
    }

    pub fn port(&self, key: &str) -> &str {
        self.text(key).rsplit(':').next().expect("a port")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("its end");
    }

    /// The flags that send a run here.
    pub fn flags<'a>(&'a self, ca: &'a Path) -> Vec<&'a str> {
        vec![
            "--endpoint",
            self.text("global_endpoint"),
            "--id-scope",
            self.id_scope(),
            "--connect-to",
            "127.0.0.1",
            "--https-port",
            self.port("https"),
            "--mqtt-port",
            self.port("mqtt"),
            "--amqp-port",
            self.port("amqp"),
            "--ca",
            path(ca),
        ]
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
