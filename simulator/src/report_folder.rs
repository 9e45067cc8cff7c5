//! The folder that a run leaves behind: `summary.json`, `report.html`, and what else was asked for.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use fleetstorm_reports::replay::replay;
use fleetstorm_reports::{Journal, Summary, render};

use crate::failure::Failure;

const SUMMARY: &str = "summary.json";
const REPORT: &str = "report.html";
const JOURNAL: &str = "journal.jsonl";
/// What a run may find in its folder: a run's. Anything else is not overwritten.
const OWN: [&str; 4] = [SUMMARY, REPORT, JOURNAL, "server.log"];

/// An existing, writable folder.
#[derive(Debug)]
pub struct ReportFolder {
    path: PathBuf,
}

/// `./fleetstorm-out/<scenario>-<time>`.
pub fn default_path(scenario: &str, now: &jiff::ZonedDateTime) -> PathBuf {
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

/// Where a run keeps its journal, if it was asked for one.
pub fn journal_path(folder: &Path) -> PathBuf {
    folder.join(JOURNAL)
}

/// A journal that can't be begun.
pub fn no_journal(error: &io::Error) -> Failure {
    Failure::usage(format!("the journal can't be written: {error}"))
        .hint("free space, name another folder with --out, or run without --journal")
}

/// A journal that ends before its run does.
pub fn journal_failure(error: io::Error) -> Failure {
    Failure::unwritten(format!(
        "the journal could not be written to its end: {error}"
    ))
    .hint("all else is in the report; next time free space or name another folder with --out")
}

/// The result in a folder that a run has written; made again from the journal, when there is one.
///
/// # Errors
/// There is none, or it can't be read: says which file.
pub fn read(folder: &Path) -> Result<Summary, Failure> {
    let journal_path = journal_path(folder);
    if journal_path.exists() {
        let replayed = replay(&journal_path)
            .map_err(|e| Failure::usage(format!("{}: {e}", journal_path.display())))?;
        // A run whose journal could not be written to its end has told the rest in its summary.
        let told = read_summary(folder).ok();
        let told = told.filter(|told| !replayed.is_whole && is_of_one_run(told, &replayed.summary));
        return Ok(told.unwrap_or(replayed.summary));
    }
    read_summary(folder)
}

fn is_of_one_run(one: &Summary, other: &Summary) -> bool {
    one.started_at == other.started_at && one.scenario == other.scenario && one.seed == other.seed
}

fn read_summary(folder: &Path) -> Result<Summary, Failure> {
    let path = folder.join(SUMMARY);
    let text = fs::read(&path).map_err(|e| {
        Failure::usage(format!("{}: {e}", path.display()))
            .hint("name a folder that a run has written, see --out of run")
    })?;
    serde_json::from_slice(&text)
        .map_err(|e| Failure::usage(format!("{}: is no summary: {e}", path.display())))
}

impl ReportFolder {
    /// Makes the folder (with its parents) and proves that it can be written to, before anything starts.
    ///
    /// # Errors
    /// It can't, or it holds something else: says why and names `--out`.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| unwritable(path, &error);
        fs::create_dir_all(path).map_err(failed)?;
        for entry in fs::read_dir(path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if !OWN.iter().any(|own| name == *own) {
                let message = format!(
                    "{} holds something else than a report: {}",
                    path.display(),
                    name.display()
                );
                return Err(Failure::usage(message).hint("name another folder with --out"));
            }
        }
        let folder = Self {
            path: path.to_owned(),
        };
        // An older report must not outlive a run that fails.
        for own in OWN {
            match fs::remove_file(path.join(own)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unwritable(path, &error));
                }
                _ => {}
            }
        }
        folder.put(SUMMARY, |out| out.write_all(b"{}\n"))?;
        fs::remove_file(path.join(SUMMARY)).map_err(failed)?;
        Ok(folder)
    }

    /// A folder that a run has written.
    pub fn existing(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts the journal of records in it.
    ///
    /// # Errors
    /// The file can't be created.
    pub fn journal(&self) -> Result<Journal, Failure> {
        Journal::create(&self.path.join(JOURNAL)).map_err(|e| unwritable(&self.path, &e))
    }

    /// Writes `summary.json` and `report.html`.
    ///
    /// # Errors
    /// A file can't be written: says which, and why.
    pub fn write(&self, summary: &Summary) -> Result<(), Failure> {
        self.put(SUMMARY, |out| render::json::render(summary, out))?;
        self.put(REPORT, |out| render::html::render(summary, out))
    }

    /// All of a file or none of it.
    fn put(
        &self,
        name: &str,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let path = self.path.join(name);
        let unfinished = self.path.join(format!(".{name}.unfinished"));
        let written = (|| {
            let mut out = BufWriter::new(File::create(&unfinished)?);
            content(&mut out)?;
            out.into_inner()
                .map_err(io::IntoInnerError::into_error)?
                .sync_all()?;
            fs::rename(&unfinished, &path)
        })();
        written.map_err(|error| {
            let _ = fs::remove_file(&unfinished);
            unwritable(&path, &error)
        })
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{} can't be written: {error}", path.display()))
        .hint("name a folder that can be written with --out, or free space")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_elses_files_are_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("thesis.txt"), "years of work").expect("a file");
        let failure = ReportFolder::create(folder.path()).expect_err("not empty");
        assert_eq!(failure.exit_code, 2);
        assert!(
            failure.to_string().contains("thesis.txt") && failure.to_string().contains("--out"),
            "{failure}"
        );
    }

    #[test]
    fn an_older_report_goes_and_nothing_unfinished_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(SUMMARY), "{}").expect("a file");
        ReportFolder::create(folder.path()).expect("a run's folder");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn a_full_disk_is_told_with_the_file() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = ReportFolder::create(scratch.path()).expect("a run's folder");
        // What is written there fails as on a full disk.
        std::os::unix::fs::symlink("/dev/full", scratch.path().join(".summary.json.unfinished"))
            .expect("a link");
        let failure = folder
            .put(SUMMARY, |out| out.write_all(b"{}"))
            .expect_err("no space left");
        assert_eq!(failure.exit_code, 2);
        for words in ["summary.json", "No space left", "--out"] {
            assert!(failure.to_string().contains(words), "{failure}");
        }
        assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn names_become_fit_for_files() {
        let now: jiff::ZonedDateTime = "2026-11-24T10:11:12[UTC]".parse().expect("a time");
        assert_eq!(
            default_path("geo/ramp 1", &now),
            Path::new("fleetstorm-out/geo-ramp-1-20261124-101112")
        );
    }
}
