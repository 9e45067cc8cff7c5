//! A threshold as it is written: read, and kept in a journal.

use serde::{Deserialize, Serialize};

use super::condition::{Comparison, Condition};
use super::subject::{Subject, nearest};
use super::tags::{Among, Cut, Tags};
use super::terms::Terms;
use crate::dimensions::Dimensions;

/// One threshold of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// As written.
    name: String,
    condition_text: String,
    pub(super) subject: Subject,
    pub(super) cut: Cut,
    pub(super) among: Among,
    pub(super) condition: Condition,
    /// When it is judged.
    pub terms: Terms,
}

/// A threshold as a journal keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Written {
    /// Like `registration.response.p99{cohort:meters}`.
    pub name: String,
    /// Like `< 5s`.
    pub condition: String,
    /// When it is judged.
    pub terms: Terms,
    /// Devices that it is about, by the plan.
    pub planned: u64,
}

/// In a journal of any age.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Pair(String, String),
    Whole {
        name: String,
        condition: String,
        terms: Terms,
        planned: u64,
    },
}

impl From<Stored> for Written {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Pair(name, condition) => Self {
                name,
                condition,
                terms: Terms::default(),
                planned: 0,
            },
            Stored::Whole {
                name,
                condition,
                terms,
                planned,
            } => Self {
                name,
                condition,
                terms,
                planned,
            },
        }
    }
}

/// Why a threshold can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// The subject is unknown; `nearest` is a known one that looks alike.
    #[error("unknown threshold \"{subject}\"{}", nearest.as_ref().map(|n| format!(", did you mean \"{n}\"?")).unwrap_or_default())]
    UnknownSubject {
        /// As written.
        subject: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// The condition has no known form or the wrong unit.
    #[error("{problem}")]
    BadCondition {
        /// What was wrong, and what would be right.
        problem: String,
    },
    /// The tags say nothing that there is.
    #[error("{problem}")]
    BadTags {
        /// What was wrong, and what would be right.
        problem: String,
    },
    /// It can't be judged on these terms.
    #[error("{problem}")]
    BadTerms {
        /// What was wrong, and what would be right.
        problem: String,
    },
}

impl Threshold {
    /// Reads `"registration.response.p99{cohort:meters}"` and `"< 5s"`; `names` are those that tags can have.
    ///
    /// # Errors
    /// See [`ThresholdError`].
    pub fn parse(
        name: &str,
        condition: &str,
        terms: Terms,
        names: &Dimensions,
    ) -> Result<Self, ThresholdError> {
        let bad_tags = |problem| ThresholdError::BadTags { problem };
        let (subject, tags) = match name.split_once('{') {
            Some((subject, tags)) => {
                let tags = tags.trim_end().strip_suffix('}');
                let tags = tags.ok_or_else(|| bad_tags("its tags have no end: write }".into()))?;
                (subject.trim_end(), Some(tags))
            }
            None => (name, None),
        };
        let found = Subject::all().find(|known| known.to_string() == subject);
        let found = found.ok_or_else(|| ThresholdError::UnknownSubject {
            subject: subject.into(),
            nearest: nearest(subject),
        })?;
        let tags = tags.map(|tags| Tags::parse(tags, names)).transpose();
        let Tags { cut, among } = tags.map_err(bad_tags)?.unwrap_or_default();
        if among == Among::Succeeded && found.statistic().is_none() {
            return Err(bad_tags(format!(
                "{subject} is not of latencies, which alone can be of those that succeeded: leave outcome out"
            )));
        }
        let bad = |problem| ThresholdError::BadCondition { problem };
        let text = condition.trim();
        let (comparison, limit) = Comparison::split(text).ok_or_else(|| {
            bad(format!(
                "\"{text}\" is no condition: write <, <=, >, >= or ==, then {}",
                found.unit().example()
            ))
        })?;
        let limit = found.unit().read(limit).ok_or_else(|| {
            bad(format!(
                "\"{limit}\" is no limit for {subject}: write {}",
                found.unit().example()
            ))
        })?;
        terms
            .fit(found, comparison, !cut.is_whole())
            .map_err(|problem| ThresholdError::BadTerms { problem })?;
        Ok(Self {
            name: name.into(),
            condition_text: text.into(),
            subject: found,
            cut,
            among,
            condition: Condition { comparison, limit },
            terms,
        })
    }

    /// Whether there is such a subject, whatever its tags.
    pub fn is_known(name: &str) -> bool {
        let subject = name.split('{').next().unwrap_or_default().trim_end();
        Subject::all().any(|known| known.to_string() == subject)
    }

    /// What it is about, as written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which devices it is about.
    pub fn cut(&self) -> &Cut {
        &self.cut
    }

    /// As a journal keeps it, with the number of devices that the plan has for it.
    pub fn written(&self, planned: u64) -> Written {
        Written {
            name: self.name.clone(),
            condition: self.condition_text.clone(),
            terms: self.terms,
            planned,
        }
    }

    /// As reports show it.
    pub(super) fn expression(&self) -> String {
        format!("{} {}{}", self.name, self.condition_text, self.terms)
    }
}
