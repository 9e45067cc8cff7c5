//! `kind = "bursts"`.

use std::time::Duration;

use super::curve::Curve;
use crate::keys::{Fields, Reader, keys};
use crate::limits::SHORTEST_INTERVAL;
use crate::parse::kinds::{AboveZero, Count};

keys! {
    struct BurstsKeys: "Bursts." {
        "size" size: required Count,
            "Devices in a burst.";
        "every" every: required AboveZero,
            "From one burst to the next.";
    }
}

/// So many together, again and again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bursts {
    /// Devices in a burst, above zero; a share of a burst may be no whole number.
    pub size: f64,
    /// From one burst to the next, above zero.
    pub every: Duration,
}

impl Bursts {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let keys = BurstsKeys::take(reader);
        Some(Self {
            size: keys.size.read?.into(),
            every: keys.every.read?,
        })
    }
}

impl Curve for Bursts {
    fn start(&self, place: f64) -> f64 {
        (place / self.size).floor() * self.every.as_secs_f64()
    }

    /// Bursts take all of their time, and a share of one its share of it.
    fn until(&self, place: f64) -> f64 {
        place / self.size * self.every.as_secs_f64()
    }

    /// A window as long as the pause between bursts can hold two.
    fn peak(&self, seconds: f64) -> Option<f64> {
        Some(self.size * ((seconds / self.every.as_secs_f64()).floor() + 1.0))
    }

    fn scale(&mut self, share: f64) {
        self.size *= share;
    }

    fn quicken(&mut self, times: f64) {
        self.every = self.every.div_f64(times).max(SHORTEST_INTERVAL);
    }
}
