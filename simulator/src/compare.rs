//! `fleetstorm compare`: runs beside a baseline.

use std::path::Path;

use fleetstorm_reports::comparison::Comparison;
use fleetstorm_reports::comparison::run::Named;
use fleetstorm_reports::render::comparison as render;

use crate::cli::{CompareArgs, CompareFormat};
use crate::console;
use crate::failure::Failure;
use crate::view::report_folder;

/// Compares them, says what came of it; returns the exit code.
///
/// # Errors
/// A run can't be read, or the answer can't be written.
pub fn compare(args: &CompareArgs) -> Result<u8, Failure> {
    let baselines = [&args.baseline].into_iter().chain(&args.more_baselines);
    let baselines = baselines
        .map(|path| named(path))
        .collect::<Result<Vec<_>, _>>()?;
    let candidates = args
        .candidates
        .iter()
        .map(|path| named(path))
        .collect::<Result<Vec<_>, _>>()?;
    let comparison = Comparison::new(&baselines, &candidates, args.tolerance)
        .map_err(|error| Failure::usage(error.to_string()))?;
    console::answer(|out| match args.format {
        CompareFormat::Text => render::text(&comparison, console::style(), out),
        CompareFormat::Markdown => render::markdown::render(&comparison, out),
        CompareFormat::Json => render::json(&comparison, out),
    })?;
    Ok(comparison.exit_code)
}

fn named(path: &Path) -> Result<Named, Failure> {
    let summary = if path.is_file() {
        report_folder::read_file(path)?
    } else {
        report_folder::read(path)?
    };
    Ok(Named {
        name: path.display().to_string(),
        summary,
    })
}
