//! What events refer to.

use std::time::Duration;

use crate::cohort::{Cohort, Flaw};
use crate::region::Region;
use crate::server::Hub;
use crate::table::{Value, did_you_mean};
use crate::tenant::Tenant;

/// What an event refers to; what is not known, because it is wrong itself, is not checked.
pub(in crate::parse) struct Surroundings<'a> {
    /// The bundled server's hubs.
    pub(in crate::parse) hubs: Option<&'a [Hub]>,
    /// The cohorts.
    pub(in crate::parse) cohorts: Option<&'a [Cohort]>,
    /// The regions.
    pub(in crate::parse) regions: Option<&'a [Region]>,
    /// The tenants.
    pub(in crate::parse) tenants: Option<&'a [Tenant]>,
    /// Whether the run has a server of its own.
    pub(in crate::parse) bundled: bool,
    /// When the last device has ended at the latest, if that can be said.
    pub(in crate::parse) over: Option<Duration>,
}

/// The cohort of this name, and its index.
pub(super) fn cohort<'a>(
    value: &Value<'_>,
    around: &Surroundings<'a>,
) -> Option<(u16, &'a Cohort)> {
    let name = value.text()?;
    let known = around.cohorts?;
    let found = (0..).zip(known).find(|(_, cohort)| cohort.name == name);
    if found.is_none() {
        let names: Vec<_> = known.iter().map(|cohort| cohort.name.as_str()).collect();
        return value.wrong(
            format!("there is no cohort \"{name}\""),
            did_you_mean(name, &names),
        );
    }
    found
}

/// Nothing can be done to the enrollments of a cohort that has none.
pub(super) fn enrolled(value: &Value<'_>, cohort: &Cohort) -> Option<()> {
    if cohort.flaw == Some(Flaw::Unenrolled) {
        let problem = "its devices are not enrolled: there is nothing to change";
        return value.wrong(problem, "name a cohort without that flaw".to_string());
    }
    Some(())
}
