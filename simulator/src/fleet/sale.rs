//! The sale of a cohort's devices: which, and what the buyer's enrollments say.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use fleetstorm_protocol::enrollment::{AllocationPolicy, EnrollmentSettings};
use fleetstorm_scenarios::event::{Action, Whom};
use fleetstorm_scenarios::{Chance, Cohort, Event};

use super::settings::settings;

/// The sale of a cohort's devices.
pub(super) struct Sale {
    cohort: u16,
    /// Number of the event.
    event: u16,
    whom: Whom,
    chance: Chance,
    pub(super) buyer: u8,
    /// What the buyer's enrollments say.
    pub(super) settings: EnrollmentSettings,
    pub(super) is_done: AtomicBool,
}

impl Sale {
    /// Of a cohort, if an event sells any of it.
    pub(super) fn of(cohort: &Cohort, index: u16, seed: u64, events: &[Event]) -> Option<Self> {
        let mut events = (0_u16..).zip(events);
        events.find_map(|(event, happens)| match &happens.action {
            Action::ChangeOwner { whom, to, desired } if whom.cohort == Some(index) => Some(Self {
                cohort: index,
                event,
                whom: whom.clone(),
                chance: Chance::new(seed, "event", &cohort.name),
                buyer: *to,
                settings: of_buyer(cohort, desired.as_ref()),
                is_done: AtomicBool::new(false),
            }),
            _ => None,
        })
    }

    pub(super) fn is_sold(&self, device: u32) -> bool {
        let of = (self.cohort, device);
        self.whom.takes(of, self.event, &self.chance)
    }
}

/// All hubs of the buyer are open to them.
fn of_buyer(
    cohort: &Cohort,
    desired: Option<&BTreeMap<String, serde_json::Value>>,
) -> EnrollmentSettings {
    let allocation = match cohort.allocation {
        AllocationPolicy::Static => AllocationPolicy::Hashed,
        other => other,
    };
    settings(&Cohort {
        hubs: Vec::new(),
        allocation,
        desired: desired.unwrap_or(&cohort.desired).clone(),
        ..cohort.clone()
    })
}
