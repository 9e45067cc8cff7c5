//! `[[event]]`: what happens to a running fleet and its service. What each event says beside its time is
//! read where its executor's events are.

mod reach;
mod sale;

pub(super) use reach::latest_end;

use std::time::Duration;

use serde_json::json;

use super::kinds::{AnyDuration, kinds, like, words};
use super::quantity;
use crate::event::refs::{Read, Refs};
use crate::event::{
    Action, DeviceAction, Event, Expiry, LineChange, Restart, Selector, ServiceAction, When,
    certificates, devices, line, server, service,
};
use crate::json::{Json, Object};
use crate::keys::{Fields, Reader, Section, Variant, keys};
use crate::table::{Value, each};

/// Most events: each device that stays looks at each.
pub(super) const MAX_EVENTS: usize = 1_000;

/// The run that events happen in.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// Whether it has a server of its own.
    pub(super) bundled: bool,
    /// When its last device has ended at the latest, if that can be said.
    pub(super) over: Option<Duration>,
}

/// How an event is read, by who carries it out.
#[derive(Clone, Copy)]
pub(crate) enum ReadBy {
    Service(Read<ServiceAction>),
    Certificates(Read<Expiry>),
    Server(Read<Restart>),
    Line(Read<LineChange>),
    Devices(Read<(Selector, DeviceAction)>),
}

/// All, in the order messages list them.
pub(super) fn variants() -> impl Iterator<Item = Variant<ReadBy>> {
    let service = service::READERS.map(|it| it.map(ReadBy::Service));
    let certificates = certificates::READERS.map(|it| it.map(ReadBy::Certificates));
    let server = server::READERS.map(|it| it.map(ReadBy::Server));
    let line = line::READERS.map(|it| it.map(ReadBy::Line));
    let devices = devices::READERS.map(|it| it.map(ReadBy::Devices));
    service
        .into_iter()
        .chain(certificates)
        .chain(server)
        .chain(line)
        .chain(devices)
}

impl ReadBy {
    fn read(self, reader: &mut Reader<'_>, refs: &Refs<'_>) -> Option<Action> {
        Some(match self {
            Self::Service(read) => Action::Service(read(reader, refs)?),
            Self::Certificates(read) => Action::Certificates(read(reader, refs)?),
            Self::Server(read) => Action::Server(read(reader, refs)?),
            Self::Line(read) => Action::Line(read(reader, refs)?),
            Self::Devices(read) => {
                let (selector, action) = read(reader, refs)?;
                Action::Devices(selector, action)
            }
        })
    }
}

keys! {
    struct EventKeys: "Something that happens once." {
        "at" at: optional AnyDuration,
            "When, since the start.";
        "when" when: optional Condition,
            "When: once this share of the planned devices is provisioned.";
        "do" action: required WhatHappens,
            "What happens.";
    }
}

kinds! {
    Condition -> When: provisioned, like(&["provisioned >= 50%"]);
    WhatHappens -> Variant<ReadBy>: |value: &Value<'_>| {
        value.word("event", variants().map(|variant| (variant.word, variant)))
    }, words(variants().map(|variant| variant.word));
}

/// The definition of events.
pub(super) fn schema() -> Object {
    let variants = variants().map(|variant| Json::from(schema_of(&variant)));
    Object::default()
        .with("description", EventKeys::ABOUT)
        .with("oneOf", variants.collect::<Vec<_>>())
}

fn schema_of(variant: &Variant<ReadBy>) -> Object {
    let schema = variant.schema(EventKeys::KEYS, "do");
    let one_of = |keys: &[&'static str]| {
        let keys = keys
            .iter()
            .map(|key| Object::default().with("required", json!([key])));
        keys.map(Json::from).collect::<Vec<_>>()
    };
    match variant.read {
        // Certificates are made with the moment at which they expire.
        ReadBy::Certificates(_) => schema
            .with("not", Object::default().with("required", json!(["when"])))
            .with("anyOf", one_of(&["at"])),
        ReadBy::Line(_) => schema
            .with("oneOf", one_of(&["at", "when"]))
            .with("anyOf", one_of(&["rtt", "jitter", "bandwidth", "stall"])),
        ReadBy::Service(_) | ReadBy::Server(_) | ReadBy::Devices(_) => {
            schema.with("oneOf", one_of(&["at", "when"]))
        }
    }
}

pub(super) fn read_all(value: &Value<'_>, refs: &Refs<'_>, run: Run) -> Option<Vec<Event>> {
    let tables = value.array()?;
    if tables.len() > MAX_EVENTS {
        return value.wrong(format!("has more than {MAX_EVENTS} events"), None);
    }
    let events = each(&tables, |value| read(value, refs, run))?;
    let possible = [
        sale::are_possible(&tables, &events),
        reach::are_reached(&tables, &events, run.over),
    ];
    possible.iter().all(|possible| *possible).then_some(events)
}

fn read(value: &Value<'_>, refs: &Refs<'_>, run: Run) -> Option<Event> {
    let mut reader = Reader::new(value)?;
    let keys = EventKeys::take(&mut reader);
    let when = when(value, &keys);
    // Which keys there are depends on what is done.
    let (written, variant) = keys.action.value.zip(keys.action.read)?;
    let all = [&[EventKeys::KEYS], variant.keys].concat();
    reader.only(&all);
    let action = variant.read.read(&mut reader, refs);
    let action = action?;
    if let (Action::Certificates(_), Some(When::Provisioned(_))) = (&action, when) {
        return written.wrong(
            "can't wait for a condition: certificates are made with the moment at which they expire",
            "give it a time: at = \"30s\"".to_string(),
        );
    }
    let cohorts = refs.cohorts.unwrap_or_default();
    if action.needs_own_server(cohorts) && !run.bundled {
        return written.wrong(
            format!("\"{}\" needs the bundled server", action.name()),
            elsewhere(&action).to_string(),
        );
    }
    if let Action::Devices(selector, _) = action
        && !stays(selector, refs)
    {
        return written.wrong(
            "nobody is there then: no such device stays with its hub",
            "give the cohort after = { hold = \"10m\" }".to_string(),
        );
    }
    Some(Event {
        when: when?,
        action,
    })
}

/// What can be done where the server is not ours.
fn elsewhere(action: &Action) -> &'static str {
    match action {
        Action::Certificates(_) => {
            "individual enrollments name their certificates, and these are made anew for each run; below an enrollment group they expire anywhere"
        }
        Action::Service(_) | Action::Server(_) | Action::Line(_) | Action::Devices(..) => {
            "another endpoint is not ours to change; devices can be: power-cut, reprovision"
        }
    }
}

fn when(event: &Value<'_>, keys: &EventKeys<'_>) -> Option<When> {
    match (&keys.at.value, &keys.when.value) {
        (Some(_), None) => keys.at.read?.map(When::At),
        (None, Some(_)) => keys.when.read?,
        (None, None) => event.wrong(
            "does not say when it happens",
            "at = \"30s\" after the start, or when = \"provisioned >= 50%\"".to_string(),
        ),
        (Some(at), Some(_)) => at.wrong("there is a `when`, too", "leave one out".to_string()),
    }
}

/// `provisioned >= 50%`.
fn provisioned(value: &Value<'_>) -> Option<When> {
    let text = value.text()?;
    let share = text
        .strip_prefix("provisioned")
        .and_then(|rest| rest.trim_start().strip_prefix(">="))
        .and_then(|share| quantity::share_of_text(share.trim()));
    match share {
        Some(share) => Some(When::Provisioned(share)),
        None => value.wrong(
            format!("\"{text}\" is no condition"),
            "the share of the devices that are provisioned, like \"provisioned >= 50%\""
                .to_string(),
        ),
    }
}

fn stays(selector: Selector, refs: &Refs<'_>) -> bool {
    let Some(cohorts) = refs.cohorts else {
        return true;
    };
    let mut meant = (0_u16..)
        .zip(cohorts)
        .filter(|(index, _)| selector.may_select(*index));
    meant.any(|(_, cohort)| cohort.after.hold.is_some())
}
