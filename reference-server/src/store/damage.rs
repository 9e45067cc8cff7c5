//! What is wrong with a folder, in words.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::error::StoreError;

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
    if let Some(error) = of_system(error) {
        return io_words(error);
    }
    match error {
        fjall::Error::Locked => {
            "another server uses it: stop that one, or name another folder".into()
        }
        fjall::Error::Io(error) => io_words(error),
        // Behind the answers, and the database does not say why.
        fjall::Error::Poisoned => "an earlier write failed: is the disk full?".into(),
        other => damaged(&other.to_string()),
    }
}

/// What the system says, wherever the database wraps it, of anything but the files themselves.
fn of_system(error: &fjall::Error) -> Option<&io::Error> {
    let first: &(dyn Error + 'static) = error;
    let mut errors = std::iter::successors(Some(first), |&error| error.source());
    let error = errors.find_map(|error| error.downcast_ref::<io::Error>())?;
    let is_of_files = error.raw_os_error().is_none() || error.kind() == ErrorKind::NotFound;
    (!is_of_files).then_some(error)
}

pub(super) fn io_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!("the disk is full ({error})"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_refuses_is_no_damage() {
        let full = || io::Error::from_raw_os_error(28);
        for wrapped in [
            fjall::Error::Io(full()),
            fjall::Error::Storage(fjall::LsmError::Io(full())),
        ] {
            let words = words(&wrapped);
            assert!(words.starts_with("the disk is full"), "{words}");
        }
        for damage in [
            ErrorKind::UnexpectedEof.into(),
            io::Error::from_raw_os_error(2),
        ] {
            let words = words(&fjall::Error::Storage(fjall::LsmError::Io(damage)));
            assert!(words.contains("is damaged"), "{words}");
        }
    }
}
