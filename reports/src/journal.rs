//! The journal: every record of a run on disk, from which every report can be made again.
//!
//! JSON lines: one `run`, then `record`s and `second`s as they came, and one
//! `ending`. The only thing that grows with finished registrations.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::aggregator::{Aggregator, Ending, RunInfo};
use crate::record::Record;
use crate::summary::Summary;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Entry {
    /// What was known before the run started.
    Run(Box<RunInfo>),
    /// One device.
    Record(Record),
    /// How many devices were due by the end of a second.
    Second {
        /// Which, from 0.
        second: u64,
        /// Devices.
        due: u64,
        /// Devices that stayed with their hubs then.
        #[serde(default)]
        held: u64,
        /// Whether there were devices to come, or under way.
        #[serde(default)]
        busy: bool,
    },
    /// What was known when it was over.
    Ending(Box<Ending>),
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    lines: BufWriter<File>,
}

impl Journal {
    /// Starts a journal at `path`.
    ///
    /// # Errors
    /// The file can't be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            lines: BufWriter::with_capacity(1 << 16, File::create(path)?),
        })
    }

    pub(crate) fn write(&mut self, entry: &Entry) -> io::Result<()> {
        serde_json::to_writer(&mut self.lines, entry)?;
        self.lines.write_all(b"\n")
    }

    /// Makes sure that all of it is on disk.
    pub(crate) fn close(self) -> io::Result<()> {
        self.lines
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()
    }
}

/// Reads a journal back and folds it again.
///
/// # Errors
/// The file can't be read, or is no complete journal: names the line.
pub fn replay(path: &Path) -> io::Result<Summary> {
    let mut aggregator = None;
    for (number, line) in (1_u64..).zip(BufReader::new(File::open(path)?).lines()) {
        let line = line?;
        let wrong = |problem: String| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("line {number}: {problem}"),
            )
        };
        let entry = serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
        match (entry, &mut aggregator) {
            (Entry::Run(info), slot @ None) => {
                let restarted = Aggregator::new(*info, None);
                *slot = Some(restarted.map_err(|error| wrong(error.to_string()))?);
            }
            (Entry::Run(_), Some(_)) => return Err(wrong("a second run starts".into())),
            (_, None) => return Err(wrong("a journal starts with its run".into())),
            (Entry::Record(record), Some(aggregator)) => aggregator.add(&record)?,
            (
                Entry::Second {
                    second,
                    due,
                    held,
                    busy,
                },
                Some(aggregator),
            ) => aggregator.due(second, due, held, busy)?,
            (Entry::Ending(ending), Some(_)) => {
                let complete = aggregator
                    .take()
                    .map(|aggregator| aggregator.finish(*ending));
                return complete.unwrap_or_else(|| Err(wrong("the run has no start".into())));
            }
        }
    }
    Err(io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the journal has no ending: the run was cut off",
    ))
}

/// Reads a journal back, device by device, in the order in which they were written.
///
/// # Errors
/// The file can't be read, or has a line that is none of a journal.
pub fn records(path: &Path, mut each: impl FnMut(&Record)) -> io::Result<()> {
    for (number, line) in (1_u64..).zip(BufReader::new(File::open(path)?).lines()) {
        let entry = serde_json::from_str(&line?).map_err(|error| {
            let problem = format!("line {number}: {error}");
            io::Error::new(io::ErrorKind::InvalidData, problem)
        })?;
        if let Entry::Record(record) = entry {
            each(&record);
        }
    }
    Ok(())
}
