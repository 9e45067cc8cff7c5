//! What is wrong with a folder, in words.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::StoreError;

/// What to do with a folder that is damaged.
const ADVICE: &str = "bring back a copy of the data folder, or name another one";

/// Where a file is damaged, and how.
pub(super) fn at(file: &Path, offset: usize, problem: &str) -> StoreError {
    StoreError {
        path: file.to_owned(),
        problem: format!("is damaged at offset {offset} ({problem}): {ADVICE}"),
    }
}

/// The same, with a way to go on without what is lost.
pub(super) fn at_or(file: &Path, offset: usize, problem: &str, instead: &str) -> StoreError {
    let mut error = at(file, offset, problem);
    error.problem.push_str(&format!("; {instead}"));
    error
}

/// How a folder is damaged.
pub(super) fn damaged(problem: &str) -> String {
    format!("is damaged ({problem}): {ADVICE}")
}

pub(super) fn io_error(file: &Path, error: &io::Error) -> StoreError {
    let problem = match error.kind() {
        ErrorKind::NotFound => damaged("it is gone"),
        _ => io_words(error),
    };
    StoreError {
        path: file.to_owned(),
        problem,
    }
}

pub(super) fn words(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Locked => {
            "another server uses it: stop that one, or name another folder".into()
        }
        fjall::Error::Io(error) => io_words(error),
        fjall::Error::Poisoned => "an earlier write failed".into(),
        other => damaged(&other.to_string()),
    }
}

pub(super) fn io_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!("the disk is full ({error})"),
        _ => error.to_string(),
    }
}
