//! Which hubs a cohort's devices may be assigned to.

use fleetstorm_protocol::enrollment::AllocationPolicy;
use fleetstorm_reports::Record;
use fleetstorm_scenarios::names::hub_host;
use fleetstorm_scenarios::{Cohort, Reprovision};

use super::places::{Near, Places};

/// Most hubs that are told by name.
const MAX_NAMED: usize = 8;

/// The hubs that are allowed, by their index in records.
#[derive(Debug)]
pub enum AllowedHubs {
    /// Any but these: of another endpoint nobody has told all hubs.
    NoneOf(Vec<u16>),
    /// One of these.
    Any(Vec<u16>),
    /// The nearest of these, from each region; a device that is nowhere, or may not leave the hub
    /// where it was before, can be at any of those that are near to somebody.
    Nearest {
        all: Vec<u16>,
        by_region: Near,
        stays: bool,
    },
}

impl AllowedHubs {
    /// Of a cohort.
    pub fn of(cohort: &Cohort, places: &mut Places<'_>) -> Self {
        let Places { scenario, hubs, .. } = *places;
        let tenants = scenario.tenant(cohort.tenant).map(|tenant| &tenant.hubs);
        let named = [Some(&cohort.hubs), tenants];
        let named = named.into_iter().flatten().find(|named| !named.is_empty());
        let is_elsewhere = scenario.target.is_some();
        let is_meant = |name: &String, host: &str| {
            if is_elsewhere {
                is_called(host, name)
            } else {
                hub_host(name) == host
            }
        };
        let all: Vec<u16> = (0..)
            .zip(hubs)
            .filter(|(_, host)| {
                named.is_none_or(|named| named.iter().any(|name| is_meant(name, host)))
            })
            .map(|(index, _)| index)
            .collect();
        if is_elsewhere {
            // Which hubs there are, the user may have told; how far they are, nobody has.
            let has_host = |name: &String| hubs.iter().any(|host| is_called(host, name));
            let told = !hubs.is_empty() && named.is_none_or(|named| named.iter().all(has_host));
            return if told {
                Self::Any(all)
            } else {
                Self::NoneOf(
                    (0..)
                        .zip(hubs)
                        .map(|(index, _)| index)
                        .filter(|index| !all.contains(index))
                        .collect(),
                )
            };
        }
        if cohort.allocation != AllocationPolicy::GeoLatency || scenario.regions.is_empty() {
            return Self::Any(all);
        }
        Self::Nearest {
            by_region: places.nearest(&all),
            all,
            stays: cohort.reprovision == Reprovision::Never,
        }
    }

    /// The same for those that the instance of another tenant bought: as its enrollments say.
    pub fn of_buyer(cohort: &Cohort, buyer: u8, places: &mut Places<'_>) -> Self {
        let sold = Cohort {
            tenant: buyer,
            hubs: Vec::new(),
            ..cohort.clone()
        };
        Self::of(&sold, places)
    }

    /// Whether a device that was assigned may be where it is.
    pub fn allow(&self, record: &Record) -> bool {
        let is_in = |hubs: &[u16]| record.hub.is_some_and(|hub| hubs.contains(&hub));
        match self {
            Self::NoneOf(others) => !is_in(others),
            Self::Any(all) => is_in(all),
            Self::Nearest {
                all,
                by_region,
                stays,
            } => match record.region {
                Some(_) if *stays && record.reprovision => by_region.iter().any(|near| is_in(near)),
                Some(region) => by_region
                    .get(usize::from(region))
                    .is_some_and(|near| is_in(near)),
                None => is_in(all),
            },
        }
    }

    /// For people: where.
    pub fn in_words(&self, hubs: &[String]) -> String {
        match self {
            Self::NoneOf(_) => String::new(),
            Self::Any(all) if all.len() == hubs.len() && all.len() != 1 => " at any hub".into(),
            Self::Any(all) => {
                let names = all
                    .iter()
                    .filter_map(|index| hubs.get(usize::from(*index)))
                    .map(|host| host.split('.').next().unwrap_or_default());
                let told = names.take(MAX_NAMED).collect::<Vec<_>>().join(" or ");
                match all.len().saturating_sub(MAX_NAMED) {
                    0 => format!(" at {told}"),
                    more => format!(" at {told} or {more} more"),
                }
            }
            Self::Nearest { .. } => " at the nearest hub".into(),
        }
    }
}

/// Whether a name of a hub, as scenarios have it, is this host's: its first label, or all of it.
fn is_called(host: &str, name: &str) -> bool {
    let label = host.split('.').next().unwrap_or_default();
    name.eq_ignore_ascii_case(host) || name.eq_ignore_ascii_case(label)
}
