//! `arrival = { kind = "…", … }`: k6's words for how load comes. What each kind says is read where its shape is.

use std::time::Duration;

use super::optional::or;
use super::quantity;
use crate::arrival::{Load, READERS};
use crate::table::Value;

pub(super) fn read(value: &Value<'_>) -> Option<Load> {
    let mut table = value.table()?;
    // Without a kind nobody can say which keys belong here.
    let read = table.require("kind")?.word("arrival", READERS)?;
    let load = read(&mut table);
    let delay = or(table.take("delay"), Duration::ZERO, |value| {
        quantity::duration(&value)
    });
    table.finish();
    let mut load = load?;
    load.delay(delay?);
    Some(load)
}
