//! The files and folders of a report, and how they come to their places.

use std::borrow::Cow;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use fleetstorm_reports::render::format::{Format, FormatFile};
use fleetstorm_reports::{Summary, render};

use crate::failure::Failure;

pub(super) const SUMMARY: &str = "summary.json";
pub(super) const REPORT: &str = "report.html";
/// All of a run's records; or those of a run that was cut off.
pub(super) const JOURNAL: &str = "journal.jsonl";
/// The first records of a run that went on when it could write no more of them.
pub(super) const PARTIAL_JOURNAL: &str = "journal.partial.jsonl";
pub(super) const LOG: &str = "server.log";

/// What a report consists of; what says that it is one comes last.
pub(super) fn files() -> impl Iterator<Item = Cow<'static, str>> {
    let formats = Format::ALL.into_iter().flat_map(Format::files);
    [LOG, JOURNAL, PARTIAL_JOURNAL]
        .map(Cow::from)
        .into_iter()
        .chain(formats.map(FormatFile::name))
        .chain([REPORT, SUMMARY].map(Cow::from))
}

pub(super) const UNFINISHED: &str = "unfinished";
pub(super) const FINISHED: &str = "finished";
pub(super) const CUT_OFF: &str = "cut-off";

/// Locks a folder; none where another process has locked it.
pub(super) fn lock(folder: &Path) -> io::Result<Option<File>> {
    let opened = File::open(folder)?;
    match opened.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        // Where the file system knows no such locks, nobody is held off.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(opened)),
    }
}

/// Sets aside what a run that was cut off has left, if it is worth anything.
pub(super) fn make_room(folder: &Path) -> io::Result<()> {
    let unfinished = folder.join(UNFINISHED);
    if !unfinished.exists() {
        return Ok(());
    }
    if !unfinished.join(JOURNAL).exists() {
        return fs::remove_dir_all(unfinished);
    }
    let cut_off = folder.join(CUT_OFF);
    remove_if_there(&cut_off)?;
    fs::rename(unfinished, cut_off)
}

/// Makes the files in `folder/from`, which are all of a report, those of `folder`.
pub(super) fn commit(folder: &Path, from: &str) -> io::Result<()> {
    let finished = folder.join(FINISHED);
    // From here on it is the newer one that counts.
    fs::rename(folder.join(from), &finished)?;
    for file in files() {
        if !finished.join(&*file).exists() {
            remove_if_there(&folder.join(&*file))?;
        }
    }
    settle(folder)?;
    remove_if_there(&folder.join(CUT_OFF))
}

/// Moves a report to its place, also where a process was ended while it did so.
pub(super) fn settle(folder: &Path) -> io::Result<()> {
    let finished = folder.join(FINISHED);
    if !finished.exists() {
        return Ok(());
    }
    for file in files() {
        match fs::rename(finished.join(&*file), folder.join(&*file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_dir_all(finished)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Writes `report.html` and `summary.json`, and what else is asked for.
pub(super) fn write(folder: &Path, summary: &Summary, formats: &[Format]) -> Result<(), Failure> {
    write_formats(folder, summary, formats)?;
    put(folder, REPORT, |out| render::html::render(summary, out))?;
    put(folder, SUMMARY, |out| render::json::render(summary, out))
}

/// Writes what is asked for beside them.
pub fn write_formats(folder: &Path, summary: &Summary, formats: &[Format]) -> Result<(), Failure> {
    formats
        .iter()
        .flat_map(|format| format.files())
        .filter(|file| file.is_of(summary))
        .try_for_each(|file| put(folder, &file.name(), |out| file.render(summary, out)))
}

/// All of a file or none of it.
pub fn put(
    folder: &Path,
    name: &str,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let path = folder.join(name);
    let draft = folder.join(draft(name));
    let written = (|| {
        let mut out = BufWriter::new(File::create(&draft)?);
        content(&mut out)?;
        out.into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;
        fs::rename(&draft, &path)
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&draft);
        unwritable(&path, &error)
    })
}

pub(super) fn draft(name: &str) -> String {
    format!(".{name}.unfinished")
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{} can't be written: {error}", path.display()))
        .hint("name a folder that can be written with --out, or free space")
}

pub(super) fn under_way(path: &Path) -> Failure {
    Failure::usage(format!("a run is under way in {}", path.display()))
        .hint("wait for its end, or name another folder")
}
