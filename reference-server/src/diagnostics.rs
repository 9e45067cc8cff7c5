//! The diagnostic log: a line of JSON for each operation, as the real service's diagnostic settings
//! export them. Lines are written by a thread of their own, so that no device waits for a disk;
//! when the disk is slower than the devices, records are dropped and counted.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::counters::count::Count;
use record::{Operation, Outcome};

pub(crate) mod record;

/// Lines that may wait for the disk.
const WAITING: usize = 8192;

/// How long the end of the log may take.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A log that is written to.
pub(crate) struct DiagnosticLog {
    lines: Option<SyncSender<String>>,
    dropped: Arc<Count>,
    writer: Option<JoinHandle<()>>,
}

impl DiagnosticLog {
    /// Appends to a file; `-` is standard output.
    ///
    /// # Errors
    /// The file can't be opened, or a thread can't be had.
    pub(crate) fn to(path: &Path) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            #[expect(
                clippy::disallowed_methods,
                reason = "what can't be written is counted"
            )]
            return Self::over(io::stdout());
        }
        Self::over(OpenOptions::new().create(true).append(true).open(path)?)
    }

    fn over(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING);
        let dropped = Arc::new(Count::default());
        let lost = Arc::clone(&dropped);
        let writer = std::thread::Builder::new()
            .name("diagnostic-log".into())
            .spawn(move || write(BufWriter::new(out), &waiting, &lost))?;
        Ok(Self {
            lines: Some(lines),
            dropped,
            writer: Some(writer),
        })
    }

    /// Logs an operation, unless too many lines wait.
    pub(crate) fn log(&self, operation: &Operation<'_>, outcome: Outcome<'_>, now: Timestamp) {
        let line = record::line(operation, outcome, now);
        let taken = self.lines.as_ref().map(|lines| lines.try_send(line));
        if !matches!(taken, Some(Ok(()))) {
            self.dropped.add();
        }
    }

    /// Records that are in no log: the disk was too slow, or full.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.get()
    }
}

/// Writes what waits to the end, unless nobody takes it.
impl Drop for DiagnosticLog {
    fn drop(&mut self) {
        drop(self.lines.take());
        let Some(writer) = self.writer.take() else {
            return;
        };
        let began = Instant::now();
        while !writer.is_finished() {
            if began.elapsed() > LAST_WORDS {
                // Nobody may read that either.
                let _ = writeln!(
                    io::stderr(),
                    "the diagnostic log is not read any more, its last records are lost"
                );
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn write(mut out: impl Write, waiting: &Receiver<String>, lost: &Count) {
    let mut told = false;
    loop {
        let line = match waiting.try_recv() {
            Ok(line) => Some(line),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                tell(out.flush(), &mut told, lost);
                waiting.recv().ok()
            }
        };
        let Some(line) = line else {
            return tell(out.flush(), &mut told, lost);
        };
        tell(out.write_all(line.as_bytes()), &mut told, lost);
    }
}

/// A log that can't be written is no reason to turn devices away: that is said once.
fn tell(written: io::Result<()>, told: &mut bool, lost: &Count) {
    let Err(problem) = written else { return };
    lost.add();
    if !std::mem::replace(told, true) {
        // Nobody may be there to read it.
        let _ = writeln!(
            io::stderr(),
            "the diagnostic log can't be written, records are lost: {problem}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    use super::record::Category;

    fn log(log: &DiagnosticLog) {
        let operation = Operation {
            category: Category::ServiceOperations,
            name: "Query",
            kind: "EnrollmentGroup",
            instance: "dps.test",
            subscription: "s",
            id: "d-1",
            protocol: "Http",
            api_version: None,
            peer: None,
            took: Duration::ZERO,
        };
        let outcome = Outcome {
            status: 200,
            ..Outcome::default()
        };
        log.log(&operation, outcome, Timestamp::UNIX_EPOCH);
    }

    /// A disk that stands still while somebody holds it.
    struct Disk(Arc<Mutex<Vec<u8>>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("a disk").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_stands_still_costs_records_and_no_time() {
        let disk = Arc::new(Mutex::new(Vec::new()));
        let diagnostics = DiagnosticLog::over(Disk(Arc::clone(&disk))).expect("a thread");
        let logged = WAITING + 2000;
        let held = disk.lock().expect("a disk");
        for _ in 0..logged {
            log(&diagnostics);
        }
        let dropped = usize::try_from(diagnostics.dropped()).expect("few");
        // What the writer holds in its buffer is not waiting any more.
        assert!((1..=2000).contains(&dropped), "{dropped}");
        drop(held);
        drop(diagnostics);
        let written = disk.lock().expect("a disk");
        let lines = written.split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(lines + dropped, logged, "what was not dropped is written");
    }

    #[test]
    fn a_full_disk_is_counted_and_nothing_else_happens() {
        let diagnostics = DiagnosticLog::to(Path::new("/dev/full")).expect("it opens");
        let lost = Arc::clone(&diagnostics.dropped);
        log(&diagnostics);
        drop(diagnostics);
        assert!(lost.get() > 0);
    }
}
