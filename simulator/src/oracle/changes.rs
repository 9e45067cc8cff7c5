//! Events that change what must become of devices, and which of them a device's time overlaps.

use fleetstorm_reports::Record;
use fleetstorm_scenarios::event::{Action, When, Whom};
use fleetstorm_scenarios::{Chance, Cohort, Scenario};

use crate::director::Course;

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
    changes: Vec<Option<Change>>,
    /// By cohort, which devices an event is for.
    chances: Vec<Chance>,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Enrollment {
        cohort: u16,
        enabled: bool,
    },
    /// The cohort's proof gets a successor: the one before the last is out of force then.
    Roll {
        cohort: u16,
    },
    /// The proof before the newest is out of force.
    Retire {
        cohort: u16,
    },
    /// Certificates of a share of the cohort's devices hold until then.
    Expire {
        cohort: u16,
        share: f64,
        at_us: u64,
    },
    /// A share of the cohort's devices belongs to the instance of another tenant.
    Sale {
        cohort: u16,
        share: f64,
        to: u8,
    },
}

impl Changes {
    /// Of a scenario.
    pub fn of(scenario: &Scenario) -> Self {
        let changes = scenario.events.iter().map(|event| match &event.action {
            Action::Enrollment { cohort, enabled } => Some(Change::Enrollment {
                cohort: *cohort,
                enabled: *enabled,
            }),
            Action::Roll { cohort, .. } => Some(Change::Roll { cohort: *cohort }),
            Action::Retire { cohort, .. } => Some(Change::Retire { cohort: *cohort }),
            Action::Expire { cohort, share } => match event.when {
                When::At(at) => Some(Change::Expire {
                    cohort: *cohort,
                    share: *share,
                    at_us: u64::try_from(at.as_micros()).unwrap_or(u64::MAX),
                }),
                When::Provisioned(_) => None,
            },
            Action::ChangeOwner { whom, to, .. } => whom.cohort.map(|cohort| Change::Sale {
                cohort,
                share: whom.share,
                to: *to,
            }),
            // A hub that is down, a quota, a lost connection let devices fall short, no more.
            Action::HubDown(_)
            | Action::HubUp(_)
            | Action::RegionDown(_)
            | Action::RegionUp(_)
            | Action::Throttle { .. }
            | Action::RestartServer { .. }
            | Action::Latency { .. }
            | Action::PowerCut { .. }
            | Action::Reprovision(_)
            // Its registration id, and so its enrollment, outlives it.
            | Action::FactoryReset(_)
            // Where a device is now, its record says.
            | Action::Move { .. }
            // They explain what they can cause, no more.
            | Action::Faults(_) => None,
        });
        let chance = |cohort: &Cohort| Chance::new(scenario.seed, "event", &cohort.name);
        Self {
            changes: changes.collect(),
            chances: scenario.cohorts.iter().map(chance).collect(),
        }
    }

    /// What held while a device was under way.
    pub fn during(&self, record: &Record, course: &[Course]) -> Times {
        let mut times = Times::default();
        let mut rolled = 0;
        // In the order in which they happened.
        for happened in course {
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
                Change::Enrollment { cohort, enabled } if cohort == record.cohort => {
                    times.enabled = if is_over {
                        Enabled::Certainly(enabled)
                    } else {
                        Enabled::Changing
                    };
                }
                // Who starts after it has the newest proof; who comes back may have missed the news.
                Change::Retire { cohort } if cohort == record.cohort => {
                    times.proof_may_be_old |= record.reprovision || !is_over;
                }
                Change::Roll { cohort } if cohort == record.cohort => {
                    rolled += 1;
                    times.proof_may_be_old |= rolled > 1 && (record.reprovision || !is_over);
                }
                Change::Sale { cohort, share, to }
                    if self.is_meant(record, (cohort, share), happened.event) =>
                {
                    times.owner = if is_over {
                        Owner::Buyer(to)
                    } else {
                        Owner::Changing
                    };
                }
                // It needs nobody to make it happen.
                Change::Expire { .. } => {}
                Change::Enrollment { .. }
                | Change::Roll { .. }
                | Change::Retire { .. }
                | Change::Sale { .. } => {}
            }
        }
        if times.owner != Owner::AsWritten {
            // What is done to the seller's enrollment does not touch the buyer's.
            times.enabled = Enabled::AsWritten;
        }
        times.expired = self.expired(record, rolled > 0);
        times
    }

    /// Whether a device is one of a share of a cohort that an event is for.
    fn is_meant(&self, record: &Record, (cohort, share): (u16, f64), event: u16) -> bool {
        let whom = Whom {
            cohort: Some(cohort),
            share,
        };
        let this = (record.cohort, record.device);
        let chance = self.chances.get(usize::from(record.cohort));
        chance.is_some_and(|chance| whom.takes(this, event, chance))
    }

    /// Whether a device's certificate had expired. `is_rolled` says that it may have got a new one.
    fn expired(&self, record: &Record, is_rolled: bool) -> Expired {
        let expiries = (0_u16..).zip(&self.changes);
        let expiries = expiries.filter_map(|(event, change)| match change {
            Some(Change::Expire {
                cohort,
                share,
                at_us,
            }) => {
                let is_meant = self.is_meant(record, (*cohort, *share), event);
                is_meant.then_some(*at_us)
            }
            _ => None,
        });
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
