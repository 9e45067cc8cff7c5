//! Conditions: a comparison and a limit in the unit of what it is about.

use super::value::Value;
use crate::exact::{Decimal, Ratio};

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    pub comparison: Comparison,
    /// In microseconds, devices, devices a second, attempts, or as a share of one.
    pub limit: Decimal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

impl Condition {
    /// Whether what was measured is as it must be: to the last device, and the last microsecond.
    pub(super) fn holds(&self, observed: Value) -> bool {
        let limit = Value::Of(self.limit.into());
        match self.comparison {
            Comparison::Less => observed < limit,
            Comparison::LessOrEqual => observed <= limit,
            Comparison::Greater => observed > limit,
            Comparison::GreaterOrEqual => observed >= limit,
            Comparison::Equal => observed == limit,
        }
    }

    /// Whether `one` is farther from holding than `other`, or holds less easily.
    pub(super) fn is_worse(&self, one: Value, other: Value) -> bool {
        match self.comparison {
            Comparison::Less | Comparison::LessOrEqual => one > other,
            Comparison::Greater | Comparison::GreaterOrEqual => one < other,
            Comparison::Equal => {
                let limit = Ratio::from(self.limit);
                one.distance(limit) > other.distance(limit)
            }
        }
    }
}

impl Comparison {
    /// The comparison that a condition starts with, and what follows.
    pub(super) fn split(condition: &str) -> Option<(Self, &str)> {
        let known = [
            ("<=", Self::LessOrEqual),
            (">=", Self::GreaterOrEqual),
            ("==", Self::Equal),
            ("<", Self::Less),
            (">", Self::Greater),
        ];
        known.into_iter().find_map(|(sign, comparison)| {
            let limit = condition.strip_prefix(sign)?.trim();
            (!limit.is_empty()).then_some((comparison, limit))
        })
    }

    /// Whether what grows can't cross it any more, once it holds.
    pub(super) fn asks_for_more(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual)
    }
}
