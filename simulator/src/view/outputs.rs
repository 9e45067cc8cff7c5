//! Outputs for other people's tools: those that lie elsewhere than in the report folder, and what CI shows itself.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fleetstorm_reports::Summary;
use fleetstorm_reports::render::format::{Format, FormatFile};
use fleetstorm_reports::render::github;

use super::report_folder::{put, write_formats};
use crate::console;
use crate::failure::Failure;
use crate::output::Output;

/// What is asked for by the command line, and by the scenario.
pub fn all(asked: &[Output], of_scenario: &[Format]) -> Vec<Output> {
    let mut all = asked.to_vec();
    for &format in of_scenario {
        let output = Output { format, path: None };
        if !all.contains(&output) {
            all.push(output);
        }
    }
    all
}

/// The formats that go to the report folder.
pub fn in_folder(outputs: &[Output]) -> Vec<Format> {
    let in_folder = outputs.iter().filter(|output| output.path.is_none());
    in_folder.map(|output| output.format).collect()
}

/// Proves that there are folders for the others, before anything starts.
///
/// # Errors
/// There is none: says which.
pub fn check(outputs: &[Output]) -> Result<(), Failure> {
    for (format, path) in elsewhere(outputs) {
        if !folder_of(path).is_dir() {
            return Err(refused(path, "there is no such folder"));
        }
        match (format.is_folder(), path.is_dir()) {
            (false, true) => return Err(refused(path, "is a folder")),
            (true, false) if path.exists() => return Err(refused(path, "is no folder")),
            _ => {}
        }
    }
    Ok(())
}

fn elsewhere(outputs: &[Output]) -> impl Iterator<Item = (Format, &Path)> {
    let with_path = outputs.iter();
    with_path.filter_map(|output| Some((output.format, output.path.as_deref()?)))
}

fn refused(path: &Path, why: &str) -> Failure {
    Failure::usage(format!("--output: {}: {why}", path.display()))
        .hint("name a file (hgrm: a folder) in a folder that there is, or leave the name out: it is written to the report folder")
}

/// Writes those that go elsewhere, and tells CI.
///
/// # Errors
/// One can't be written: says which.
pub fn write(summary: &Summary, outputs: &[Output], ci: &Ci) -> Result<(), Failure> {
    let written: Vec<_> = elsewhere(outputs)
        .map(|(format, path)| write_at(path, format, summary))
        .collect();
    if outputs
        .iter()
        .any(|output| output.format == Format::Markdown)
    {
        ci.tell(summary);
    }
    written.into_iter().collect()
}

fn write_at(path: &Path, format: Format, summary: &Summary) -> Result<(), Failure> {
    if format.is_folder() {
        fs::create_dir_all(path).map_err(|e| unwritable(path, &e))?;
        return write_formats(path, summary, &[format]);
    }
    format
        .files()
        .into_iter()
        .try_for_each(|file| put_at(path, |out| file.render(summary, out)))
}

/// All of a file or none of it; what is no file, like a pipe, is written to as it is.
fn put_at(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let is_other = fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
    let name = path.file_name().and_then(|name| name.to_str());
    match name.filter(|_| !is_other) {
        Some(name) => put(folder_of(path), name, content),
        None => File::create(path)
            .and_then(|mut out| content(&mut out))
            .map_err(|e| unwritable(path, &e)),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{} can't be written: {error}", path.display()))
}

fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    parent.unwrap_or(Path::new("."))
}

/// The CI system that a command runs in.
#[derive(Debug, Default)]
pub struct Ci {
    /// Where a step of GitHub Actions puts what its page shows.
    step_summary: Option<PathBuf>,
    /// Whether it reads annotations on standard output.
    has_annotations: bool,
}

impl Ci {
    /// By what it says of itself.
    pub fn from_env() -> Self {
        let step_summary = std::env::var_os("GITHUB_STEP_SUMMARY");
        Self {
            step_summary: step_summary
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            has_annotations: std::env::var_os("GITHUB_ACTIONS").is_some_and(|word| word == "true"),
        }
    }

    /// Shows the result on its pages. What is asked for is in a file as well, so that nothing hangs on this.
    fn tell(&self, summary: &Summary) {
        if let Some(path) = &self.step_summary {
            let appended = File::options().append(true).create(true).open(path);
            let appended = appended.and_then(|mut out| {
                // Whatever stands there may lack its end of line.
                let mut page = b"\n".to_vec();
                FormatFile::Markdown.render(summary, &mut page)?;
                page.push(b'\n');
                out.write_all(&page)
            });
            if let Err(error) = appended {
                console::remark(format_args!("{} can't be written: {error}", path.display()));
            }
        }
        if self.has_annotations
            && let Err(failure) = console::answer(|out| github::render(summary, out))
        {
            console::remark(failure);
        }
    }
}

#[cfg(test)]
mod tests;
