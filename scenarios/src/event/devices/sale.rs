//! `do = "change-owner"`: devices that are sold to another tenant.

use std::collections::BTreeMap;

use fleetstorm_protocol::twin::limits::Part;
use serde_json::Value as Json;

use crate::cohort::Flaw;
use crate::event::refs::{Refs, enrolled};
use crate::event::selector::Selector;
use crate::parse::cohort::properties;
use crate::parse::optional::or;
use crate::parse::{quantity, tenant};
use crate::table::Table;

/// The sale of some of a cohort's devices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sale<'a> {
    /// Number of the event.
    pub event: u16,
    /// Which are sold.
    pub sold: Selector,
    /// Index of the buyer's instance.
    pub buyer: u8,
    /// Desired properties that its enrollments ask for; as the cohort's when `None`.
    pub desired: Option<&'a Desired>,
}

pub(super) type Desired = BTreeMap<String, Json>;

/// Which are sold, to the instance of which index, and what they are to desire there.
pub(super) fn read(
    table: &mut Table<'_>,
    refs: &Refs<'_>,
) -> Option<(Selector, u8, Option<Desired>)> {
    let share = or(table.take("share"), 1.0, |value| quantity::share(&value));
    let sold = table.require("cohort").and_then(|value| {
        let (index, cohort) = refs.cohort(&value)?;
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
        let (to, tenant) = tenant::named(&value, refs.tenants)?;
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
    let selector = Selector {
        cohort: Some(sold?.0),
        share: share?,
    };
    Some((selector, buyer?, desired?))
}
