//! `[[tenant]]`: DPS instances beside the scenario's own.

use std::collections::HashSet;

use super::hubs::hubs;
use super::optional::{each, or};
use super::{quantity, server, target};
use crate::names;
use crate::server::Hub;
use crate::table::{Value, did_you_mean};
use crate::tenant::{OWN, Tenant};

/// Most tenants: records carry their index in 8 bits, and every one has service keys and windows.
const MAX_TENANTS: usize = 100;
/// Hubs that an instance may have linked (DPS documentation, "Quotas and limits").
const MAX_LINKED_HUBS: usize = 50;

/// What tenants refer to.
pub(super) struct Surroundings<'a> {
    /// The bundled server's hubs, if known.
    pub(super) hubs: Option<&'a [Hub]>,
    /// Whether the run has a server of its own.
    pub(super) bundled: bool,
    /// Id scope of the scenario's own instance, if known.
    pub(super) own_id_scope: Option<&'a str>,
    /// What holds for a tenant that says nothing else.
    pub(super) server: &'a server::Written,
}

pub(super) fn read_all(value: &Value<'_>, around: &Surroundings<'_>) -> Option<Vec<Tenant>> {
    let tables = value.array()?;
    if tables.len() > MAX_TENANTS {
        return value.wrong(format!("has more than {MAX_TENANTS} tenants"), None);
    }
    let mut taken = HashSet::new();
    let mut scopes = Scopes {
        own: around.own_id_scope,
        of_tenants: HashSet::new(),
    };
    each(tables.iter().enumerate(), |(index, value)| {
        read((index, value), around, &mut taken, &mut scopes)
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
    around: &Surroundings<'_>,
    taken: &mut HashSet<String>,
    scopes: &mut Scopes<'_>,
) -> Option<Tenant> {
    let mut table = value.table()?;
    let name = table.require("name").and_then(|value| {
        let name = quantity::name(&value)?;
        if !taken.insert(name.clone()) {
            return value.wrong(format!("another tenant is called \"{name}\" already"), None);
        }
        Some(name)
    });
    let id_scope = match table.take("id-scope") {
        Some(value) => target::id_scope(&value).and_then(|scope| {
            scopes.take(&value, &scope, None)?;
            Some(Some(scope))
        }),
        None if around.bundled => {
            let scope = names::unwritten_id_scope(index);
            let taken = scopes.take(value, &scope, Some("give it an id-scope of its own"));
            taken.map(|()| None)
        }
        None => {
            let help = "another endpoint has instances of its own: say which is meant";
            table.missing("id-scope", Some(help));
            None
        }
    };
    let ours = |value: &Value<'_>| {
        around.bundled || {
            let help = "another endpoint is not ours to set up: leave it out".to_string();
            value.wrong::<()>("needs the bundled server", help);
            false
        }
    };
    let hubs = or(table.take("hubs"), Vec::new(), |value| {
        ours(&value).then(|| linked(&value, around.hubs)).flatten()
    });
    let throttle = match table.take("throttle") {
        Some(value) => ours(&value).then(|| server::rates(&value)).flatten(),
        None => around.server.throttle,
    };
    let processing = match table.take("processing") {
        Some(value) => ours(&value)
            .then(|| server::processing_time(&value))
            .flatten(),
        None => around.server.processing,
    };
    let retry_after = match table.take("retry-after") {
        Some(value) => ours(&value)
            .then(|| server::whole_seconds(&value))
            .flatten(),
        None => around.server.retry_after,
    };
    table.finish();
    Some(Tenant {
        name: name?,
        id_scope: id_scope?,
        hubs: hubs?,
        throttle: throttle?,
        processing: processing?,
        retry_after: retry_after?,
    })
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
pub(super) fn named<'a>(
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
