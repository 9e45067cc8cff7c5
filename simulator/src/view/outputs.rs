//! Outputs for other people's tools: those that lie elsewhere than in the report folder, and what CI shows itself.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fleetstorm_reports::Summary;
use fleetstorm_reports::render::format::Format;
use fleetstorm_reports::render::github;

use super::report_folder::put;
use crate::console;
use crate::failure::Failure;
use crate::output::Output;

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
    for path in outputs.iter().filter_map(|output| output.path.as_deref()) {
        let folder = folder_of(path);
        if path.is_dir() {
            return Err(refused(path, "is a folder"));
        }
        if !folder.is_dir() {
            return Err(refused(path, "there is no such folder"));
        }
    }
    Ok(())
}

fn refused(path: &Path, why: &str) -> Failure {
    Failure::usage(format!("--output: {}: {why}", path.display()))
        .hint("name a file in a folder that there is, or leave the name out: it is written to the report folder")
}

/// Writes those that go elsewhere, and tells CI.
///
/// # Errors
/// One can't be written: says which.
pub fn write(summary: &Summary, outputs: &[Output], ci: &Ci) -> Result<(), Failure> {
    let elsewhere = outputs
        .iter()
        .filter_map(|output| Some((output.format, output.path.as_deref()?)));
    let written: Vec<_> = elsewhere
        .map(|(format, path)| put_at(path, |out| format.render(summary, out)))
        .collect();
    if outputs
        .iter()
        .any(|output| output.format == Format::Markdown)
    {
        ci.tell(summary);
    }
    written.into_iter().collect()
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
            .map_err(|e| Failure::usage(format!("{} can't be written: {e}", path.display()))),
    }
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
                Format::Markdown.render(summary, &mut page)?;
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
