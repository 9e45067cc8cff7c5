//! `do = "change-owner"`: devices that are sold to another tenant.

use fleetstorm_protocol::twin::limits::Part;

use super::surroundings::{Surroundings, cohort, enrolled};
use crate::cohort::Flaw;
use crate::event::{Action, Event, Whom};
use crate::parse::cohort::properties;
use crate::parse::optional::or;
use crate::parse::{quantity, tenant};
use crate::table::{Table, Value};

pub(super) fn read(table: &mut Table<'_>, around: &Surroundings<'_>) -> Option<Action> {
    let share = or(table.take("share"), 1.0, |value| quantity::share(&value));
    let sold = table.require("cohort").and_then(|value| {
        let (index, cohort) = cohort(&value, around)?;
        enrolled(&value, cohort)?;
        if cohort.flaw == Some(Flaw::DuplicateEk) {
            return value.wrong(
                "has two devices for each enrollment, which can't be sold apart",
                "sell a cohort without that flaw".to_string(),
            );
        }
        Some((index, cohort))
    });
    let buyer = table.require("to").and_then(|value| {
        let (to, tenant) = tenant::named(&value, around.tenants)?;
        if sold.is_some_and(|(_, cohort)| cohort.tenant == to) {
            return value.wrong(
                format!("the devices are {}'s already", tenant.name),
                "name the [[tenant]] that they are sold to".to_string(),
            );
        }
        Some(to)
    });
    let desired = or(table.take("desired"), None, |value| {
        properties::read(&value, Part::Desired).map(Some)
    });
    let (index, _) = sold?;
    Some(Action::ChangeOwner {
        whom: Whom {
            cohort: Some(index),
            share: share?,
        },
        to: buyer?,
        desired: desired?,
    })
}

/// A device is sold once, and what is rolled afterwards is not rolled at the buyer's.
pub(super) fn are_possible(written: &[Value<'_>], events: &[Event]) -> bool {
    let sold = |event: &Event| match &event.action {
        Action::ChangeOwner { whom, .. } => whom.cohort,
        _ => None,
    };
    let rolled = |event: &Event| match event.action {
        Action::Roll { cohort, .. } | Action::Retire { cohort, .. } => Some(cohort),
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
