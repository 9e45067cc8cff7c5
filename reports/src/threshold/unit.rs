//! What a subject is measured in, and its limits.

use jiff::SignedDuration;

use crate::exact::Decimal;

/// What a subject is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Microseconds,
    Devices,
    Share,
    PerSecond,
    Attempts,
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
