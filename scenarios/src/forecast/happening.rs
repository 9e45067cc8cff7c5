//! The scenario's events that are foreseen.

use crate::event::Action;
use crate::plan::Plan;

/// Those that have not happened yet.
#[derive(Debug)]
pub(super) struct Happenings {
    pub(super) left: Vec<usize>,
}

/// One that happens now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Happening {
    pub(super) index: usize,
    pub(super) at_us: u64,
}

/// Whether a forecast knows what comes of it.
pub(super) fn is_foreseen(action: &Action) -> bool {
    match action {
        Action::Throttle { .. }
        | Action::PowerCut { .. }
        | Action::Reprovision(_)
        | Action::FactoryReset(_)
        | Action::Move { .. }
        | Action::ChangeOwner { .. } => true,
        Action::HubDown(_)
        | Action::HubUp(_)
        | Action::RegionDown(_)
        | Action::RegionUp(_)
        | Action::Faults(_)
        | Action::Enrollment { .. }
        | Action::Roll { .. }
        | Action::Retire { .. }
        | Action::Expire { .. }
        | Action::RestartServer { .. }
        | Action::Latency { .. } => false,
    }
}

impl Happenings {
    pub(super) fn of(plan: &Plan) -> Self {
        let events = plan.scenario().events.iter().enumerate();
        let foreseen = events.filter(|(_, event)| is_foreseen(&event.action));
        Self {
            left: foreseen.map(|(index, _)| index).collect(),
        }
    }
}
