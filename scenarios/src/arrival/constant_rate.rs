//! `kind = "constant-rate"`.

use super::curve::Curve;
use crate::parse::quantity;
use crate::table::Table;

/// Evenly spaced, so many a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConstantRate {
    /// Devices a second, above zero.
    pub rate: f64,
}

impl ConstantRate {
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let value = table.require("rate")?;
        let rate = quantity::rate(&value)?;
        if rate == 0.0 {
            return value.wrong("must be above zero, or nobody ever comes", None);
        }
        Some(Self { rate })
    }
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
