//! `kind = "closed"`.

use std::time::Duration;

use crate::table::Table;

/// Most devices at a time: as many as a cohort may have.
const MAX_CONCURRENCY: u64 = u32::MAX as u64;

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
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let concurrency = table
            .require("concurrency")
            .and_then(|value| value.integer(1..=MAX_CONCURRENCY));
        Some(Self {
            concurrency: concurrency? as f64,
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
