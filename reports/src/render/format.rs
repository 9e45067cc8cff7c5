//! What a summary can be written as, beside the report: for other people's tools.

use std::io::{self, Write};

use super::{junit, markdown};
use crate::summary::Summary;

/// A form of the result that is made where it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JUnit's XML: a case for everything that had to be so.
    Junit,
    /// Markdown, for the page of a pull request or of a step in CI.
    Markdown,
}

impl Format {
    /// Every one, in the order messages list them.
    pub const ALL: [Self; 2] = [Self::Junit, Self::Markdown];

    /// The word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Junit => "junit",
            Self::Markdown => "markdown",
        }
    }

    /// Its file in a report folder.
    pub fn file(self) -> &'static str {
        match self {
            Self::Junit => "junit.xml",
            Self::Markdown => "summary.md",
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// The writer's.
    pub fn render(self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Junit => junit::render(summary, out),
            Self::Markdown => markdown::render(summary, out),
        }
    }
}
