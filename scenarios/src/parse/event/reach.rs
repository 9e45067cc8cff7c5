//! Events that can't come about: the run is over by then, or the server that they change is off.

use std::time::Duration;

use crate::cohort::Cohort;
use crate::event::{Action, Event, When};
use crate::table::Value;

/// Longest that a device is busy beside its stay, in device timeouts: on its way to its hub, on one more
/// way when it would leave, with what it does first there, and with its good-bye.
const BUSY: f64 = 4.0;

/// Whether all can, as far as that can be said; notes those that can't.
pub(super) fn are_reached(written: &[Value<'_>], events: &[Event], over: Option<Duration>) -> bool {
    let mut reached = true;
    for (index, (value, event)) in written.iter().zip(events).enumerate() {
        let When::At(at) = event.when else { continue };
        if let Some(over) = over.filter(|over| at > *over) {
            note(
                value,
                format!(
                    "the run is over before: its last device leaves after {over:?} at the latest"
                ),
                "let it happen earlier, or devices stay: after = { hold = \"10m\" }",
            );
            reached = false;
        }
        if let Some(restart) = events.iter().enumerate().position(|(other, restart)| {
            other != index && event.action.changes_service() && is_off(restart, other < index, at)
        }) {
            note(
                value,
                format!("event[{restart}] has ended the server by then, and it is still off"),
                "let it happen before, or when the server has had time to start again",
            );
            reached = false;
        }
    }
    reached
}

/// When the last device has ended at the latest, in the file's time, so many seconds of which pass in one;
/// nobody can say where a load is closed.
pub(in crate::parse) fn latest_end(
    cohorts: &[Cohort],
    device_timeout: Duration,
    time_scale: f64,
) -> Option<Duration> {
    let busy = device_timeout.mul_f64(BUSY * time_scale);
    let ends = cohorts.iter().map(|cohort| {
        let last = cohort.load.open()?.release_at(cohort.devices);
        let stays = cohort.after.hold.unwrap_or_default();
        Some(last.saturating_add(stays).saturating_add(busy))
    });
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Whether a restart keeps the server off at a moment, of which `first` says that what happens then at the
/// same time as the restart happens after it.
fn is_off(restart: &Event, first: bool, at: Duration) -> bool {
    match (&restart.action, restart.when) {
        (Action::Server(restart), When::At(ends)) => {
            let is_after = if first { at >= ends } else { at > ends };
            is_after && at < ends.saturating_add(restart.off)
        }
        _ => false,
    }
}

fn note(event: &Value<'_>, problem: String, hint: &str) {
    event.at("at").wrong::<()>(problem, hint.to_owned());
}
