//! One error for everything that could not be read from the wire.

/// Text or bytes of a peer that do not have the form the protocol asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct DecodeError {
    /// The field or structure that was being read, in the specification's words.
    pub what: &'static str,
    /// What was wrong with it.
    pub problem: String,
}

impl DecodeError {
    /// Names the field and the problem.
    pub fn new(what: &'static str, problem: impl Into<String>) -> Self {
        Self {
            what,
            problem: problem.into(),
        }
    }
}
