//! Names of hubs that cohorts and tenants list.

use crate::diagnostics::did_you_mean;
use crate::server::Hub;
use crate::table::{Value, each};

pub(super) fn hubs(value: &Value<'_>, known: Option<&[Hub]>) -> Option<Vec<String>> {
    each(&value.array()?, |value| {
        let name = value.text()?;
        match known {
            Some(hubs) if hubs.iter().all(|hub| hub.name != name) => {
                let names: Vec<_> = hubs.iter().map(|hub| hub.name.as_str()).collect();
                value.wrong(
                    format!("there is no hub \"{name}\""),
                    did_you_mean(name, &names),
                )
            }
            _ => Some(name.into()),
        }
    })
}
