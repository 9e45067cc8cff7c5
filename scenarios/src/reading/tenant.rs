//! `[[tenant]]`: DPS instances beside the scenario's own.

use std::collections::HashSet;

use super::cohort::hubs;
use super::{each, or, quantity, server, target};
use crate::file::{Value, did_you_mean};
use crate::scenario::Hub;
use crate::tenant::{OWN, Tenant};

/// Most tenants: records carry their index in 8 bits, and every one has service keys and windows.
const MAX_TENANTS: usize = 100;

/// What tenants refer to.
pub(super) struct Surroundings<'a> {
    /// The bundled server's hubs, if known.
    pub(super) hubs: Option<&'a [Hub]>,
    /// Whether the run has a server of its own.
    pub(super) bundled: bool,
    /// What holds for a tenant that says nothing else.
    pub(super) server: &'a server::Written,
}

pub(super) fn read_all(value: &Value<'_>, around: &Surroundings<'_>) -> Option<Vec<Tenant>> {
    let tables = value.array()?;
    if tables.len() > MAX_TENANTS {
        return value.wrong(format!("has more than {MAX_TENANTS} tenants"), None);
    }
    let (mut names, mut scopes) = (HashSet::new(), HashSet::new());
    each(&tables, |value| {
        read(value, around, &mut names, &mut scopes)
    })
}

fn read(
    value: &Value<'_>,
    around: &Surroundings<'_>,
    names: &mut HashSet<String>,
    scopes: &mut HashSet<String>,
) -> Option<Tenant> {
    let mut table = value.table()?;
    let name = table.require("name").and_then(|value| {
        let name = quantity::name(&value)?;
        if !names.insert(name.clone()) {
            return value.wrong(format!("another tenant is called \"{name}\" already"), None);
        }
        Some(name)
    });
    let id_scope = match table.take("id-scope") {
        Some(value) => target::id_scope(&value).and_then(|scope| {
            if !scopes.insert(scope.clone()) {
                return value.wrong("another tenant has this id scope already", None);
            }
            Some(Some(scope))
        }),
        None if around.bundled => Some(None),
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
        ours(&value).then(|| hubs(&value, around.hubs)).flatten()
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
