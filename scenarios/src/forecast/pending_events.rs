//! The scenario's events that are foreseen, until they happen.

use crate::plan::Plan;

/// Those that have not happened yet, by their index.
#[derive(Debug)]
pub(super) struct PendingEvents {
    pub(super) left: Vec<usize>,
}

/// One that happens now.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingEvent {
    pub(super) index: usize,
    pub(super) at_us: u64,
}

impl PendingEvents {
    pub(super) fn of(plan: &Plan) -> Self {
        let events = plan.scenario().events.iter().enumerate();
        let foreseen = events.filter(|(_, event)| event.action.effects().foreseen.is_some());
        Self {
            left: foreseen.map(|(index, _)| index).collect(),
        }
    }
}
