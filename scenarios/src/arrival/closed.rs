//! `kind = "closed"`.

use std::time::Duration;

use crate::keys::{Fields, Reader, keys};
use crate::parse::kinds::Count;

keys! {
    struct ClosedKeys: "Devices that wait for each other." {
        "concurrency" concurrency: required Count,
            "Devices under way at a time.";
    }
}

/// As many at a time, the next whenever one has ended: a closed model, which a service that slows down
/// slows down, too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Closed {
    /// How many, above zero; a share of it may be no whole number.
    concurrency: f64,
    /// When the first come.
    pub begins: Duration,
}

impl Closed {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let keys = ClosedKeys::take(reader);
        Some(Self {
            concurrency: keys.concurrency.read?.into(),
            begins: Duration::ZERO,
        })
    }

    /// How many devices are under way at a time.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from a whole number of 32 bits, and its shares"
    )]
    pub fn concurrency(&self) -> u32 {
        self.concurrency.round().max(1.0) as u32
    }

    pub(super) fn scale(&mut self, share: f64) {
        self.concurrency *= share;
    }
}
