//! The sale of a cohort's devices: which, and what the buyer's enrollments say.

use std::sync::atomic::AtomicBool;

use fleetstorm_protocol::enrollment::{AllocationPolicy, EnrollmentSettings};
use fleetstorm_scenarios::event::Selector;
use fleetstorm_scenarios::{Chance, Cohort, Scenario};
use serde_json::{Map, Value};

use super::settings::settings;

/// The sale of a cohort's devices.
pub(super) struct Sale {
    cohort: u16,
    /// Number of the event.
    event: u16,
    sold: Selector,
    chance: Chance,
    pub(super) buyer: u8,
    /// What the buyer's enrollments say.
    pub(super) settings: EnrollmentSettings,
    pub(super) is_done: AtomicBool,
}

impl Sale {
    /// Of a cohort, if an event sells any of it.
    pub(super) fn of(cohort: &Cohort, index: u16, scenario: &Scenario) -> Option<Self> {
        let sale = scenario.sale_of(index)?;
        Some(Self {
            cohort: index,
            event: sale.event,
            sold: sale.sold,
            chance: Chance::new(scenario.seed, "event", &cohort.name),
            buyer: sale.buyer,
            settings: of_buyer(cohort, sale.desired),
            is_done: AtomicBool::new(false),
        })
    }

    pub(super) fn is_sold(&self, device: u32) -> bool {
        let this = (self.cohort, device);
        self.sold.selects(this, self.event, &self.chance)
    }
}

/// All hubs of the buyer are open to them.
fn of_buyer(cohort: &Cohort, desired: Option<&Map<String, Value>>) -> EnrollmentSettings {
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
