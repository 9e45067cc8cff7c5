//! Conditions: a comparison and a limit in the unit of what it is about.

use jiff::SignedDuration;

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

/// What a subject is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Microseconds,
    Devices,
    Share,
    PerSecond,
    Attempts,
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

impl Unit {
    /// How a limit is written.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Microseconds => "a duration like \"250ms\", \"5s\" or \"1m30s\"",
            Self::Devices => "a whole number",
            Self::Share => "a percentage like \"99.9%\" or a share like \"0.999\"",
            Self::PerSecond => "a rate like \"400/s\"",
            Self::Attempts => "a number like \"1.5\"",
        }
    }

    /// A limit; none where it is none.
    pub(super) fn read(self, limit: &str) -> Option<Decimal> {
        match self {
            Self::Microseconds => {
                let duration: SignedDuration = limit.parse().ok()?;
                let nanos = u64::try_from(duration.as_nanos()).ok()?;
                Some(Decimal::new(nanos, 3))
            }
            Self::Devices => Decimal::parse(limit).filter(|devices| devices.places() == 0),
            Self::Share => Decimal::parse_share(limit),
            Self::PerSecond => Decimal::parse(limit.strip_suffix("/s")?.trim()),
            Self::Attempts => Decimal::parse(limit),
        }
    }
}
