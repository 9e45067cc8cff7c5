//! `fleetstorm compare`: runs beside a baseline.

use std::slice;

use fleetstorm_reports::render::comparison as render;

use crate::cli::{CompareArgs, CompareFormat};
use crate::console;
use crate::failure::Failure;
use crate::view::comparison;

/// Compares them, says what came of it; returns the exit code.
///
/// # Errors
/// A run can't be read, or the answer can't be written.
pub fn compare(args: &CompareArgs) -> Result<u8, Failure> {
    let mut baselines = comparison::read(slice::from_ref(&args.baseline))?;
    baselines.extend(comparison::read(&args.more_baselines)?);
    let candidates = comparison::read(&args.candidates)?;
    let compared = comparison::compare(&baselines, &candidates, args.tolerance)?;
    match args.format {
        CompareFormat::Text => comparison::show(&compared)?,
        CompareFormat::Markdown => {
            console::answer(|out| render::markdown::render(&compared, out))?;
        }
        CompareFormat::Json => console::answer(|out| render::json(&compared, out))?,
    }
    Ok(compared.exit_code)
}
