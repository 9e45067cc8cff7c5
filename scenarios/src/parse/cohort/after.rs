//! `after = { reported = { … }, messages = 3, hold = "10m", telemetry = "1/30s", reprovision-every = "5m" }`:
//! what devices do once they have their twin.

use std::time::Duration;

use fleetstorm_protocol::twin::limits::Part;

use crate::cohort::After;
use crate::parse::optional::or;
use crate::parse::quantity;
use crate::table::Value;

use super::properties;

/// Most messages of one device: enough to see a hub at work, few enough to end.
const MAX_MESSAGES: u64 = 1_000;

pub(super) fn read(value: &Value<'_>) -> Option<After> {
    let mut table = value.table()?;
    let reported = or(table.take("reported"), Default::default(), |value| {
        properties::read(&value, Part::Reported)
    });
    let messages = or(table.take("messages"), 0, |value| {
        value.integer(1..=MAX_MESSAGES)
    });
    let written_hold = table.take("hold");
    let stays = written_hold.is_some();
    let hold = or(written_hold, None, |value| {
        quantity::duration_above_zero(&value).map(Some)
    });
    let telemetry = or(table.take("telemetry"), None, |value| {
        telemetry(&value, stays).map(Some)
    });
    let reprovision_every = or(table.take("reprovision-every"), None, |value| {
        reprovision_every(&value, stays).map(Some)
    });
    table.finish();
    Some(After {
        reported: reported?,
        messages: u32::try_from(messages?).ok()?,
        hold: hold?,
        telemetry: telemetry?,
        reprovision_every: reprovision_every?,
    })
}

/// A device that leaves has no time to send at a rate.
fn telemetry(value: &Value<'_>, stays: bool) -> Option<Duration> {
    let every = quantity::interval(value)?;
    if !stays {
        return value.wrong(
            "needs hold: the device leaves once it is provisioned",
            "say how long it stays, like hold = \"10m\"; or send messages = 3 before it leaves"
                .to_string(),
        );
    }
    Some(every)
}

/// Nor to come back.
fn reprovision_every(value: &Value<'_>, stays: bool) -> Option<Duration> {
    let every = quantity::duration_above_zero(value)?;
    if !stays {
        return value.wrong(
            "needs hold: the device leaves once it is provisioned",
            "say how long it stays, like hold = \"10m\"".to_string(),
        );
    }
    Some(every)
}
