//! `after = { reported = { … }, messages = 3 }`: what devices do once they have their twin.

use crate::file::Value;
use crate::reading::or;
use crate::scenario::After;

use super::properties;

/// Most messages of one device: enough to see a hub at work, few enough to end.
const MAX_MESSAGES: u64 = 1_000;

pub(super) fn read(value: &Value<'_>) -> Option<After> {
    let mut table = value.table()?;
    let reported = or(table.take("reported"), Default::default(), |value| {
        properties::read(&value)
    });
    let messages = or(table.take("messages"), 0, |value| {
        value.integer(1..=MAX_MESSAGES)
    });
    table.finish();
    Some(After {
        reported: reported?,
        messages: u32::try_from(messages?).ok()?,
    })
}
