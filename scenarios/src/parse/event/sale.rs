//! Sales that can't be: of devices that are sold already, or whose proofs are rolled.

use crate::event::{Event, IntentChange};
use crate::table::Value;

/// A device is sold once, and what is rolled afterwards is not rolled at the buyer's.
pub(super) fn are_possible(written: &[Value<'_>], events: &[Event]) -> bool {
    let sold = |event: &Event| match event.action.effects().intended {
        Some(IntentChange::Sale { sold, .. }) => sold.cohort,
        _ => None,
    };
    let rolled = |event: &Event| match event.action.effects().intended {
        Some(IntentChange::Roll { cohort } | IntentChange::Retire { cohort }) => Some(cohort),
        _ => None,
    };
    let mut possible = true;
    for (index, (value, event)) in written.iter().zip(events).enumerate() {
        let Some(cohort) = sold(event) else { continue };
        let is_this = |of: Option<u16>| of == Some(cohort);
        if let Some(first) = events[..index].iter().position(|e| is_this(sold(e))) {
            value.wrong::<()>(
                format!("event[{first}] sells this cohort already"),
                "a device is sold once: make two cohorts of them".to_string(),
            );
            possible = false;
        }
        if let Some(roll) = events.iter().position(|e| is_this(rolled(e))) {
            value.wrong::<()>(
                format!("event[{roll}] rolls what this cohort proves itself by"),
                "that does not reach a buyer's enrollments: make two cohorts of them".to_string(),
            );
            possible = false;
        }
    }
    possible
}
