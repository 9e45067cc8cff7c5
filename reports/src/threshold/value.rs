//! What was measured, exactly, and how it is shown beside a limit.

use std::cmp::Ordering;

use super::unit::Unit;
use crate::exact::{Decimal, Ratio, Rounding};
use crate::units;

/// A measured value, in the unit of its subject.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    /// A quotient of counts.
    Of(Ratio),
    /// A latency longer than any: so many of so many devices did not get so far.
    Unbounded { not_reached: u64, of: u64 },
}

impl Value {
    /// How far it is from a limit.
    pub(super) fn distance(self, limit: Ratio) -> Self {
        match self {
            Self::Of(ratio) => Self::Of(ratio.distance(limit)),
            unbounded @ Self::Unbounded { .. } => unbounded,
        }
    }

    /// For people, without a word on what it is of: rounded against what it says, and with as many digits as it takes to see on which side
    /// of `limit` it lies.
    pub(super) fn shown(self, unit: Unit, rounding: Rounding, limit: Decimal) -> String {
        let ratio = match self {
            Self::Of(ratio) => ratio,
            Self::Unbounded { not_reached, of } => {
                let (not_reached, of) = (units::count(not_reached), units::count(of));
                return format!("{not_reached} of {of}");
            }
        };
        match unit {
            Unit::Microseconds => duration(ratio, limit),
            Unit::Devices => units::count(ratio.whole_part()),
            Unit::Share => {
                let limit = Ratio::from(limit).times(100_u8).round(12, Rounding::Down);
                let percentage = ratio.times(100_u8).beside(limit, 4, rounding);
                format!("{percentage} %")
            }
            Unit::PerSecond => {
                let places = match ratio.as_f64() {
                    0.0 => 0,
                    fine if fine < 10.0 => 2,
                    middling if middling < 100.0 => 1,
                    _ => 0,
                };
                let rate = ratio.beside(limit, places, rounding).to_fixed(places);
                format!("{}/s", grouped(&rate))
            }
            Unit::Attempts => ratio.beside(limit, 2, rounding).to_fixed(2),
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Of(own), Self::Of(other)) => own.cmp(other),
            (Self::Of(_), Self::Unbounded { .. }) => Ordering::Less,
            (Self::Unbounded { .. }, Self::Of(_)) => Ordering::Greater,
            (Self::Unbounded { .. }, Self::Unbounded { .. }) => Ordering::Equal,
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

/// Three digits, or more where those of the limit are the same.
fn duration(us: Ratio, limit: Decimal) -> String {
    let up = |us: Ratio| us.round(0, Rounding::Up).whole();
    let short = units::duration(up(us));
    if short != units::duration(up(limit.into())) {
        return short;
    }
    let Some((digits, unit)) = short.split_once(' ') else {
        return short;
    };
    // Minutes and hours become seconds.
    let (power, unit) = match unit {
        "µs" => (0, "µs"),
        "ms" => (3, "ms"),
        _ => (6, "s"),
    };
    let places = digits.split_once('.').map_or(0, |(_, part)| part.len());
    let places = u32::try_from(places).unwrap_or(0);
    let value = us.by(10_u128.pow(power));
    let value = value.beside(limit.shifted(power), places, Rounding::Up);
    format!("{} {unit}", value.to_fixed(places))
}

/// The thousands of the whole part told apart.
fn grouped(number: &str) -> String {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole
        .parse()
        .map_or_else(|_| whole.to_owned(), units::count);
    match part {
        "" => whole,
        part => format!("{whole}.{part}"),
    }
}
