//! Thresholds: a metric, a comparison, a limit; of which devices, when, and what follows.
//!
//! ```text
//! threshold  = subject [tags] condition terms
//! subject    = metric "." statistic            ; like registration.response.p99, tls.p50
//!            | ("provisioned" | "registered" | "failed" | "dropped" | "throttled" | "retried")
//!              "." ("ratio" | "count")
//!            | "provisioned.rate" | "attempts.mean" | "attempts.max"
//!            | ("connections.held" | "connections.dropped" | "connections.reconnected"
//!              | "connections.given-up" | "reprovisioned" | "reprovisioned.failed" | "messages" | "desired" | "methods") "." "count"
//! metric     = "registration.response" | "registration.service" | "provisioning.response"
//!            | "provisioning.service" | a phase's name
//! statistic  = "min" | "mean" | "p50" | "p75" | "p90" | "p95" | "p99" | "p999" | "p9999" | "max" | "count"
//! tags       = "{" tag *("," tag) "}"          ; like {cohort:meters,transport:mqtt}
//! tag        = ("cohort" | "transport" | "attestation" | "region" | "tenant") ":" name
//!            | "outcome:succeeded"
//! condition  = ("<" | "<=" | ">" | ">=" | "==") limit
//! limit      = duration ("5s", "250ms", "1m30s") | percentage ("99.9%") | ratio ("0.999") | number | rate ("400/s")
//! ```
//!
//! A ratio is a share of the devices planned; over a window or a part of the run, and while the run
//! goes on, of those that have ended then or were not started. A device that was due and not started is
//! `dropped`; it is not `failed`, but bad in every ratio: `failed.ratio` has it, too. Throttled devices were answered 429 at least once; attempts
//! are those of one device.
//!
//! A latency is of all devices that were due: those that did not get so far count as slower than any that
//! did, so that a p99 holds no longer once more than 1 % failed, and a max once one did. With
//! `{outcome:succeeded}` it is of those that did, alone.

mod condition;
mod figures;
mod judge;
mod measure;
mod samples;
mod subject;
mod tags;
mod tally;
mod terms;
mod value;
mod windowed;
mod windows;

use serde::{Deserialize, Serialize};

use crate::dimensions::Dimensions;
use condition::{Comparison, Condition};
pub(crate) use judge::Judge;
pub use judge::Stop;
use subject::{Subject, nearest};
pub use tags::Cut;
use tags::{Among, Tags};
pub use terms::Terms;
pub(crate) use windows::MOST_BYTES as WINDOWS_BYTES;

/// One threshold of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// As written.
    name: String,
    condition_text: String,
    subject: Subject,
    cut: Cut,
    among: Among,
    condition: Condition,
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

/// The threshold that has stopped a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aborted {
    /// Its index.
    pub threshold: usize,
    /// When, microseconds since the start.
    pub at_us: u64,
    /// What was measured then.
    #[serde(flatten)]
    pub stop: Stop,
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
    fn expression(&self) -> String {
        format!("{} {}{}", self.name, self.condition_text, self.terms)
    }
}

#[cfg(test)]
mod tests;
