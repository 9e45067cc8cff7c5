//! Why the tool can't go on: for people, with what to do and the exit code.

use fleetstorm_reports::verdict::exit_code;

/// A failure that ends the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was wrong and where; one or more lines.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// What the process exits with.
    pub exit_code: u8,
}

impl Failure {
    /// A wrong flag or scenario, or something the preflight found: exit 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            exit_code: exit_code::USAGE,
        }
    }

    /// The target can't be reached or the bundled server did not start: exit 3.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            exit_code: exit_code::UNREACHABLE,
        }
    }

    /// What the command came to can't be written, for the disk is full for example: exit 5.
    pub fn unwritten(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            exit_code: exit_code::UNWRITTEN,
        }
    }

    /// Something that should not happen: exit 1.
    pub fn bug(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            exit_code: exit_code::BUG,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  help: {hint}"),
            None => Ok(()),
        }
    }
}
