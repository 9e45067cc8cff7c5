//! The registrations of an instance: at most as many as it may have, and which of them end next.

use std::collections::HashMap;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::operation::Registration;
use super::refusal::Refusal;
use super::under_way::UnderWay;
use crate::shards::Shards;

/// Devices that an instance may have registered (DPS documentation, "Quotas and limits").
pub(super) const MAX_REGISTRATIONS: usize = 1_000_000;

/// By registration id, as its canonical form is.
#[derive(Debug)]
pub(super) struct Registrations {
    by_id: Shards<Box<str>, Registration>,
    count: AtomicUsize,
    /// Those whose operation ends by itself.
    pub(super) under_way: UnderWay,
}

impl Registrations {
    /// Nobody's.
    pub(super) fn new() -> Self {
        Self {
            by_id: Shards::new(),
            count: AtomicUsize::new(0),
            under_way: UnderWay::default(),
        }
    }

    /// Locks those among which that of `id` is, if there is one. Nobody may hold two.
    pub(super) fn of(&self, id: &str) -> MutexGuard<'_, HashMap<Box<str>, Registration>> {
        self.by_id.of(id)
    }

    /// A page of them; see [`Shards::page`].
    pub(super) fn page<Shown>(
        &self,
        from: Option<&str>,
        limit: usize,
        show: impl Fn(&str, &Registration) -> Option<Shown>,
    ) -> (Vec<Shown>, Option<String>) {
        self.by_id.page(from, limit, show)
    }

    /// Counts a device that has not registered before.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub(super) fn count_one_more(&self) -> Result<(), Refusal> {
        let counted = self.count.fetch_add(1, Ordering::Relaxed);
        if counted < MAX_REGISTRATIONS {
            return Ok(());
        }
        self.count_one_less();
        Err(Refusal::QuotaExceeded(format!(
            "{MAX_REGISTRATIONS} devices are registered, which is the quota: delete registrations"
        )))
    }

    /// Counts one that is gone.
    pub(super) fn count_one_less(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// As if there were so many.
    #[cfg(test)]
    pub(super) fn set_count(&self, count: usize) {
        self.count.store(count, Ordering::Relaxed);
    }

    /// Takes one in that was kept.
    pub(super) fn restore(&self, id: &str, registration: Registration) {
        self.by_id.of(id).insert(id.into(), registration);
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}
