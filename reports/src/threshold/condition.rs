//! Comparisons, and limits in their units.

use jiff::SignedDuration;

use crate::units;

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

    /// Whether what was measured is as it must be.
    pub(super) fn holds(self, observed: f64, limit: f64) -> bool {
        match self {
            Self::Less => observed < limit,
            Self::LessOrEqual => observed <= limit,
            Self::Greater => observed > limit,
            Self::GreaterOrEqual => observed >= limit,
            // Counts and shares of counts: far above rounding, far below one device in a billion.
            Self::Equal => (observed - limit).abs() <= 1e-9 * limit.abs().max(1.0),
        }
    }

    /// Whether `one` is farther from holding than `other`, or holds less easily.
    pub(super) fn is_worse(self, one: f64, other: f64, limit: f64) -> bool {
        match self {
            Self::Less | Self::LessOrEqual => one > other,
            Self::Greater | Self::GreaterOrEqual => one < other,
            Self::Equal => (one - limit).abs() > (other - limit).abs(),
        }
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
    pub(super) fn read(self, limit: &str) -> Option<f64> {
        let number = |text: &str| {
            text.trim()
                .parse::<f64>()
                .ok()
                .filter(|value| value.is_finite() && *value >= 0.0)
        };
        match self {
            Self::Microseconds => {
                let duration: SignedDuration = limit.parse().ok()?;
                (!duration.is_negative()).then(|| duration.as_secs_f64() * 1e6)
            }
            Self::Devices => number(limit).filter(|devices| devices.fract() == 0.0),
            Self::Share => {
                let share = match limit.strip_suffix('%') {
                    Some(percent) => number(percent)? / 100.0,
                    None => number(limit)?,
                };
                (share <= 1.0).then_some(share)
            }
            Self::PerSecond => number(limit.strip_suffix("/s")?),
            Self::Attempts => number(limit),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "measured values are not negative"
    )]
    /// For people.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Self::Microseconds => units::duration(value as u64),
            Self::Devices => units::count(value as u64),
            // Never rounded up to a round 100 %.
            Self::Share => format!("{} %", (value * 1e5).floor() / 1e3),
            Self::PerSecond => units::rate(value),
            Self::Attempts => format!("{value:.2}"),
        }
    }
}
