//! How far the last journal has reached on the disk, so that what is missing of it later is missed: a change
//! that was under way when its server was killed leaves nothing behind what was written down here.
//!
//! Written in place with every sync, and not synced itself: after a loss of power it may say less than there is,
//! and never more. Without syncs, by a server that is stopped in order: what is lost with the power then can't be
//! told from what somebody cut off.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::damage::{at, at_or, io_error};
use super::error::StoreError;
use super::files::write_whole;
use super::journal;

/// Name of the file: `journal offset`, each of so many digits that it can be written over.
const NAME: &str = "reached";

/// Follows the journals of a database that is written to.
pub(super) struct Reached {
    store: PathBuf,
    written_down: File,
    journal: u64,
    file: File,
    offset: u64,
}

impl Reached {
    /// From the end of the last journal on, which is written down.
    pub(super) fn follow(folder: &Path, store: &Path) -> io::Result<Self> {
        let (journal, offset) = journal::last(store)?.unwrap_or_default();
        let offset = offset as u64;
        write_whole(folder, NAME, &line(journal, offset))?;
        Ok(Self {
            store: store.to_owned(),
            written_down: File::options().write(true).open(folder.join(NAME))?,
            file: File::open(journal::path(store, journal))?,
            journal,
            offset,
        })
    }

    /// Goes on to the end of the last whole record that there is by now.
    pub(super) fn go_on(&mut self) -> io::Result<()> {
        let is_there = |journal| journal::path(&self.store, journal).exists();
        // The database removes the oldest first, and begins one above the last.
        if is_there(self.journal + 1) || !is_there(self.journal) {
            let last = journal::last_number(&self.store)?.unwrap_or(self.journal);
            self.file = File::open(journal::path(&self.store, last))?;
            (self.journal, self.offset) = (last, 0);
        }
        self.file.seek(SeekFrom::Start(self.offset))?;
        let mut rest = Vec::new();
        loop {
            let before = rest.len();
            self.file.by_ref().take(BLOCK).read_to_end(&mut rest)?;
            // Behind the last record is room that was set aside; no record is empty for as long as a block.
            let is_over = rest[before..].iter().all(|byte| *byte == 0);
            let whole = journal::whole_records(&rest);
            self.offset += whole as u64;
            rest.drain(..whole);
            if is_over {
                return Ok(());
            }
        }
    }

    /// Writes down how far it went: once that is on the disk.
    pub(super) fn write_down(&self) -> io::Result<()> {
        let line = line(self.journal, self.offset);
        self.written_down.write_all_at(line.as_bytes(), 0)
    }
}

/// Bytes of a journal that are read at once.
const BLOCK: u64 = 16 << 10;

fn line(journal: u64, offset: u64) -> String {
    format!("{journal:020} {offset:020}\n")
}

/// Writes down how far the last journal reaches, and brings that to the disk.
pub(super) fn write(folder: &Path, store: &Path) -> io::Result<()> {
    match journal::last(store)? {
        Some((journal, offset)) => write_whole(folder, NAME, &line(journal, offset as u64)),
        None => Ok(()),
    }
}

/// Whether the journals reach as far as it was written down. They may reach further.
///
/// # Errors
/// They do not, or that can't be read.
pub(super) fn check(folder: &Path, store: &Path) -> Result<(), StoreError> {
    let path = folder.join(NAME);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io_error(&path, &e)),
    };
    let reached = std::str::from_utf8(&text).ok().and_then(|text| {
        let (number, offset) = text.trim_end().split_once(' ')?;
        Some((number.parse::<u64>().ok()?, offset.parse::<usize>().ok()?))
    });
    let Some((number, offset)) = reached else {
        return Err(at(&path, 0, "does not say how far a journal reached"));
    };
    let journal = journal::path(store, number);
    let missing = |end: usize| {
        let problem = format!("reached up to {offset} on the disk");
        let instead = format!("without what is missing: rm {}", path.display());
        Err(at_or(&journal, end, &problem, &instead))
    };
    match journal::end(&journal) {
        Ok(end) if end < offset => missing(end),
        Ok(_) => Ok(()),
        // All that it said is in sorted files, where there is a later one: there is always a last one.
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let last = journal::last_number(store).map_err(|e| io_error(store, &e))?;
            match last.is_some_and(|last| last > number) {
                true => Ok(()),
                false => missing(0),
            }
        }
        Err(e) => Err(io_error(&journal, &e)),
    }
}
