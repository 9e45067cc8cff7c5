//! `[[event]]`: what happens to a running fleet and its service.

mod faults;
mod reach;
mod sale;
mod surroundings;

pub(super) use reach::latest_end;
pub(super) use surroundings::Surroundings;
use surroundings::{cohort, enrolled};

use std::time::Duration;

use fleetstorm_protocol::attestation::AttestationKind;

use super::optional::{each, or};
use super::{quantity, server, tenant};
use crate::cohort::Cohort;
use crate::event::{Action, End, Event, Proof, When, Whom};
use crate::server::Hub;
use crate::table::{Table, Value, did_you_mean};

/// Most events: each device that stays looks at each.
pub(super) const MAX_EVENTS: usize = 1_000;

/// The kinds of event, in the order messages list them.
#[derive(Debug, Clone, Copy)]
enum Kind {
    HubDown,
    HubUp,
    RegionDown,
    RegionUp,
    Throttle,
    Faults,
    DisableEnrollment,
    EnableEnrollment,
    Roll(Proof),
    Retire(Proof),
    Expire,
    RestartServer,
    Latency,
    PowerCut,
    Reboot,
    Reprovision,
    Move,
    FactoryReset,
    ChangeOwner,
}

const KINDS: &[(&str, Kind)] = &[
    ("hub-down", Kind::HubDown),
    ("hub-up", Kind::HubUp),
    ("region-down", Kind::RegionDown),
    ("region-up", Kind::RegionUp),
    ("throttle", Kind::Throttle),
    ("faults", Kind::Faults),
    ("disable-enrollment", Kind::DisableEnrollment),
    ("enable-enrollment", Kind::EnableEnrollment),
    ("key-roll", Kind::Roll(Proof::Key)),
    ("key-retire", Kind::Retire(Proof::Key)),
    ("certificate-roll", Kind::Roll(Proof::Certificate)),
    ("certificate-retire", Kind::Retire(Proof::Certificate)),
    ("expire-batch", Kind::Expire),
    ("restart-server", Kind::RestartServer),
    ("latency", Kind::Latency),
    ("power-cut", Kind::PowerCut),
    ("reboot", Kind::Reboot),
    ("reprovision", Kind::Reprovision),
    ("move", Kind::Move),
    ("factory-reset", Kind::FactoryReset),
    ("change-owner", Kind::ChangeOwner),
];

pub(super) fn read_all(value: &Value<'_>, around: &Surroundings<'_>) -> Option<Vec<Event>> {
    let tables = value.array()?;
    if tables.len() > MAX_EVENTS {
        return value.wrong(format!("has more than {MAX_EVENTS} events"), None);
    }
    let events = each(&tables, |value| read(value, around))?;
    let possible = [
        sale::are_possible(&tables, &events),
        reach::are_reached(&tables, &events, around.over),
    ];
    possible.iter().all(|possible| *possible).then_some(events)
}

fn read(value: &Value<'_>, around: &Surroundings<'_>) -> Option<Event> {
    let mut table = value.table()?;
    let when = when(value, &mut table);
    let written = table.require("do");
    let kind = written
        .as_ref()
        .and_then(|written| written.word("event", KINDS.iter().copied()));
    // Which keys there are depends on what is done.
    let (written, kind) = written.zip(kind)?;
    let action = match kind {
        Kind::HubDown => hub(&mut table, around).map(Action::HubDown),
        Kind::HubUp => hub(&mut table, around).map(Action::HubUp),
        Kind::RegionDown => region_of_hubs(&mut table, around).map(Action::RegionDown),
        Kind::RegionUp => region_of_hubs(&mut table, around).map(Action::RegionUp),
        Kind::Throttle => throttle(&mut table, around),
        Kind::Faults => faults::read(&mut table, around).map(Action::Faults),
        Kind::DisableEnrollment => enrollment(&mut table, around, false),
        Kind::EnableEnrollment => enrollment(&mut table, around, true),
        Kind::Roll(proof) => {
            proven(&mut table, around, proof).map(|cohort| Action::Roll { cohort, proof })
        }
        Kind::Retire(proof) => {
            proven(&mut table, around, proof).map(|cohort| Action::Retire { cohort, proof })
        }
        Kind::Expire => {
            let share = or(table.take("share"), 1.0, |value| quantity::share(&value));
            proven(&mut table, around, Proof::Certificate)
                .zip(share)
                .map(|(cohort, share)| Action::Expire { cohort, share })
        }
        Kind::RestartServer => restart(&mut table),
        Kind::Latency => {
            let region = region_index(&mut table, around, "region");
            let properties = super::region::properties(&mut table, value);
            region
                .zip(properties)
                .map(|(region, properties)| Action::Latency { region, properties })
        }
        Kind::PowerCut => {
            let off = or(table.take("for"), Duration::ZERO, |value| {
                quantity::duration(&value)
            });
            whom(&mut table, around)
                .zip(off)
                .map(|(whom, off)| Action::PowerCut { whom, off })
        }
        Kind::Reboot => whom(&mut table, around).map(|whom| Action::PowerCut {
            whom,
            off: Duration::ZERO,
        }),
        Kind::Reprovision => whom(&mut table, around).map(Action::Reprovision),
        Kind::Move => {
            let to = region_index(&mut table, around, "to");
            let whom = whom(&mut table, around);
            to.zip(whom).map(|(to, whom)| Action::Move { whom, to })
        }
        Kind::FactoryReset => whom(&mut table, around).map(Action::FactoryReset),
        Kind::ChangeOwner => sale::read(&mut table, around),
    };
    table.finish();
    let action = action?;
    if let (Action::Expire { .. }, Some(When::Provisioned(_))) = (&action, when) {
        return written.wrong(
            "can't wait for a condition: certificates are made with the moment at which they expire",
            "give it a time: at = \"30s\"".to_string(),
        );
    }
    let cohorts = around.cohorts.unwrap_or_default();
    if action.needs_own_server(cohorts) && !around.bundled {
        return written.wrong(
            format!("\"{}\" needs the bundled server", action.name()),
            elsewhere(&action).to_string(),
        );
    }
    if action.whom().is_some_and(|whom| !stays(whom, around)) {
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
        Action::Expire { .. } => {
            "individual enrollments name their certificates, and these are made anew for each run; below an enrollment group they expire anywhere"
        }
        _ => "another endpoint is not ours to change; devices can be: power-cut, reprovision",
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

fn hub(table: &mut Table<'_>, around: &Surroundings<'_>) -> Option<Option<String>> {
    or(table.take("hub"), None, |value| {
        let name = value.text()?;
        let known = around.hubs.unwrap_or_default();
        if around.hubs.is_some() && known.iter().all(|hub| hub.name != name) {
            let names: Vec<_> = known.iter().map(|hub| hub.name.as_str()).collect();
            return value.wrong(
                format!("there is no hub \"{name}\""),
                did_you_mean(name, &names),
            );
        }
        Some(Some(name.to_owned()))
    })
}

fn region(table: &mut Table<'_>, around: &Surroundings<'_>, key: &'static str) -> Option<String> {
    let value = table.require(key)?;
    super::region::named(&value, around.regions)
}

/// A region with a hub in it, which can go down.
fn region_of_hubs(table: &mut Table<'_>, around: &Surroundings<'_>) -> Option<String> {
    let value = table.require("region")?;
    let name = super::region::named(&value, around.regions)?;
    let stands_there = |hub: &Hub| hub.region.as_ref() == Some(&name);
    if around
        .hubs
        .is_some_and(|hubs| !hubs.iter().any(stands_there))
    {
        return value.wrong(
            format!("no hub stands in {name}"),
            format!("give one a place: hub = [{{ name = \"hub-1\", region = \"{name}\" }}]"),
        );
    }
    Some(name)
}

fn region_index(table: &mut Table<'_>, around: &Surroundings<'_>, key: &'static str) -> Option<u8> {
    let name = region(table, around, key)?;
    let known = around.regions.unwrap_or_default();
    let mut indices = (0..).zip(known);
    indices.find_map(|(index, region)| (region.name == name).then_some(index))
}

fn throttle(table: &mut Table<'_>, around: &Surroundings<'_>) -> Option<Action> {
    let rates = table.require("to").and_then(|value| server::rates(&value));
    let tenant = or(table.take("tenant"), None, |value| {
        tenant::named(&value, around.tenants).map(|(index, _)| Some(index))
    });
    Some(Action::Throttle {
        rates: rates?,
        tenant: tenant?,
    })
}

fn restart(table: &mut Table<'_>) -> Option<Action> {
    let off = or(table.take("off"), Duration::ZERO, |value| {
        quantity::duration(&value)
    });
    let end = or(table.take("how"), End::default(), |value| {
        value.word("way to end", End::ALL.map(|end| (end.name(), end)))
    });
    Some(Action::RestartServer {
        end: end?,
        off: off?,
    })
}

fn whom(table: &mut Table<'_>, around: &Surroundings<'_>) -> Option<Whom> {
    let share = or(table.take("share"), 1.0, |value| quantity::share(&value));
    let cohort = or(table.take("cohort"), None, |value| {
        cohort(&value, around).map(|(index, _)| Some(index))
    });
    Some(Whom {
        cohort: cohort?,
        share: share?,
    })
}

fn enrollment(table: &mut Table<'_>, around: &Surroundings<'_>, enabled: bool) -> Option<Action> {
    let value = table.require("cohort")?;
    let (index, cohort) = cohort(&value, around)?;
    enrolled(&value, cohort)?;
    if !is_group(cohort) {
        return value.wrong(
            "has an enrollment for each of its devices, not one for all",
            "events change groups: attestation x509-group or symmetric-key-group".to_string(),
        );
    }
    Some(Action::Enrollment {
        cohort: index,
        enabled,
    })
}

/// The cohort whose proof is rolled, which must be of that kind.
fn proven(table: &mut Table<'_>, around: &Surroundings<'_>, proof: Proof) -> Option<u16> {
    let value = table.require("cohort")?;
    let (index, cohort) = cohort(&value, around)?;
    enrolled(&value, cohort)?;
    let actual = match cohort.attestation {
        AttestationKind::X509Group | AttestationKind::X509Individual => Some(Proof::Certificate),
        AttestationKind::SymmetricKeyGroup | AttestationKind::SymmetricKeyIndividual => {
            Some(Proof::Key)
        }
        // An endorsement key is burnt in.
        AttestationKind::Tpm => None,
    };
    if actual != Some(proof) {
        let (what, rolled) = match proof {
            Proof::Key => (
                "symmetric key",
                "keys are rolled for attestation symmetric-key-*",
            ),
            Proof::Certificate => (
                "certificate",
                "attestation x509-group and x509-individual have certificates",
            ),
        };
        return value.wrong(
            format!(
                "has no {what}: its devices prove themselves by {}",
                cohort.attestation
            ),
            rolled.to_string(),
        );
    }
    Some(index)
}

fn is_group(cohort: &Cohort) -> bool {
    matches!(
        cohort.attestation,
        AttestationKind::X509Group | AttestationKind::SymmetricKeyGroup
    )
}

fn stays(whom: &Whom, around: &Surroundings<'_>) -> bool {
    let Some(cohorts) = around.cohorts else {
        return true;
    };
    let mut meant = (0_u16..)
        .zip(cohorts)
        .filter(|(index, _)| whom.cohort.is_none_or(|cohort| cohort == *index));
    meant.any(|(_, cohort)| cohort.after.hold.is_some())
}
