//! `[[tenant]]`: DPS instances beside the scenario's own.

use std::collections::HashSet;

use super::hubs::hubs;
use super::kinds::{List, Name, Text};
use super::server::{self, Processing, Throttle, WholeSeconds};
use super::target::InstanceScope;
use crate::diagnostics::did_you_mean;
use crate::keys::{Field, Fields, keys};
use crate::names;
use crate::server::Hub;
use crate::table::{Value, each};
use crate::tenant::{OWN, Tenant};

/// Most tenants: records carry their index in 8 bits, and every one has service keys and windows.
pub(super) const MAX_TENANTS: usize = 100;
/// Hubs that an instance may have linked (DPS documentation, "Quotas and limits").
const MAX_LINKED_HUBS: usize = 50;

keys! {
    struct TenantKeys as "tenant": "One tenant." {
        "name" name: required Name,
            "Unique in the file.";
        "id-scope" id_scope: optional InstanceScope,
            "As devices name it; the bundled server makes one up.";
        "hubs" hubs: optional List<Text>,
            "The hubs that it has linked, of the bundled server; all when left out.";
        "throttle" throttle: optional Throttle,
            "Its own quotas, at the bundled server; those of [server] when left out.";
        "processing" processing: optional Processing,
            "How long an assignment takes there: log-normal, by two of its percentiles; as in [server] when left out.";
        "retry-after" retry_after: optional WholeSeconds,
            "Retry-After of an unfinished assignment there, in whole seconds; that of [server] when left out.";
    }
}

/// What tenants refer to.
pub(super) struct Refs<'a> {
    /// The bundled server's hubs, if known.
    pub(super) hubs: Option<&'a [Hub]>,
    /// Whether the run has a server of its own.
    pub(super) bundled: bool,
    /// Id scope of the scenario's own instance, if known.
    pub(super) own_id_scope: Option<&'a str>,
    /// What holds for a tenant that says nothing else.
    pub(super) server: &'a server::Written,
}

pub(super) fn read_all(value: &Value<'_>, refs: &Refs<'_>) -> Option<Vec<Tenant>> {
    let tables = value.array()?;
    if tables.len() > MAX_TENANTS {
        return value.wrong(format!("has more than {MAX_TENANTS} tenants"), None);
    }
    let mut taken = HashSet::new();
    let mut scopes = Scopes {
        own: refs.own_id_scope,
        of_tenants: HashSet::new(),
    };
    each(tables.iter().enumerate(), |(index, value)| {
        read((index, value), refs, &mut taken, &mut scopes)
    })
}

/// Id scopes that are taken; devices may write them in any case.
struct Scopes<'a> {
    own: Option<&'a str>,
    of_tenants: HashSet<String>,
}

impl Scopes<'_> {
    /// Takes one; `None` once it is noted that another instance has it.
    fn take(&mut self, value: &Value<'_>, scope: &str, hint: Option<&str>) -> Option<()> {
        let hint = hint.map(str::to_owned);
        if self.own.is_some_and(|own| own.eq_ignore_ascii_case(scope)) {
            let problem = format!("the scenario's own instance has the id scope {scope}");
            return value.wrong(problem, hint);
        }
        if !self.of_tenants.insert(scope.to_ascii_lowercase()) {
            return value.wrong(format!("another tenant has the id scope {scope}"), hint);
        }
        Some(())
    }
}

fn read(
    (index, value): (usize, &Value<'_>),
    refs: &Refs<'_>,
    taken: &mut HashSet<String>,
    scopes: &mut Scopes<'_>,
) -> Option<Tenant> {
    let keys = TenantKeys::read(value)?;
    let name = keys.name.checked(|value, name| {
        if !taken.insert(name.clone()) {
            return value.wrong(format!("another tenant is called \"{name}\" already"), None);
        }
        Some(name)
    });
    let id_scope = match &keys.id_scope.value {
        Some(value) => keys.id_scope.read.and_then(|scope| {
            scopes.take(value, scope.as_deref()?, None)?;
            Some(scope)
        }),
        None if refs.bundled => {
            let scope = names::unwritten_id_scope(index);
            let taken = scopes.take(value, &scope, Some("give it an id-scope of its own"));
            taken.map(|()| None)
        }
        None => {
            let help = "another endpoint has instances of its own: say which is meant";
            keys.id_scope.missing(help.to_string())
        }
    };
    let hubs = ours(keys.hubs, refs).resolved(|value, _| linked(value, refs.hubs));
    let throttle = ours(keys.throttle, refs).read;
    let processing = ours(keys.processing, refs).read;
    let retry_after = ours(keys.retry_after, refs).read;
    Some(Tenant {
        name: name?,
        id_scope: id_scope?,
        hubs: hubs?.unwrap_or_default(),
        throttle: throttle?.or(refs.server.throttle)?,
        processing: processing?.or(refs.server.processing)?,
        retry_after: retry_after?.or(refs.server.retry_after)?,
    })
}

/// The same, if the run has a server of its own, whose setting it is.
fn ours<'f, T>(mut field: Field<'f, Option<T>>, refs: &Refs<'_>) -> Field<'f, Option<T>> {
    if let Some(value) = field.value.as_ref().filter(|_| !refs.bundled) {
        let help = "another endpoint is not ours to set up: leave it out".to_string();
        field.read = value.wrong("needs the bundled server", help);
    }
    field
}

/// The hubs that an instance has linked.
fn linked(value: &Value<'_>, known: Option<&[Hub]>) -> Option<Vec<String>> {
    let hubs = hubs(value, known)?;
    if hubs.len() > MAX_LINKED_HUBS {
        let problem = format!(
            "{} hubs, an instance has at most {MAX_LINKED_HUBS}",
            hubs.len()
        );
        return value.wrong(problem, None);
    }
    let twice = (1..hubs.len()).find(|&index| hubs[..index].contains(&hubs[index]));
    match twice {
        Some(index) => value.wrong(format!("\"{}\" is there twice", hubs[index]), None),
        None => Some(hubs),
    }
}

/// The tenant of this name, as its index in a run: the scenario's own instance comes first.
pub(crate) fn named<'a>(
    value: &Value<'_>,
    known: Option<&'a [Tenant]>,
) -> Option<(u8, &'a Tenant)> {
    let name = value.text()?;
    let known = known?;
    let found = (OWN + 1..)
        .zip(known)
        .find(|(_, tenant)| tenant.name == name);
    if found.is_none() {
        let names: Vec<_> = known.iter().map(|tenant| tenant.name.as_str()).collect();
        let help = if names.is_empty() {
            "there is none in this file: add one with its name".to_string()
        } else {
            did_you_mean(name, &names)
        };
        return value.wrong(format!("there is no [[tenant]] \"{name}\""), help);
    }
    found
}
