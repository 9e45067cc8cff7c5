//! Runs beside a baseline.

use std::path::{Path, PathBuf};

use fleetstorm_reports::Summary;
use fleetstorm_reports::comparison::Comparison;
use fleetstorm_reports::comparison::run::Named;
use fleetstorm_reports::render::comparison as render;

use super::report_folder;
use crate::console;
use crate::failure::Failure;

/// The runs in report folders, or in files like `summary.json`.
///
/// # Errors
/// One can't be read: says which.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Named>, Failure> {
    paths.iter().map(|path| read_one(path)).collect()
}

fn read_one(path: &Path) -> Result<Named, Failure> {
    let summary = if path.is_file() {
        report_folder::read_file(path)?
    } else {
        report_folder::read(path)?
    };
    Ok(named(path.display().to_string(), summary))
}

/// A run by its name.
pub fn named(name: impl Into<String>, summary: Summary) -> Named {
    Named {
        name: name.into(),
        summary,
    }
}

/// Compares runs with baselines.
///
/// # Errors
/// What was read is damaged: says which run.
pub fn compare(
    baselines: &[Named],
    candidates: &[Named],
    tolerance: f64,
) -> Result<Comparison, Failure> {
    let compared = Comparison::new(baselines, candidates, tolerance);
    compared.map_err(|error| Failure::usage(error.to_string()))
}

/// Says what came of it.
///
/// # Errors
/// Standard output can't be written.
pub fn show(comparison: &Comparison) -> Result<(), Failure> {
    console::answer(|out| render::text(comparison, console::style(), out))
}
