//! Events that change what must become of devices, and which of them a device's time overlaps.

use fleetstorm_reports::Record;
use fleetstorm_scenarios::event::{Event, IntentChange, Selector, When};
use fleetstorm_scenarios::{Chance, Cohort, Scenario};

use crate::run::director::EventTimes;

/// What held while a device was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// Whether its enrollment was enabled.
    pub enabled: Enabled,
    /// Whether its key or certificate may have been taken out of force.
    pub proof_may_be_old: bool,
    /// Whether its certificate had expired.
    pub expired: Expired,
    /// Whose it was.
    pub owner: Owner,
}

/// Whose a device was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owner {
    /// As the scenario has it.
    #[default]
    AsWritten,
    /// Of the instance of this index, to whom it was sold.
    Buyer(u8),
    /// It was sold meanwhile.
    Changing,
}

/// Whether a certificate had expired in the middle of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expired {
    /// It had not.
    #[default]
    No,
    /// That happened meanwhile, or it may have got a new one before.
    Perhaps,
    /// It had.
    Surely,
}

/// Whether an enrollment was enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Enabled {
    /// As the scenario has it.
    #[default]
    AsWritten,
    /// By an event.
    Certainly(bool),
    /// It changed meanwhile.
    Changing,
}

/// Certificates tell seconds, no less.
const SECOND_US: u64 = 1_000_000;

/// The events that matter.
#[derive(Debug)]
pub struct Changes {
    /// By the event's index.
    changes: Vec<Option<IntentChange>>,
    /// Certificates that expire: by which event, whose, and when.
    expiries: Vec<(u16, Selector, u64)>,
    /// By cohort, which devices an event is for.
    chances: Vec<Chance>,
}

impl Changes {
    /// Of a scenario.
    pub fn of(scenario: &Scenario) -> Self {
        let change = |event: &Event| event.action.effects().intended;
        let expiries = (0_u16..).zip(&scenario.events);
        let expiries = expiries.filter_map(|(index, event)| match (change(event)?, event.when) {
            (IntentChange::Expiry(whose), When::At(at)) => {
                let at_us = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
                Some((index, whose, at_us))
            }
            _ => None,
        });
        let chance = |cohort: &Cohort| Chance::new(scenario.seed, "event", &cohort.name);
        Self {
            changes: scenario.events.iter().map(change).collect(),
            expiries: expiries.collect(),
            chances: scenario.cohorts.iter().map(chance).collect(),
        }
    }

    /// What held while a device was under way.
    pub fn during(&self, record: &Record, events: &[EventTimes]) -> Times {
        let mut times = Times::default();
        let mut rolled = 0;
        // In the order in which they happened.
        for happened in events {
            let change = self.changes.get(usize::from(happened.event));
            let Some(change) = change.copied().flatten() else {
                continue;
            };
            if happened.began_us > record.end_us {
                continue;
            }
            let is_over = happened
                .done_us
                .is_some_and(|done_us| done_us < record.start_us);
            match change {
                IntentChange::Enrollment { cohort, enabled } if cohort == record.cohort => {
                    times.enabled = if is_over {
                        Enabled::Certainly(enabled)
                    } else {
                        Enabled::Changing
                    };
                }
                // Who starts after it has the newest proof; who comes back may have missed the news.
                IntentChange::Retire { cohort } if cohort == record.cohort => {
                    times.proof_may_be_old |= record.reprovision || !is_over;
                }
                IntentChange::Roll { cohort } if cohort == record.cohort => {
                    rolled += 1;
                    times.proof_may_be_old |= rolled > 1 && (record.reprovision || !is_over);
                }
                IntentChange::Sale { sold, to } if self.is_meant(record, sold, happened.event) => {
                    times.owner = if is_over {
                        Owner::Buyer(to)
                    } else {
                        Owner::Changing
                    };
                }
                // It needs nobody to make it happen.
                IntentChange::Expiry(_) => {}
                IntentChange::Enrollment { .. }
                | IntentChange::Roll { .. }
                | IntentChange::Retire { .. }
                | IntentChange::Sale { .. } => {}
            }
        }
        if times.owner != Owner::AsWritten {
            // What is done to the seller's enrollment does not touch the buyer's.
            times.enabled = Enabled::AsWritten;
        }
        times.expired = self.expired(record, rolled > 0);
        times
    }

    /// Whether a device is one of those that an event is for.
    fn is_meant(&self, record: &Record, selector: Selector, event: u16) -> bool {
        let this = (record.cohort, record.device);
        let chance = self.chances.get(usize::from(record.cohort));
        chance.is_some_and(|chance| selector.selects(this, event, chance))
    }

    /// Whether a device's certificate had expired. `is_rolled` says that it may have got a new one.
    fn expired(&self, record: &Record, is_rolled: bool) -> Expired {
        let expiries = self.expiries.iter();
        let expiries = expiries
            .filter(|(event, whose, _)| self.is_meant(record, *whose, *event))
            .map(|(_, _, at_us)| *at_us);
        match expiries.min() {
            Some(at_us) if record.end_us + SECOND_US >= at_us => {
                if is_rolled || record.start_us < at_us + SECOND_US {
                    Expired::Perhaps
                } else {
                    Expired::Surely
                }
            }
            _ => Expired::No,
        }
    }
}
