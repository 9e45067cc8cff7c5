//! What events refer to by name.

use crate::cohort::{Cohort, Flaw};
use crate::diagnostics::did_you_mean;
use crate::keys::Reader;
use crate::parse::region;
use crate::region::Region;
use crate::server::Hub;
use crate::table::Value;
use crate::tenant::Tenant;

/// How an event's keys are read, beside those that say when it happens.
pub(crate) type Read<Action> = fn(&mut Reader<'_>, &Refs<'_>) -> Option<Action>;

/// What an event refers to; what is not known, because it is wrong itself, is not checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refs<'a> {
    /// The bundled server's hubs.
    pub(crate) hubs: Option<&'a [Hub]>,
    /// The cohorts.
    pub(crate) cohorts: Option<&'a [Cohort]>,
    /// The regions.
    pub(crate) regions: Option<&'a [Region]>,
    /// The tenants.
    pub(crate) tenants: Option<&'a [Tenant]>,
}

impl<'a> Refs<'a> {
    /// The cohort of the name that a file has here, and its index.
    pub(super) fn cohort(&self, value: &Value<'_>) -> Option<(u16, &'a Cohort)> {
        let name = value.text()?;
        let known = self.cohorts?;
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

    /// Index of the region of the name that a file has here.
    pub(super) fn region(&self, value: &Value<'_>) -> Option<u8> {
        let name = region::named(value, self.regions)?;
        let mut indices = (0..).zip(self.regions.unwrap_or_default());
        indices.find_map(|(index, region)| (region.name == name).then_some(index))
    }

    /// What a cohort is called.
    pub(super) fn cohort_name(&self, index: u16) -> &'a str {
        let cohort = self.cohorts.and_then(|all| all.get(usize::from(index)));
        cohort.map_or("", |cohort| cohort.name.as_str())
    }

    /// What a region is called.
    pub(super) fn region_name(&self, index: u8) -> &'a str {
        let region = self.regions.and_then(|all| all.get(usize::from(index)));
        region.map_or("", |region| region.name.as_str())
    }

    /// The tenant whose instance has this index; none for the scenario's own.
    pub(super) fn tenant(&self, instance: u8) -> Option<&'a Tenant> {
        let index = usize::from(instance).checked_sub(1)?;
        self.tenants.and_then(|all| all.get(index))
    }
}

/// Nothing can be done to the enrollments of a cohort that has none.
pub(super) fn enrolled(value: &Value<'_>, cohort: &Cohort) -> Option<()> {
    if cohort.flaw == Some(Flaw::Unenrolled) {
        let problem = "its devices are not enrolled: there is nothing to change";
        return value.wrong(problem, "name a cohort without that flaw".to_string());
    }
    Some(())
}

/// So many of some devices, in words.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", (share * 1e6).round() / 1e4)
}
