//! `kind = "all-at-once"`.

use super::curve::Curve;

/// Every device at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllAtOnce;

impl Curve for AllAtOnce {
    fn start(&self, _: f64) -> f64 {
        0.0
    }

    fn peak(&self, _: f64) -> Option<f64> {
        None
    }

    fn scale(&mut self, _: f64) {}

    fn quicken(&mut self, _: f64) {}
}
