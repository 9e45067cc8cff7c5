//! How many devices may be at something at once, on all cores together.

use std::sync::Arc;

use fleetstorm_scenarios::Plan;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limits of a run. Copies share them.
#[derive(Debug, Clone)]
pub struct Limits {
    in_flight: Arc<Semaphore>,
    held: Arc<Semaphore>,
    /// By cohort: none where its load is open.
    slots: Arc<[Option<Arc<Semaphore>>]>,
}

impl Limits {
    /// Those of a plan, with nobody there.
    pub fn of(plan: &Plan) -> Self {
        let scenario = plan.scenario();
        let limit = |most: u32| {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
        };
        let cohorts = scenario.cohorts.iter();
        Self {
            in_flight: limit(scenario.max_in_flight),
            held: limit(scenario.max_held),
            slots: cohorts
                .map(|cohort| cohort.load.closed().map(|load| limit(load.concurrency())))
                .collect(),
        }
    }

    /// A place for a device under way, until it is dropped; none when all are taken.
    pub fn start(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.in_flight).try_acquire_owned().ok()
    }

    /// A place for a device that stays with its hub.
    pub fn stay(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.held).try_acquire_owned().ok()
    }

    /// Indices of the cohorts whose load is closed, with their slots.
    pub fn closed(&self) -> impl Iterator<Item = (u16, Arc<Semaphore>)> {
        let cohorts = (0_u16..).zip(self.slots.iter());
        cohorts.filter_map(|(cohort, slots)| Some((cohort, Arc::clone(slots.as_ref()?))))
    }
}

#[cfg(test)]
mod tests {
    use fleetstorm_scenarios::{Overrides, parse};

    use super::*;

    #[test]
    fn one_at_a_time_is_one_on_all_cores() {
        let text = r#"
            name = "one"
            max-in-flight = 1
            max-held = 2
            [[cohort]]
            name = "a"
            devices = 10
            attestation = "tpm"
            transport = "https"
            arrival = { kind = "all-at-once" }
        "#;
        let scenario = parse(text, "one.toml").expect("valid");
        let plan = Plan::new(scenario, &Overrides::default()).expect("a plan");
        let limits = Limits::of(&plan);
        let other_core = limits.clone();
        let first = limits.start();
        assert!(first.is_some());
        assert!(other_core.start().is_none());
        drop(first);
        assert!(other_core.start().is_some());
        let stay = [limits.stay(), other_core.stay(), limits.stay()];
        assert_eq!(stay.iter().flatten().count(), 2);
        assert_eq!(limits.closed().count(), 0);
    }
}
