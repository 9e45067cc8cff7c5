//! From a file to a scenario.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::ScenarioError;
use crate::scenario::Scenario;
use crate::table;

/// Longest scenario file, in bytes.
pub const MAX_FILE_SIZE: u64 = 1024 * 1024;

/// Reads a scenario's text. `origin` names it in messages.
///
/// # Errors
/// Every mistake in the file, with line and key.
pub fn parse(text: &str, origin: &str) -> Result<Scenario, ScenarioError> {
    table::read(text, origin, crate::parse::scenario)
}

/// Reads a scenario file.
///
/// # Errors
/// It can't be read, is longer than [`MAX_FILE_SIZE`], or every mistake in it.
pub fn load(path: &Path) -> Result<Scenario, ScenarioError> {
    let origin = path.display().to_string();
    let text = text_of(path)
        .map_err(|error| ScenarioError::unreadable(&origin, format!("can't be read: {error}")))?;
    if text.len() as u64 > MAX_FILE_SIZE {
        let problem = format!("is longer than {MAX_FILE_SIZE} bytes, which no scenario is");
        return Err(ScenarioError::unreadable(&origin, problem));
    }
    parse(&text, &origin)
}

/// The file's text, up to one byte more than a scenario may have.
fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_FILE_SIZE + 1)
        .read_to_string(&mut text)?;
    Ok(text)
}
