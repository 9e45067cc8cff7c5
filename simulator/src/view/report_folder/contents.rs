//! What a folder holds before a run takes it: nothing, a report, or something of somebody else's.

use std::fs;
use std::io;
use std::path::Path;

use fleetstorm_reports::replay;
use serde::Deserialize;

use super::files::{CUT_OFF, FINISHED, JOURNAL, SUMMARY, UNFINISHED, draft, files};
use crate::failure::Failure;

/// What is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// Nothing of worth.
    Nothing,
    /// The report, or the journal, of a run of this scenario.
    OfScenario(String),
    /// A file that is no part of a report.
    Else(String),
}

/// What every `summary.json` of ours has.
#[derive(Deserialize)]
struct Whose {
    #[serde(rename = "schema_version")]
    _schema_version: u32,
    scenario: String,
}

impl Contents {
    /// Looks into a folder, and into those that runs make in it.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let mut found = vec![Self::of_files(folder, true)?];
        for inner in [UNFINISHED, FINISHED, CUT_OFF] {
            let path = folder.join(inner);
            if fs::symlink_metadata(&path).is_ok() {
                found.push(match Self::of_files(&path, false)? {
                    Self::Else(name) => Self::Else(format!("{inner}/{name}")),
                    contents => contents,
                });
            }
        }
        let foreign = |contents: &Self| matches!(contents, Self::Else(_));
        if let Some(index) = found.iter().position(foreign) {
            return Ok(found.swap_remove(index));
        }
        let somebodys = found
            .into_iter()
            .find(|contents| *contents != Self::Nothing);
        Ok(somebodys.unwrap_or(Self::Nothing))
    }

    /// A folder of a run, or of its unfinished things: only there, files without a summary or a journal
    /// can be known for a run's.
    fn of_files(folder: &Path, is_outer: bool) -> io::Result<Self> {
        let mut unclaimed = None;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            let is_draft = files().any(|file| draft(&file) == name);
            let is_file = kind.is_file() && files().any(|file| file == name);
            let is_inner = is_outer
                && kind.is_dir()
                && [UNFINISHED, FINISHED, CUT_OFF].contains(&name.as_str());
            if !is_draft && !is_file && !is_inner {
                return Ok(Self::Else(name));
            }
            if is_file && is_outer {
                unclaimed = unclaimed.or(Some(name));
            }
        }
        let contents = Self::told_by_summary(folder)
            .or_else(|| Self::told_by_journal(folder))
            .or(unclaimed.map(Self::Else));
        Ok(contents.unwrap_or(Self::Nothing))
    }

    fn told_by_summary(folder: &Path) -> Option<Self> {
        let text = fs::read(folder.join(SUMMARY)).ok()?;
        let whose = serde_json::from_slice::<Whose>(&text);
        Some(whose.map_or(Self::Else(SUMMARY.into()), |whose| {
            Self::OfScenario(whose.scenario)
        }))
    }

    fn told_by_journal(folder: &Path) -> Option<Self> {
        let path = folder.join(JOURNAL);
        // One that is empty tells of a run that was cut off before it began.
        fs::metadata(&path).ok().filter(|file| file.len() > 0)?;
        let scenario = replay::scenario(&path);
        Some(scenario.map_or(Self::Else(JOURNAL.into()), Self::OfScenario))
    }

    /// Whether a run of `scenario` may put its report in the place of this.
    pub(super) fn may_give_way_to(
        &self,
        folder: &Path,
        scenario: &str,
        force: bool,
    ) -> Result<(), Failure> {
        let folder = folder.display();
        match self {
            Self::Else(name) => Err(Failure::usage(format!(
                "{folder} holds something else than a report: {name}"
            ))
            .hint("name another folder with --out")),
            Self::OfScenario(other) if other != scenario && !force => Err(Failure::usage(format!(
                "{folder} holds a report of another scenario: {other}"
            ))
            .hint("name another folder with --out, or replace that report with --force")),
            _ => Ok(()),
        }
    }
}
