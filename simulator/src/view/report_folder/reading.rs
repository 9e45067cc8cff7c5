//! A report read back: out of the journal, when there is one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use fleetstorm_reports::render::format::Format;
use fleetstorm_reports::replay::{self, OtherVersion, replay};
use fleetstorm_reports::summary::SCHEMA_VERSION;
use fleetstorm_reports::{Record, Summary};
use serde::Deserialize;

use super::contents::Contents;
use super::files::{
    CUT_OFF, JOURNAL, LOG, SUMMARY, UNFINISHED, commit, lock, settle, under_way, write,
    write_formats,
};
use crate::failure::Failure;

/// A result that was read back, and where its files are to be made anew.
#[derive(Debug)]
pub struct Reopened {
    /// The result.
    pub summary: Summary,
    /// What else there is to know.
    pub remark: Option<String>,
    folder: PathBuf,
    /// The folder within it that the result lies in.
    within: Option<&'static str>,
    is_to_be_written: bool,
    _lock: File,
}

/// Opens the report in a folder again; where there is none yet, that of a run that was cut off.
///
/// # Errors
/// There is none, it can't be read, or a run is under way: says which file, and what to do.
pub fn reopen(folder: &Path) -> Result<Reopened, Failure> {
    let lock = lock(folder)
        .map_err(|e| unreadable(folder, &e))?
        .ok_or_else(|| under_way(folder))?;
    if !matches!(Contents::of(folder), Ok(Contents::Else(_))) {
        // Where that can't be written, it is read as it is.
        let _ = settle(folder);
    }
    let within = within(folder);
    let place = place(folder, within);
    let (summary, is_to_be_written) = read_in(&place)?;
    Ok(Reopened {
        summary,
        remark: remark(folder, within, is_to_be_written),
        folder: folder.to_owned(),
        within,
        is_to_be_written,
        _lock: lock,
    })
}

impl Reopened {
    /// Makes its files anew, and what else is asked for. What was left of a run that was cut off becomes the folder's report.
    ///
    /// # Errors
    /// A file can't be written: says which, and why.
    pub fn write(&self, formats: &[Format]) -> Result<(), Failure> {
        let unwritten = |failure: Failure| Failure::unwritten(failure.message);
        let place = place(&self.folder, self.within);
        if self.is_to_be_written {
            write(&place, &self.summary, formats).map_err(unwritten)?;
        } else {
            write_formats(&place, &self.summary, formats).map_err(unwritten)?;
        }
        if let Some(within) = self.within {
            commit(&self.folder, within).map_err(|e| {
                Failure::unwritten(format!("{} can't be written: {e}", self.folder.display()))
            })?;
        }
        Ok(())
    }
}

/// The result in a folder that a run has written.
///
/// # Errors
/// There is none, or it can't be read: says which file.
pub fn read(folder: &Path) -> Result<Summary, Failure> {
    read_in(&place(folder, within(folder))).map(|(summary, _)| summary)
}

/// Reads the records of the run in a folder, if it has a journal, in the order in which they came.
///
/// # Errors
/// The journal can't be read.
pub fn records_of(folder: &Path, each: impl FnMut(&Record)) -> Result<Option<()>, Failure> {
    let journal = place(folder, within(folder)).join(JOURNAL);
    if !journal.exists() {
        return Ok(None);
    }
    replay::records(&journal, each)
        .map(Some)
        .map_err(|e| unreadable(&journal, &e))
}

/// Where in a folder the result lies that counts: its report, or else what the last run left that was cut
/// off.
fn within(folder: &Path) -> Option<&'static str> {
    let has = |inner: &str, file: &str| folder.join(inner).join(file).exists();
    if folder.join(SUMMARY).exists() || folder.join(JOURNAL).exists() {
        return None;
    }
    [UNFINISHED, CUT_OFF]
        .into_iter()
        .find(|inner| has(inner, JOURNAL))
}

fn place(folder: &Path, within: Option<&str>) -> PathBuf {
    within.map_or_else(|| folder.to_owned(), |inner| folder.join(inner))
}

/// What is to be known of a folder beside its result.
fn remark(folder: &Path, within: Option<&str>, is_to_be_written: bool) -> Option<String> {
    if !is_to_be_written && folder.join(JOURNAL).exists() {
        return Some(format!(
            "the journal has gaps or is of another version: {} stays as the run has written it",
            folder.join(SUMMARY).display()
        ));
    }
    let later = [UNFINISHED, CUT_OFF]
        .into_iter()
        .find(|inner| within.is_none() && folder.join(inner).join(JOURNAL).exists())?;
    Some(format!(
        "a later run into this folder was cut off: see fleetstorm report {}",
        folder.join(later).display()
    ))
}

/// The result, and whether its files can be made out of it.
fn read_in(place: &Path) -> Result<(Summary, bool), Failure> {
    let journal = place.join(JOURNAL);
    let summary = read_summary(place);
    if !journal.exists() {
        return match summary {
            Ok(summary) => Ok((summary, true)),
            Err(_) if place.join(UNFINISHED).join(LOG).exists() => Err(without_journal(place)),
            Err(failure) => Err(failure),
        };
    }
    let replayed = match (replay(&journal), &summary) {
        (Ok(replayed), _) => replayed,
        (Err(_), Ok(summary)) => return Ok((summary.clone(), false)),
        (Err(error), Err(_)) => return Err(unreadable(&journal, &error)),
    };
    match summary {
        // A process was ended while another report took the place of the journal's.
        Ok(summary) if !is_of_one_run(&summary, &replayed.summary) => Ok((summary, true)),
        Ok(_) => Ok((replayed.summary, replayed.is_whole)),
        Err(_) => Ok((replayed.summary, true)),
    }
}

fn is_of_one_run(one: &Summary, other: &Summary) -> bool {
    one.started_at == other.started_at && one.scenario == other.scenario && one.seed == other.seed
}

/// What every `summary.json` says, of whatever version it is.
#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

/// What to do about a file of another version.
const OTHER_VERSION: &str = "report with the fleetstorm that wrote it, or run it anew";
/// What to do about one that is none.
const OTHER_FOLDER: &str = "name a folder that a run has written, see --out of run";

fn read_summary(folder: &Path) -> Result<Summary, Failure> {
    read_file(&folder.join(SUMMARY))
}

/// The result in a `summary.json`.
///
/// # Errors
/// It can't be read, or holds something else: says which file.
pub fn read_file(path: &Path) -> Result<Summary, Failure> {
    let text = fs::read(path).map_err(|e| unreadable(path, &e))?;
    match serde_json::from_slice(&text) {
        Ok(Version { schema_version }) if schema_version != SCHEMA_VERSION => {
            Err(Failure::usage(format!(
                "{}: is a summary of schema version {schema_version}; this fleetstorm reads version {SCHEMA_VERSION}",
                path.display()
            ))
            .hint(OTHER_VERSION))
        }
        _ => serde_json::from_slice(&text).map_err(|error| {
            Failure::usage(format!("{}: is no summary: {error}", path.display())).hint(OTHER_FOLDER)
        }),
    }
}

fn without_journal(folder: &Path) -> Failure {
    Failure::usage(format!(
        "{}: the run was cut off and has left no journal",
        folder.display()
    ))
    .hint("with --journal a run that is cut off can be reported as far as it came")
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let hint = match error.get_ref() {
        Some(inner) if inner.is::<OtherVersion>() => OTHER_VERSION,
        _ => OTHER_FOLDER,
    };
    Failure::usage(format!("{}: {error}", path.display())).hint(hint)
}
