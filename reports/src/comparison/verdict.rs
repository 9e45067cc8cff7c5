//! What a comparison comes to, and the exit codes that go with it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::verdict::exit_code;

/// What a comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ComparisonVerdict {
    /// A figure is for the better, and none for the worse.
    Better,
    /// No figure is for the worse or the better, as far as can be told.
    Same,
    /// No latency of the whole way can be told to be the same, worse or better, for there are too few devices; or what
    /// one of them changed by may be what the generator itself added.
    Unclear,
    /// The runs can't be compared.
    NotComparable,
    /// A figure is for the worse.
    Worse,
}

impl ComparisonVerdict {
    /// The exit code that says it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Better | Self::Same => exit_code::PASS,
            Self::Unclear | Self::NotComparable => exit_code::INVALID,
            Self::Worse => exit_code::WORSE,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Same => "the same",
            Self::Unclear => "unclear",
            Self::NotComparable => "not comparable",
            Self::Worse => "worse",
        }
    }
}
