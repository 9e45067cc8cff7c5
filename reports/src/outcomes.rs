//! How devices ended, counted: a bounded number of outcomes, whatever error codes a peer invents.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;

/// Outcomes that are told apart by their codes, too.
const MAX_OUTCOMES: usize = 256;

/// An answer that broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// How the device ended that heard it.
    pub outcome: Outcome,
    /// One line: what is wrong with it, and the offending part.
    pub text: String,
}

/// How many devices ended in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeCount {
    /// The outcome, for programs.
    pub outcome: Outcome,
    /// The outcome, for people.
    pub text: String,
    /// Devices.
    pub count: u64,
    /// Where the peer broke the protocol: an answer that did so.
    pub example: Option<String>,
}

impl OutcomeCount {
    /// So many devices that ended so, without an example.
    pub fn new(outcome: Outcome, count: u64) -> Self {
        Self {
            outcome,
            text: outcome.to_string(),
            count,
            example: None,
        }
    }
}

/// Counts devices by their outcome.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    counts: BTreeMap<Outcome, u64>,
}

impl Outcomes {
    /// Counts one device.
    pub(crate) fn add(&mut self, outcome: Outcome) {
        let is_full = self.counts.len() >= MAX_OUTCOMES && !self.counts.contains_key(&outcome);
        let counted = if is_full {
            outcome.without_codes()
        } else {
            outcome
        };
        *self.counts.entry(counted).or_default() += 1;
    }

    /// Most frequent first, equals in the order of [`Outcome`]; each with its example, if there is one.
    pub(crate) fn told(&self, examples: &[Example]) -> Vec<OutcomeCount> {
        let mut told: Vec<_> = self
            .counts
            .iter()
            .map(|(&outcome, &count)| OutcomeCount {
                example: examples
                    .iter()
                    .find(|example| example.outcome == outcome)
                    .map(|example| example.text.clone()),
                ..OutcomeCount::new(outcome, count)
            })
            .collect();
        told.sort_by_key(|told| Reverse(told.count));
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_error_codes_do_not_grow_memory() {
        let mut outcomes = Outcomes::default();
        for code in 1..=10_000 {
            outcomes.add(Outcome::AssignmentFailed { code });
        }
        assert_eq!(outcomes.counts.len(), MAX_OUTCOMES + 1);
        assert_eq!(outcomes.counts.values().sum::<u64>(), 10_000);
    }
}
