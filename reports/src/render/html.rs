//! .

use std::io::{self, Write};

use crate::summary::Summary;

/// Writes it.
///
/// # Errors
/// The writer's.
pub fn render(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let _ = summary;
    out.flush()
}
