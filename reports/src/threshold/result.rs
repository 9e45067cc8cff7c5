//! What a threshold came to, as it is told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::readings::GeneratorShare;

/// One threshold of the scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdResult {
    /// As written, like `registration.response.p99 < 5s`.
    pub expression: String,
    /// What was measured, in the threshold's own unit, like `1.2s`; `no samples` when there were none. Of
    /// windows it is the worst.
    pub observed: String,
    /// The same without what the generator itself added; absent of thresholds that have no such reading.
    pub without_generator: Option<WithoutGenerator>,
    /// What both readings come to.
    pub outcome: ThresholdOutcome,
    /// The worst window, of a threshold over windows.
    pub over: Option<TimeSpan>,
    /// When it has stopped the run, microseconds since the start.
    pub stopped_the_run_us: Option<u64>,
}

/// What a threshold came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdOutcome {
    /// It held, with and without what the generator itself added.
    Held,
    /// It did not, with and without; nor does one without samples.
    Crossed,
    /// There were fewer samples than it asks for: it proves nothing.
    NotEnoughSamples,
    /// What the generator itself added decides: it proves nothing about the service.
    DependsOnGenerator,
}

/// A threshold without what the generator itself added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WithoutGenerator {
    /// What is left of what was measured, like [`ThresholdResult::observed`].
    pub observed: String,
    /// What the generator had to do with it.
    #[serde(flatten)]
    pub share: GeneratorShare,
}

impl ThresholdResult {
    /// Whether it failed the run.
    pub fn is_crossed(&self) -> bool {
        self.outcome == ThresholdOutcome::Crossed
    }

    /// Why it makes the run invalid, if it does.
    pub fn why_unproven(&self) -> Option<String> {
        let (expression, observed) = (&self.expression, &self.observed);
        match (self.outcome, &self.without_generator) {
            (ThresholdOutcome::Held | ThresholdOutcome::Crossed, _) => None,
            (ThresholdOutcome::DependsOnGenerator, Some(without)) => Some(format!(
                "{expression} depends on the generator: {observed} as measured, {} without what it added itself ({})",
                without.observed,
                without.share.in_words()
            )),
            _ => Some(format!("not enough samples to judge {expression}")),
        }
    }
}

/// A part of the run, microseconds since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimeSpan {
    /// Its beginning.
    pub from_us: u64,
    /// Its end.
    pub to_us: u64,
}
