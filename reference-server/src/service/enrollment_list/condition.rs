//! Whether an entry may be written.

use super::stamp::Stamp;

/// On what condition an entry is written (`If-Match`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'a> {
    /// In any case.
    None,
    /// It is not there.
    Absent,
    /// It is there (`*`).
    Exists,
    /// It is there with this entity tag; quotes around it don't matter.
    Is(&'a str),
}

/// Why an entry is not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// It says what can't be.
    #[error("{0}")]
    Invalid(String),
    /// It is there already.
    #[error("{0} is there already")]
    Exists(String),
    /// It is not there.
    #[error("there is none of this name")]
    NotFound,
    /// It has another entity tag.
    #[error("Precondition failed: it has another etag")]
    OtherTag,
    /// There are as many as there may be.
    #[error("{0}")]
    Full(String),
}

impl<'a> Condition<'a> {
    /// What header `If-Match` asks for.
    pub(crate) fn of_header(tag: Option<&'a str>) -> Self {
        match tag {
            None => Self::None,
            Some("*" | "\"*\"") => Self::Exists,
            Some(tag) => Self::Is(tag),
        }
    }

    /// Whether an entry of this name may be written over what is known of it.
    pub(super) fn holds(self, id: &str, known: Option<Stamp>) -> Result<(), WriteError> {
        match (self, known) {
            (Self::None, _) | (Self::Absent, None) | (Self::Exists, Some(_)) => Ok(()),
            (Self::Absent, Some(_)) => Err(WriteError::Exists(format!("\"{id}\""))),
            (Self::Exists | Self::Is(_), None) => Err(WriteError::NotFound),
            (Self::Is(_), Some(stamp)) => self.admits(&stamp.tag()),
        }
    }

    /// Whether what is there with this entity tag is what the condition wants.
    pub(crate) fn admits(self, tag: &str) -> Result<(), WriteError> {
        match self {
            Self::Is(asked) if asked.trim_matches('"') != tag.trim_matches('"') => {
                Err(WriteError::OtherTag)
            }
            _ => Ok(()),
        }
    }
}
