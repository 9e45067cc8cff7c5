//! Every mistake of a scenario file at once: file, line, column, key, why, and what may have been meant.

use std::fmt;

/// Why a scenario can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.report())]
pub struct ScenarioError {
    /// The file.
    pub origin: String,
    /// What is wrong, in the file's order; at least one.
    pub mistakes: Vec<Mistake>,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where; absent when it concerns the file as a whole.
    pub place: Option<Place>,
    /// The key, like `cohort[1].transport`; empty when it concerns the file as a whole.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Character of the line, from 1.
    pub column: usize,
}

impl ScenarioError {
    /// The file as a whole can't be read.
    pub fn unreadable(origin: &str, problem: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            mistakes: vec![Mistake {
                place: None,
                key: String::new(),
                problem: problem.into(),
                hint: None,
            }],
        }
    }

    /// One block a mistake: `smoke.toml:12:5: cohort[1].transport: what is wrong`, and below it,
    /// indented, what to do. The first line is one that editors can jump to.
    pub fn report(&self) -> String {
        let blocks = self.mistakes.iter().map(|mistake| match mistake.place {
            Some(Place { line, column }) => {
                format!("{}:{line}:{column}: {mistake}", self.origin)
            }
            None => format!("{}: {mistake}", self.origin),
        });
        blocks.collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)?;
        match &self.hint {
            Some(hint) => write!(f, "\n    help: {hint}"),
            None => Ok(()),
        }
    }
}
