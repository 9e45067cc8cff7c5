//! A journal's lines as they are found: whole, damaged, or torn at the end.

use std::io::{self, BufRead, Read};

use serde::Deserialize;

use super::Entry;

/// Longest line that is read, so that a file without line ends can't fill the memory.
const LONGEST: u64 = 256 << 20;
/// Last moment of a run, microseconds: plans of more than a year are refused.
const LAST_US: u64 = 2 * 366 * 24 * 3600 * 1_000_000;

/// What a line holds.
#[derive(Debug)]
pub(crate) enum Line {
    /// What was written.
    Whole(Entry),
    /// Something else, and why it is none of a journal.
    Damaged(String),
}

/// What the first line of every journal says, of whatever version it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    /// None in journals of version 1.
    pub(crate) schema_version: Option<u32>,
    /// The scenario's name.
    pub(crate) scenario: String,
}

/// The line that it is in.
#[derive(Deserialize)]
struct HeadLine {
    run: Head,
}

/// Reads line by line.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: R,
    number: u64,
    bytes: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// From the start.
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            number: 0,
            bytes: Vec::new(),
        }
    }

    /// The number of the last line that was read, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// What the last line that was read says of its journal, if it is a first one.
    pub(crate) fn head(&self) -> Option<Head> {
        let line = serde_json::from_slice::<HeadLine>(&self.bytes).ok()?;
        Some(line.run)
    }

    /// The next line. One without an end that says nothing whole was being written when the run was cut
    /// off: it counts as none.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        self.bytes.clear();
        let read = (&mut self.input)
            .take(LONGEST)
            .read_until(b'\n', &mut self.bytes)? as u64;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let has_end = self.bytes.ends_with(b"\n");
        if read == LONGEST && !has_end {
            self.input.skip_until(b'\n')?;
            return Ok(Some(Line::Damaged("it is too long".into())));
        }
        match serde_json::from_slice(&self.bytes) {
            Ok(entry) if is_of_a_run(&entry) => Ok(Some(Line::Whole(entry))),
            Ok(_) => Ok(Some(Line::Damaged("no run lasts so long".into()))),
            Err(_) if !has_end => {
                self.number -= 1;
                Ok(None)
            }
            Err(error) => Ok(Some(Line::Damaged(error.to_string()))),
        }
    }
}

/// Whether its times can be those of a run.
fn is_of_a_run(entry: &Entry) -> bool {
    match entry {
        Entry::Run(info) => info.arrivals.is_none_or(|it| it.last_us <= LAST_US),
        Entry::Record(record) => {
            let last = record.end_us.max(record.registered_us.unwrap_or(0));
            let first = record.start_us.max(record.intended_start_us);
            first.max(last) <= LAST_US
        }
        Entry::Second { second, .. } => *second <= LAST_US / 1_000_000,
        Entry::Ending(ending) => ending.elapsed_us <= LAST_US,
    }
}
