//! Exact numbers: limits as people write them, and what was counted, compared without rounding.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Most digits after the point that are read.
const MAX_PLACES: u32 = 12;

/// A decimal number of zero or more, as it is written: `digits / 10^places`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Decimal {
    digits: u64,
    places: u32,
}

/// The quotient of two counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratio {
    parts: u128,
    of: u128,
}

/// Where a number goes that has more digits than are shown: never towards what would flatter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Of what is good.
    Down,
    /// Of what is bad.
    Up,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self::new(0, 0);
    /// All.
    pub const ONE: Self = Self::new(1, 0);

    /// `digits / 10^places`.
    pub(crate) const fn new(digits: u64, places: u32) -> Self {
        let (mut digits, mut places) = (digits, places);
        while places > 0 && digits.is_multiple_of(10) {
            digits /= 10;
            places -= 1;
        }
        Self { digits, places }
    }

    /// Reads digits with or without a point, like `0.999`; nothing else, and no more than 18 digits, 12 of them
    /// after the point.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let part = part.trim_end_matches('0');
        let all = [whole, part].concat();
        let is_number = !all.is_empty() || text.contains("0");
        if !is_number || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let places = u32::try_from(part.len()).ok()?;
        let digits = all.trim_start_matches('0');
        if digits.len() > 18 || places > MAX_PLACES {
            return None;
        }
        let digits = if digits.is_empty() {
            0
        } else {
            digits.parse().ok()?
        };
        Some(Self::new(digits, places))
    }

    /// Reads a share of one: a percentage like `99.9%`, or the share itself.
    pub fn parse_share(text: &str) -> Option<Self> {
        let share = match text.strip_suffix('%') {
            Some(percent) => Self::parse(percent.trim())?.shifted(2),
            None => Self::parse(text.trim())?,
        };
        (share <= Self::ONE).then_some(share)
    }

    /// One part of ten to this power.
    pub(crate) const fn shifted(self, places: u32) -> Self {
        Self::new(self.digits, self.places + places)
    }

    /// What stands before the point.
    pub(crate) fn whole(self) -> u64 {
        Ratio::from(self).whole_part()
    }

    /// As a percentage.
    pub fn percent(self) -> String {
        format!(
            "{} %",
            Ratio::from(self)
                .times(100_u8)
                .round(MAX_PLACES, Rounding::Down)
        )
    }

    /// Whether a part of a whole is this share of it, or more.
    pub fn is_reached_by(self, part: u64, whole: u64) -> bool {
        Ratio::new(part, whole) >= Ratio::from(self)
    }

    /// Whether a part of a whole is this share of it, or less.
    pub fn holds(self, part: u64, whole: u64) -> bool {
        Ratio::new(part, whole) <= Ratio::from(self)
    }

    /// Digits after the point.
    pub const fn places(self) -> u32 {
        self.places
    }

    /// What is left of one.
    pub(crate) fn rest(self) -> Ratio {
        let of = ten_to(self.places);
        Ratio::new(of.saturating_sub(self.digits.into()), of)
    }

    /// The nearest float.
    pub fn as_f64(self) -> f64 {
        Ratio::from(self).as_f64()
    }

    /// With so many digits after the point.
    pub(crate) fn to_fixed(self, places: u32) -> String {
        let text = self.to_string();
        let has = text.split_once('.').map_or(0, |(_, part)| part.len());
        let missing = (places as usize).saturating_sub(has);
        let point = if has == 0 && missing > 0 { "." } else { "" };
        format!("{text}{point}{}", "0".repeat(missing))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Ratio::from(*self).partial_cmp(&Ratio::from(*other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.places == 0 {
            return write!(f, "{}", self.digits);
        }
        let width = self.places as usize + 1;
        let digits = format!("{:0width$}", self.digits);
        let (whole, part) = digits.split_at(digits.len() - self.places as usize);
        write!(f, "{whole}.{part}")
    }
}

impl TryFrom<String> for Decimal {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("\"{text}\" is no decimal number"))
    }
}

impl From<Decimal> for String {
    fn from(decimal: Decimal) -> Self {
        decimal.to_string()
    }
}

impl Ratio {
    /// `parts / of`; `of` is above zero.
    pub(crate) fn new(parts: impl Into<u128>, of: impl Into<u128>) -> Self {
        Self {
            parts: parts.into(),
            of: of.into().max(1),
        }
    }

    /// So many.
    pub(crate) fn whole(count: impl Into<u128>) -> Self {
        Self::new(count, 1_u8)
    }

    /// The shortest decimal number that a float of zero or more stands for.
    pub(crate) fn shortest(float: f64) -> Self {
        let text = float.to_string();
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        let parts = [whole, part].concat().parse().unwrap_or(u128::MAX);
        Self::new(parts, ten_to(u32::try_from(part.len()).unwrap_or(0)))
    }

    /// So many times as much.
    pub(crate) fn times(self, times: impl Into<u128>) -> Self {
        Self::new(self.parts.saturating_mul(times.into()), self.of)
    }

    /// A part of it.
    pub(crate) fn by(self, parts: impl Into<u128>) -> Self {
        Self::new(self.parts, self.of.saturating_mul(parts.into()))
    }

    /// How far it is from another.
    pub(crate) fn distance(self, other: Self) -> Self {
        let own = self.parts.saturating_mul(other.of);
        let distance = own.abs_diff(other.parts.saturating_mul(self.of));
        Self::new(distance, self.of.saturating_mul(other.of))
    }

    /// Without its fraction.
    pub(crate) fn whole_part(self) -> u64 {
        u64::try_from(self.parts / self.of).unwrap_or(u64::MAX)
    }

    /// How many times another it is.
    pub(crate) fn over(self, other: Self) -> Self {
        let parts = self.parts.saturating_mul(other.of);
        Self::new(parts, self.of.saturating_mul(other.parts))
    }

    /// The nearest float, as long as both counts have no more than 15 digits.
    #[expect(clippy::cast_precision_loss, reason = "the nearest one")]
    pub(crate) fn as_f64(self) -> f64 {
        self.parts as f64 / self.of as f64
    }

    /// The same of what is left of one; below zero where it is more than one.
    #[expect(clippy::cast_precision_loss, reason = "the nearest one")]
    pub(crate) fn rest(self) -> f64 {
        let (rest, sign) = match self.of.checked_sub(self.parts) {
            Some(rest) => (rest, 1.0),
            None => (self.parts - self.of, -1.0),
        };
        sign * rest as f64 / self.of as f64
    }

    /// With so many digits after the point.
    pub(crate) fn round(self, places: u32, rounding: Rounding) -> Decimal {
        let scaled = self.parts.saturating_mul(ten_to(places));
        let digits = match rounding {
            Rounding::Down => scaled / self.of,
            Rounding::Up => scaled.div_ceil(self.of),
        };
        Decimal::new(u64::try_from(digits).unwrap_or(u64::MAX), places)
    }

    /// With as many digits after the point, from `least` on, as it takes to lie where it lies beside `limit`.
    pub(crate) fn beside(self, limit: Decimal, least: u32, rounding: Rounding) -> Decimal {
        let limit = Self::from(limit);
        let truth = self.cmp(&limit);
        let mut rounded = (least..=least + MAX_PLACES).map(|places| self.round(places, rounding));
        let honest = rounded.find(|rounded| Self::from(*rounded).cmp(&limit) == truth);
        honest.unwrap_or_else(|| self.round(least + MAX_PLACES, rounding))
    }
}

impl From<Decimal> for Ratio {
    fn from(decimal: Decimal) -> Self {
        Self::new(decimal.digits, ten_to(decimal.places))
    }
}

impl Ord for Ratio {
    fn cmp(&self, other: &Self) -> Ordering {
        let own = self.parts.saturating_mul(other.of);
        own.cmp(&other.parts.saturating_mul(self.of))
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ratio {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ratio {}

fn ten_to(places: u32) -> u128 {
    10_u128.saturating_pow(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect(text)
    }

    #[test]
    fn decimals_read_back_as_they_are_written() {
        for (written, read) in [
            ("0", "0"),
            ("0.0", "0"),
            ("007", "7"),
            ("99.90", "99.9"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0.000000000001", "0.000000000001"),
            ("999999999999999999", "999999999999999999"),
        ] {
            assert_eq!(decimal(written).to_string(), read);
        }
        for wrong in [
            "",
            ".",
            "-1",
            "+1",
            "1e3",
            "inf",
            "1.2.3",
            "1,5",
            "1 000",
            "0.0000000000001",
            "1000000000000000000",
        ] {
            assert_eq!(Decimal::parse(wrong), None, "{wrong}");
        }
        assert_eq!(decimal("4.5").to_fixed(2), "4.50");
        assert_eq!(decimal("4").to_fixed(2), "4.00");
        assert_eq!(decimal("4.567").to_fixed(2), "4.567");
    }

    #[test]
    fn shares_are_what_they_say_and_no_more_than_all() {
        assert_eq!(Decimal::parse_share("99.9%"), Some(decimal("0.999")));
        assert_eq!(Decimal::parse_share("0.999"), Some(decimal("0.999")));
        assert_eq!(Decimal::parse_share("100 %"), Some(decimal("1")));
        assert_eq!(Decimal::parse_share("100.1%"), None);
        assert_eq!(Decimal::parse_share("1.1"), None);
        assert_eq!(decimal("0.99995").percent(), "99.995 %");
        assert_eq!(decimal("1").percent(), "100 %");
    }

    #[test]
    fn what_is_rounded_still_lies_where_it_lies() {
        let beside = |parts: u64, of: u64, limit: &str, rounding| {
            let rounded = Ratio::new(parts, of).beside(decimal(limit), 1, rounding);
            rounded.to_string()
        };
        assert_eq!(beside(2, 3, "0.5", Rounding::Down), "0.6");
        assert_eq!(beside(2, 3, "0.66", Rounding::Down), "0.666");
        assert_eq!(beside(2, 3, "0.66666", Rounding::Down), "0.666666");
        assert_eq!(beside(2, 3, "0.66667", Rounding::Up), "0.666667");
        assert_eq!(beside(1, 2, "0.5", Rounding::Up), "0.5");
        assert_eq!(beside(1, 1_000_000, "0", Rounding::Up), "0.1");
    }

    proptest! {
        /// Whatever is counted and written: 999 of 1,000 is 99.9 %, and one more or less is not.
        #[test]
        fn counts_meet_the_percentage_that_they_make(of in 1_u64..1_000_000_000, parts in 0_u64..1_000_000_000) {
            let parts = parts % (of + 1);
            let shown = Ratio::new(parts, of);
            let (down, up) = (shown.round(12, Rounding::Down), shown.round(12, Rounding::Up));
            prop_assert!(Ratio::from(down) <= shown && shown <= Ratio::from(up));
            if Ratio::from(down) == shown {
                prop_assert_eq!(down, up);
                let more = Ratio::new(parts + 1, of);
                prop_assert!(more > Ratio::from(up));
            }
        }
    }
}
