//! `[[event]]`: what happens to a running fleet and its service. What each event says beside its time is
//! read where its executor's events are.

mod reach;
mod sale;

pub(super) use reach::latest_end;

use std::time::Duration;

use super::optional::each;
use super::quantity;
use crate::event::refs::{Read, Refs};
use crate::event::{
    Action, DeviceAction, Event, Expiry, LineChange, Restart, Selector, ServiceAction, When,
    certificates, devices, line, server, service,
};
use crate::table::{Table, Value};

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
enum Reader {
    Service(Read<ServiceAction>),
    Certificates(Read<Expiry>),
    Server(Read<Restart>),
    Line(Read<LineChange>),
    Devices(Read<(Selector, DeviceAction)>),
}

/// All, in the order messages list them.
fn readers() -> impl Iterator<Item = (&'static str, Reader)> {
    let service = service::READERS.map(|(name, read)| (name, Reader::Service(read)));
    let certificates = certificates::READERS.map(|(name, read)| (name, Reader::Certificates(read)));
    let server = server::READERS.map(|(name, read)| (name, Reader::Server(read)));
    let line = line::READERS.map(|(name, read)| (name, Reader::Line(read)));
    let devices = devices::READERS.map(|(name, read)| (name, Reader::Devices(read)));
    service
        .into_iter()
        .chain(certificates)
        .chain(server)
        .chain(line)
        .chain(devices)
}

impl Reader {
    fn read(self, event: &Value<'_>, table: &mut Table<'_>, refs: &Refs<'_>) -> Option<Action> {
        Some(match self {
            Self::Service(read) => Action::Service(read(event, table, refs)?),
            Self::Certificates(read) => Action::Certificates(read(event, table, refs)?),
            Self::Server(read) => Action::Server(read(event, table, refs)?),
            Self::Line(read) => Action::Line(read(event, table, refs)?),
            Self::Devices(read) => {
                let (selector, action) = read(event, table, refs)?;
                Action::Devices(selector, action)
            }
        })
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
    let mut table = value.table()?;
    let when = when(value, &mut table);
    let written = table.require("do");
    let reader = written
        .as_ref()
        .and_then(|written| written.word("event", readers()));
    // Which keys there are depends on what is done.
    let (written, reader) = written.zip(reader)?;
    let action = reader.read(value, &mut table, refs);
    table.finish();
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

fn when(value: &Value<'_>, table: &mut Table<'_>) -> Option<When> {
    match (table.take("at"), table.take("when")) {
        (Some(at), None) => quantity::duration(&at).map(When::At),
        (None, Some(condition)) => provisioned(&condition),
        (None, None) => value.wrong(
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
