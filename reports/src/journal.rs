//! The journal: every record of a run on disk, from which every report can be made again.
//!
//! JSON lines: one `run`, then `record`s and `second`s as they came, and one
//! `ending`. The only thing that grows with finished registrations. Each second ends
//! with all of it in the kernel's hands, so that a process that is killed loses a
//! second at most; [`crate::replay`] reads as far as it goes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::record::Record;
use crate::run::{Ending, RunInfo};
use crate::series::Totals;

pub(crate) mod lines;

/// Version of the journal's lines; raised when a field changes its meaning, comes or goes. Journals of version 1 do not
/// say theirs.
pub const SCHEMA_VERSION: u32 = 3;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Entry {
    /// What was known before the run started.
    Run(Box<RunInfo>),
    /// One device.
    Record(Record),
    /// What was known by the end of a second.
    Second {
        /// Which, from 0.
        second: u64,
        /// Of the whole run.
        #[serde(flatten)]
        totals: Totals,
        /// Whether there were devices to come, or under way.
        busy: bool,
    },
    /// What was known when it was over.
    Ending(Box<Ending>),
}

/// An open journal. One that can't be written ends there: the run goes on.
#[derive(Debug)]
pub struct Journal {
    lines: io::Result<BufWriter<File>>,
}

impl Journal {
    /// Starts a journal at `path`.
    ///
    /// # Errors
    /// The file can't be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self {
            lines: Ok(BufWriter::with_capacity(1 << 16, file)),
        })
    }

    /// Why it has ended.
    pub(crate) fn failure(&self) -> Option<&io::Error> {
        self.lines.as_ref().err()
    }

    pub(crate) fn write(&mut self, entry: &Entry) {
        self.attempt(|lines| {
            serde_json::to_writer(&mut *lines, entry)?;
            lines.write_all(b"\n")
        });
    }

    /// From here on it outlives this process.
    pub(crate) fn flush(&mut self) {
        self.attempt(BufWriter::flush);
    }

    /// Makes sure that all of it is on disk.
    ///
    /// # Errors
    /// It is not, since this write or an earlier one.
    pub(crate) fn close(mut self) -> io::Result<()> {
        self.attempt(|lines| {
            lines.flush()?;
            lines.get_ref().sync_all()
        });
        self.lines.map(drop)
    }

    fn attempt(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        let Ok(lines) = &mut self.lines else { return };
        let Err(error) = write(lines) else { return };
        if let Ok(lines) = std::mem::replace(&mut self.lines, Err(error)) {
            // What the disk did not take must not come later, behind a gap.
            let _ = lines.into_parts();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregator::fixture::{aggregator, due_before, live};

    #[test]
    fn a_second_later_all_of_it_outlives_the_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.jsonl");
        let mut aggregator = aggregator(Some(Journal::create(&path).expect("a journal")));
        let lines = || {
            std::fs::read_to_string(&path)
                .expect("UTF-8")
                .lines()
                .count()
        };
        assert_eq!(lines(), 1, "the run, from its start");
        aggregator.snapshot(&live(), due_before);
        assert_eq!(lines(), 1 + 4 + 2, "the run, its devices, its seconds");
    }

    #[test]
    fn a_full_disk_ends_the_journal_and_not_the_run() {
        let full = Journal::create(Path::new("/dev/full")).expect("it opens");
        let mut aggregator = aggregator(Some(full));
        aggregator.snapshot(&live(), due_before);
        let failure = aggregator.journal_failure().map(io::Error::kind);
        assert_eq!(failure, Some(io::ErrorKind::StorageFull));
        let finished = aggregator.finish(crate::aggregator::fixture::ending());
        assert_eq!(finished.summary.devices.provisioned, 3);
        assert_eq!(
            finished.journal.expect_err("a full disk").kind(),
            io::ErrorKind::StorageFull
        );
    }
}
