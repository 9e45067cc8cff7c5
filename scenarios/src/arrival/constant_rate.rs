//! `kind = "constant-rate"`.

use super::curve::Curve;
use crate::keys::{Fields, Reader, keys};
use crate::parse::kinds::{kinds, reference};
use crate::parse::quantity;
use crate::table::Value;

keys! {
    struct ConstantRateKeys: "A rate that stays." {
        "rate" rate: required RateAboveZero,
            "Devices and the time they come in.";
    }
}

kinds! {
    RateAboveZero -> f64: rate, reference("rate");
}

/// Evenly spaced, so many a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConstantRate {
    /// Devices a second, above zero.
    pub rate: f64,
}

impl ConstantRate {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let rate = ConstantRateKeys::take(reader).rate.read?;
        Some(Self { rate })
    }
}

fn rate(value: &Value<'_>) -> Option<f64> {
    let rate = quantity::rate(value)?;
    if rate == 0.0 {
        return value.wrong("must be above zero, or nobody ever comes", None);
    }
    Some(rate)
}

impl Curve for ConstantRate {
    fn start(&self, place: f64) -> f64 {
        place / self.rate
    }

    fn peak(&self, seconds: f64) -> Option<f64> {
        Some(self.rate * seconds)
    }

    fn scale(&mut self, share: f64) {
        self.rate *= share;
    }

    fn quicken(&mut self, times: f64) {
        self.rate *= times;
    }
}
