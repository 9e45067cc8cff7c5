//! One life of the bundled server's process: started, handed its enrollments, ended.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use crate::failure::Failure;
use crate::interrupt;
use crate::private_file::PrivateFile;

/// How long an idle child may take to announce itself once it has its enrollments.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often it is seen whether the run is called off meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// How long a child may take to end once its life line is cut.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// Most that it says in its life: a line at its start, one at its end.
const MAX_SAID: u64 = 2 << 20;

/// To a child's standard input.
pub(super) type Pipe = BufWriter<Interruptible>;

/// Takes no more once the run is called off.
#[derive(Debug)]
pub(super) struct Interruptible(ChildStdin);

impl Write for Interruptible {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        interrupt::check().map_err(|failure| io::Error::other(failure.message))?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A child that listens. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    life_line: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    /// Starts one with this configuration and hands it its enrollments; it announces itself in JSON. What it says
    /// of trouble goes to the end of `log`.
    ///
    /// # Errors
    /// It did not start: with its last words.
    pub(super) fn start<Announcement: DeserializeOwned>(
        config: &str,
        log: &Path,
        enrollments: impl FnOnce(&mut Pipe) -> std::io::Result<()>,
    ) -> Result<(Self, Announcement), Failure> {
        let config_file = write_config(config)?;
        let program = std::env::current_exe()
            .map_err(|e| no_start(&format!("failed to find this program: {e}")))?;
        let mut log_file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|e| no_start(&format!("failed to write {}: {e}", log.display())))?;
        let said_before = log_file.seek(SeekFrom::End(0)).unwrap_or(0);
        let mut child = Command::new(program)
            .args(["serve", "--announce", "json", "--enrollments", "-"])
            .arg("--config")
            .arg(&config_file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            // Ctrl-C is for the run: the server ends with its life line.
            .process_group(0)
            .spawn()
            .map_err(|e| no_start(&format!("failed to start a process: {e}")))?;

        let lines = child.stdout.take().map(lines_of);
        let handed_over = hand_over(child.stdin.take(), enrollments);
        let announced = lines
            .ok_or_else(|| "it has no standard output".to_owned())
            .and_then(|lines| Ok((announcement(&lines)?, lines)));
        let _ = std::fs::remove_file(&config_file);
        match (handed_over, announced) {
            (Ok(life_line), Ok((announcement, lines))) => {
                let process = Self {
                    child,
                    life_line: Some(life_line),
                    lines,
                };
                Ok((process, announcement))
            }
            (handed_over, announced) => {
                let _ = child.kill();
                let status = child.wait().ok();
                let problem = announced.err().or(handed_over.err());
                let said = last_words((log, said_before), status, problem);
                Err(no_start(&said))
            }
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(super) fn has_died(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Lets it end; its last line, if it said one.
    pub(super) fn stop(mut self) -> Option<String> {
        drop(self.life_line.take());
        self.lines.recv_timeout(STOP_LIMIT).ok()
    }

    /// Ends it without a chance to do anything about it.
    pub(super) fn kill(mut self) {
        let _ = self.child.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.life_line.take());
        let asked = Instant::now();
        while asked.elapsed() < STOP_LIMIT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_config(text: &str) -> Result<PathBuf, Failure> {
    let path =
        std::env::temp_dir().join(format!("fleetstorm-server-{}.toml", uuid::Uuid::new_v4()));
    let written = PrivateFile::create(&path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.finish()
    });
    written.map_err(|e| unwritable(&format!("failed to write {}: {e}", path.display())))?;
    Ok(path)
}

/// The lists, and an empty line at their end; the pipe stays open.
fn hand_over(
    pipe: Option<ChildStdin>,
    enrollments: impl FnOnce(&mut Pipe) -> std::io::Result<()>,
) -> Result<ChildStdin, String> {
    let pipe = pipe.ok_or("it has no standard input")?;
    let mut lines = BufWriter::with_capacity(1 << 16, Interruptible(pipe));
    enrollments(&mut lines).map_err(|e| format!("failed to hand over an enrollment: {e}"))?;
    lines
        .write_all(b"\n")
        .map_err(|e| format!("failed to end the enrollments: {e}"))?;
    let pipe = lines.into_inner();
    pipe.map(|Interruptible(pipe)| pipe)
        .map_err(|e| format!("failed to end the enrollments: {}", e.error()))
}

/// What it says, line by line, on a thread that ends with it: waits for it are bounded.
fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = sync_channel(2);
    std::thread::spawn(move || {
        let said = BufReader::new(output.take(MAX_SAID)).lines();
        for line in said.map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn announcement<Announcement: DeserializeOwned>(
    lines: &Receiver<String>,
) -> Result<Announcement, String> {
    let asked = Instant::now();
    loop {
        interrupt::check().map_err(|failure| failure.message)?;
        match lines.recv_timeout(LOOK) {
            Ok(text) => {
                return serde_json::from_str(&text)
                    .map_err(|e| format!("it announced itself in an unknown form: {e}"));
            }
            Err(RecvTimeoutError::Timeout) if asked.elapsed() < START_LIMIT => {}
            Err(RecvTimeoutError::Timeout) => {
                let limit = START_LIMIT.as_secs();
                return Err(format!("it did not listen within {limit} s"));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err("it ended before it listened".into());
            }
        }
    }
}

/// What it said in the log, from a place on.
fn last_words(
    (log, from): (&Path, u64),
    status: Option<ExitStatus>,
    problem: Option<String>,
) -> String {
    let mut said = String::new();
    if let Ok(mut log) = File::open(log) {
        let _ = log.seek(SeekFrom::Start(from));
        let _ = log.read_to_string(&mut said);
    }
    let said = said.trim().trim_start_matches("error: ");
    if !said.is_empty() {
        return said.to_owned();
    }
    match (problem, status) {
        (Some(problem), _) => problem,
        (None, Some(status)) => format!("it ended with {status}"),
        (None, None) => "it gave no reason".into(),
    }
}

/// What it needs for a while can't be written.
pub fn unwritable(problem: &str) -> Failure {
    no_start(problem)
        .hint("name a folder that can be written in TMPDIR, like TMPDIR=. fleetstorm …")
}

pub(super) fn no_start(problem: &str) -> Failure {
    Failure::unreachable(format!("the bundled server did not start: {problem}"))
}
