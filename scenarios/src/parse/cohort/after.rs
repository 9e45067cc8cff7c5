//! `after = { reported = { … }, messages = 3, hold = "10m", telemetry = "1/30s", reprovision-every = "5m" }`:
//! what devices do once they have their twin.

use std::time::Duration;

use crate::cohort::After;
use crate::keys::{Fields, Section, keys};
use crate::parse::kinds::{AboveZero, Interval, Reported, Whole, kinds};
use crate::table::Value;

/// Most messages of one device: enough to see a hub at work, few enough to end.
const MAX_MESSAGES: u64 = 1_000;

keys! {
    struct AfterKeys: "What they do once they have their twin." {
        "reported" reported: optional Reported,
            "Properties to report to the twin.";
        "messages" messages: optional Whole<u32, 1, MAX_MESSAGES>,
            "Messages to send to the hub, one after another, before they leave.";
        "hold" hold: optional AboveZero,
            "How long they stay connected to their hub.";
        "telemetry" telemetry: optional Interval,
            "Messages and the time they are sent in, while they stay: like 1/30s. Needs hold.";
        "reprovision-every" reprovision_every: optional AboveZero,
            "Time between two times that each goes back to DPS by itself, while it stays. Needs hold.";
    }
}

kinds! {
    AfterTwin -> After: read, AfterKeys::schema();
}

fn read(value: &Value<'_>) -> Option<After> {
    let keys = AfterKeys::read(value)?;
    let stays = keys.hold.value.is_some();
    let while_it_stays = |hint: &'static str| {
        move |value: &Value<'_>, every: Duration| match stays {
            true => Some(every),
            false => value.wrong(
                "needs hold: the device leaves once it is provisioned",
                hint.to_string(),
            ),
        }
    };
    let telemetry = keys.telemetry.resolved(while_it_stays(
        "say how long it stays, like hold = \"10m\"; or send messages = 3 before it leaves",
    ));
    let reprovision_every = keys
        .reprovision_every
        .resolved(while_it_stays("say how long it stays, like hold = \"10m\""));
    Some(After {
        reported: keys.reported.read?.unwrap_or_default(),
        messages: keys.messages.read?.unwrap_or_default(),
        hold: keys.hold.read?,
        telemetry: telemetry?,
        reprovision_every: reprovision_every?,
    })
}
