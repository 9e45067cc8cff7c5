//! The folder that a run leaves behind: `summary.json`, `report.html`, and what else was asked for.
//!
//! ```text
//! FOLDER/summary.json …   the report of the last run that finished
//! FOLDER/unfinished/      what the run under way, or one that was cut off, has written so far
//! FOLDER/finished/        for an instant: a report that takes the place of the older one
//! FOLDER/cut-off/         of a run that was cut off, until one after it has finished
//! ```
//!
//! An older report stays until a newer one is all on disk. A run under way holds a lock on the folder.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use fleetstorm_reports::render::format::Format;
use fleetstorm_reports::{Journal, Summary};

use crate::console;
use crate::failure::Failure;
use contents::Contents;
use files::{
    CUT_OFF, JOURNAL, LOG, PARTIAL_JOURNAL, SUMMARY, UNFINISHED, commit, lock, make_room, settle,
    under_way, unwritable, write,
};

mod contents;
mod files;
mod reading;

pub use files::{put, write_formats};
pub use reading::{read, read_file, records_of, reopen};

/// What the last records of a partial journal leave to the report on a full disk.
const ROOM: u64 = 32 << 20;
/// Names that are tried for a folder that nobody named.
const DEFAULTS: u32 = 1_000;

/// A folder that a run has for itself. Dropped before the run began, it leaves no trace.
#[derive(Debug)]
pub struct ReportFolder {
    path: PathBuf,
    /// Whether it was made for this run.
    is_new: bool,
    is_begun: bool,
    /// Held until this is dropped, or this process ends.
    _locks: [Option<File>; 2],
}

/// `./fleetstorm-out/<scenario>-<time>`.
fn default_path(scenario: &str, now: &jiff::ZonedDateTime) -> PathBuf {
    let fit = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = scenario.chars().map(fit).collect();
    Path::new("fleetstorm-out").join(format!("{name}-{}", now.strftime("%Y%m%d-%H%M%S")))
}

/// A journal that can't be begun.
pub fn no_journal(error: &io::Error) -> Failure {
    Failure::usage(format!("the journal can't be written: {error}"))
        .hint("free space, name another folder with --out, or run without --journal")
}

impl ReportFolder {
    /// Takes the folder `path` for a run, or makes a new one where none is named, and proves that it can
    /// be written to, before anything starts. What it holds stays as it is.
    ///
    /// # Errors
    /// It can't be had: it can't be written to, holds something else, another scenario's report (unless
    /// `force`d), or another run is under way in it: says which, and what to do.
    pub fn claim(path: Option<&Path>, scenario: &str, force: bool) -> Result<Self, Failure> {
        let (path, is_new) = match path {
            Some(path) => {
                let is_new = !path.exists();
                fs::create_dir_all(path).map_err(|e| unwritable(path, &e))?;
                (path.to_owned(), is_new)
            }
            None => (new_folder(scenario)?, true),
        };
        let failed = |error: io::Error| unwritable(&path, &error);
        let lock = lock(&path)
            .map_err(failed)?
            .ok_or_else(|| under_way(&path))?;
        let contents = Contents::of(&path).map_err(failed)?;
        contents.may_give_way_to(&path, scenario, force)?;
        settle(&path).map_err(failed)?;
        let unfinished = path.join(UNFINISHED);
        make_room(&path).map_err(failed)?;
        if path.join(CUT_OFF).exists() {
            console::remark(format_args!(
                "an earlier run in this folder was cut off: {} has its journal until this one has finished",
                path.join(CUT_OFF).display()
            ));
        }
        fs::create_dir(&unfinished).map_err(failed)?;
        let claimed = Self {
            _locks: [Some(lock), self::lock(&unfinished).map_err(failed)?],
            path: path.clone(),
            is_new,
            is_begun: false,
        };
        put(&unfinished, SUMMARY, |out| out.write_all(b"{}\n"))?;
        fs::remove_file(unfinished.join(SUMMARY)).map_err(failed)?;
        Ok(claimed)
    }

    /// For what the bundled server has to say.
    pub fn log(&self) -> PathBuf {
        self.unfinished().join(LOG)
    }

    /// From here on, what was written stays, whatever happens.
    pub fn begin(&mut self) {
        self.is_begun = true;
    }

    /// Starts the journal of records.
    ///
    /// # Errors
    /// The file can't be created.
    pub fn journal(&self) -> Result<Journal, Failure> {
        Journal::create(&self.unfinished().join(JOURNAL)).map_err(|e| no_journal(&e))
    }

    /// Keeps a journal that could not be written to its end from passing for all of the run.
    pub fn mark_journal_partial(&self) {
        let folder = self.unfinished();
        // It is said all the same.
        let _ = fs::rename(folder.join(JOURNAL), folder.join(PARTIAL_JOURNAL));
    }

    /// Lets the report of the finished run take the place of an older one; where there is no room for it,
    /// it goes elsewhere. Returns where it is.
    ///
    /// # Errors
    /// A file can't be written, neither here nor there: says which, and why.
    pub fn publish(&self, summary: &Summary, formats: &[Format]) -> Result<PathBuf, Unpublished> {
        let folder = self.unfinished();
        let published = write(&folder, summary, formats)
            .or_else(|failure| match shorten(&folder.join(PARTIAL_JOURNAL)) {
                Ok(()) => write(&folder, summary, formats),
                Err(_) => Err(failure),
            })
            .and_then(|()| commit(&self.path, UNFINISHED).map_err(|e| unwritable(&self.path, &e)));
        published.map(|()| self.path.clone()).map_err(|failure| {
            let elsewhere = tempfile::Builder::new()
                .prefix("fleetstorm-report-")
                .tempdir()
                .map_err(|e| unwritable(&std::env::temp_dir(), &e))
                .and_then(|folder| write(folder.path(), summary, formats).map(|()| folder.keep()));
            Unpublished {
                failure,
                elsewhere: elsewhere.ok(),
            }
        })
    }

    fn unfinished(&self) -> PathBuf {
        self.path.join(UNFINISHED)
    }
}

/// A report that is not where it should be.
#[derive(Debug)]
pub struct Unpublished {
    /// Why.
    pub failure: Failure,
    /// Where it is instead, if anywhere.
    pub elsewhere: Option<PathBuf>,
}

impl Drop for ReportFolder {
    fn drop(&mut self) {
        if self.is_begun {
            return;
        }
        let _ = fs::remove_dir_all(self.unfinished());
        if self.is_new {
            // Only an empty one goes.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// A folder that nobody else has.
fn new_folder(scenario: &str) -> Result<PathBuf, Failure> {
    let first = default_path(scenario, &jiff::ZonedDateTime::now());
    let failed = |error: io::Error| unwritable(&first, &error);
    if let Some(parent) = first.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut path = first.clone();
    for number in 2..DEFAULTS {
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = PathBuf::from(format!("{}-{number}", first.display()));
            }
            made => return made.map(|()| path).map_err(failed),
        }
    }
    Err(failed(io::ErrorKind::AlreadyExists.into()))
}

/// Gives back the end of a journal that lacks its end anyhow.
fn shorten(journal: &Path) -> io::Result<()> {
    let journal = File::options().write(true).open(journal)?;
    journal.set_len(journal.metadata()?.len().saturating_sub(ROOM))
}

#[cfg(test)]
mod tests;
