//! Which devices an event is for.

use crate::chance::Chance;

/// Which of the devices that stay with their hubs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selector {
    /// Index of their cohort; any cohort when `None`.
    pub cohort: Option<u16>,
    /// How many of them, 0 to 1; the seed chooses which.
    pub share: f64,
}

impl Selector {
    /// Whether devices of a cohort may be among them.
    pub fn may_select(&self, cohort: u16) -> bool {
        self.cohort.is_none_or(|meant| meant == cohort)
    }

    /// Whether a device is one of them: by the number of the event, and its cohort's chance for events.
    pub fn selects(&self, (cohort, device): (u16, u32), event: u16, chance: &Chance) -> bool {
        self.may_select(cohort) && chance.uniform(device, event.into()) < self.share
    }
}
