//! `[[cohort]]`: devices alike.

mod after;
pub(super) mod properties;
mod transport;

use std::collections::HashSet;
use std::time::Duration;

use fleetstorm_protocol::attestation::AttestationKind;
use fleetstorm_protocol::enrollment::AllocationPolicy;
use fleetstorm_protocol::twin::limits::Part;

use super::hubs::hubs;
use super::optional::{each, or};
use super::{arrival, local_time, quantity, region, tenant};
use crate::arrival::Arrival;
use crate::cohort::{Boot, Cohort, Flaw, Reprovision};
use crate::limits::LONGEST_SCHEDULE;
use crate::region::Region;
use crate::retry::RetryProfile;
use crate::server::Hub;
use crate::table::{Table, Value};
use crate::tenant::{OWN, Tenant};

/// Most cohorts: releases carry their index in 16 bits.
const MAX_COHORTS: usize = u16::MAX as usize;

/// What a cohort refers to.
pub(super) struct Surroundings<'a> {
    /// The hubs there are, if known.
    pub(super) hubs: Option<&'a [Hub]>,
    /// The regions there are, if known.
    pub(super) regions: Option<&'a [Region]>,
    /// The tenants there are, if known.
    pub(super) tenants: Option<&'a [Tenant]>,
    /// How many seconds of the file pass in one, if known.
    pub(super) time_scale: Option<f64>,
    /// The top-level arrival, if there is one.
    pub(super) shared_arrival: Option<SharedArrival<'a>>,
}

/// The top-level arrival.
pub(super) struct SharedArrival<'a> {
    /// As written.
    pub(super) value: &'a Value<'a>,
    /// As read; none if it is wrong.
    pub(super) arrival: Option<&'a Arrival>,
}

/// A cohort whose share of the shared arrival is still to be worked out.
struct Draft {
    cohort: Cohort,
    shares_arrival: bool,
    /// By the clock of its region.
    lateness: Duration,
}

pub(super) fn read_all(value: &Value<'_>, around: &Surroundings<'_>) -> Option<Vec<Cohort>> {
    let tables = value.array()?;
    if !(1..=MAX_COHORTS).contains(&tables.len()) {
        return value.wrong(format!("needs from 1 to {MAX_COHORTS} cohorts"), None);
    }
    let mut names = HashSet::new();
    let drafts = each(&tables, |table| read(table, around, &mut names))?;
    let sharing = drafts.iter().filter(|draft| draft.shares_arrival);
    let all: u64 = sharing.map(|draft| draft.cohort.devices).sum();
    if let Some(shared) = &around.shared_arrival
        && all == 0
    {
        let problem = "nobody uses it: every cohort has an arrival of its own";
        return shared.value.wrong(problem, None);
    }
    each(tables.iter().zip(drafts), |(value, draft)| {
        let mut cohort = draft.cohort;
        if draft.shares_arrival {
            let share = cohort.devices as f64 / all as f64;
            cohort.arrival = cohort.arrival.scaled(share);
        }
        cohort.arrival = local_time::later(cohort.arrival, draft.lateness);
        let last = cohort.arrival.release_at(cohort.devices - 1);
        let scale = around.time_scale.unwrap_or(1.0);
        if last.as_secs_f64() > LONGEST_SCHEDULE.as_secs_f64() * scale {
            return value.wrong(
                "its last device would come after more than a year",
                "raise the rate or lower the devices".to_string(),
            );
        }
        Some(cohort)
    })
}

fn read(
    value: &Value<'_>,
    around: &Surroundings<'_>,
    names: &mut HashSet<String>,
) -> Option<Draft> {
    let mut table = value.table()?;
    let name = table
        .require("name")
        .and_then(|value| unique_name(&value, names));
    let devices = table
        .require("devices")
        .and_then(|value| value.integer(1..=u64::from(u32::MAX)));
    let attestation = table.require("attestation").and_then(|value| {
        value.word(
            "attestation",
            AttestationKind::ALL.map(|kind| (kind.name(), kind)),
        )
    });
    let transports = table
        .require("transport")
        .and_then(|value| transport::read(&value, attestation));
    let hub_transport = or(table.take("hub-transport"), None, |value| {
        transport::at_hub(&value).map(Some)
    });
    let own_arrival = table.take("arrival");
    let shares_arrival = own_arrival.is_none();
    let arrival = match own_arrival {
        Some(value) => arrival::read(&value),
        None => shared_arrival(&mut table, around),
    };
    let tenant = or(table.take("tenant"), None, |value| {
        tenant::named(&value, around.tenants).map(Some)
    });
    let hubs = or(table.take("hubs"), Vec::new(), |value| {
        let hubs = hubs(&value, around.hubs)?;
        linked(&value, hubs, tenant?.map(|(_, tenant)| tenant))
    });
    let allocation = or(
        table.take("allocation"),
        AllocationPolicy::Hashed,
        |value| allocation(&value, hubs.as_deref()),
    );
    let reprovision = or(table.take("reprovision"), Reprovision::default(), |value| {
        value.word(
            "reprovision policy",
            Reprovision::ALL.map(|policy| (policy.name(), policy)),
        )
    });
    let regions = or(table.take("regions"), Vec::new(), |value| {
        region::weights(&value, around.regions)
    });
    let lateness = or(table.take("local-time"), Duration::ZERO, |value| {
        local_time::lateness(&value, regions.as_deref(), around.regions)
    });
    let desired = or(table.take("desired"), Default::default(), |value| {
        properties::read(&value, Part::Desired)
    });
    let after = or(table.take("after"), Default::default(), |value| {
        after::read(&value)
    });
    let retry = or(table.take("retry"), RetryProfile::default(), |value| {
        value.word(
            "retry profile",
            RetryProfile::ALL.map(|profile| (profile.name(), profile)),
        )
    });
    let boot = or(table.take("boot"), Boot::default(), |value| {
        value.word("way to boot", Boot::ALL.map(|boot| (boot.name(), boot)))
    });
    let enabled = or(table.take("enabled"), true, |value| value.boolean());
    let flaw = or(table.take("flaw"), None, |value| {
        flaw(&value, attestation).map(Some)
    });
    table.finish();
    Some(Draft {
        cohort: Cohort {
            name: name?,
            tenant: tenant?.map_or(OWN, |(index, _)| index),
            devices: devices?,
            attestation: attestation?,
            transports: transports?,
            hub_transport: hub_transport?,
            arrival: arrival?,
            hubs: hubs?,
            allocation: allocation?,
            reprovision: reprovision?,
            regions: regions?,
            desired: desired?,
            after: after?,
            retry: retry?,
            boot: boot?,
            enabled: enabled?,
            flaw: flaw?,
        },
        shares_arrival,
        lateness: lateness?,
    })
}

fn unique_name(value: &Value<'_>, names: &mut HashSet<String>) -> Option<String> {
    let name = quantity::name(value)?;
    if !names.insert(name.clone()) {
        return value.wrong(
            format!("another cohort is called \"{name}\" already"),
            "a device's identity is made of its cohort's name".to_string(),
        );
    }
    Some(name)
}

fn shared_arrival(table: &mut Table<'_>, around: &Surroundings<'_>) -> Option<Arrival> {
    match &around.shared_arrival {
        Some(shared) => shared.arrival.cloned(),
        None => {
            table.missing(
                "arrival",
                Some("give the cohort an arrival, or all of them a shared [arrival] at the top"),
            );
            None
        }
    }
}

/// The same, if the cohort's tenant has linked them.
fn linked(value: &Value<'_>, hubs: Vec<String>, tenant: Option<&Tenant>) -> Option<Vec<String>> {
    let Some(tenant) = tenant.filter(|tenant| !tenant.hubs.is_empty()) else {
        return Some(hubs);
    };
    match hubs.iter().find(|hub| !tenant.hubs.contains(hub)) {
        Some(stranger) => value.wrong(
            format!("tenant \"{}\" has not linked \"{stranger}\"", tenant.name),
            format!("it has {}", tenant.hubs.join(", ")),
        ),
        None => Some(hubs),
    }
}

/// Policies that need nothing but the list of hubs.
const ALLOCATIONS: [(&str, AllocationPolicy); 3] = [
    ("hashed", AllocationPolicy::Hashed),
    ("geo-latency", AllocationPolicy::GeoLatency),
    ("static", AllocationPolicy::Static),
];

fn allocation(value: &Value<'_>, hubs: Option<&[String]>) -> Option<AllocationPolicy> {
    let policy = value.word("allocation", ALLOCATIONS)?;
    if policy == AllocationPolicy::Static && hubs.is_some_and(|hubs| hubs.len() != 1) {
        return value.wrong(
            "static allocation goes to one hub",
            "name it, like hubs = [\"hub-1\"]".to_string(),
        );
    }
    Some(policy)
}

fn flaw(value: &Value<'_>, attestation: Option<AttestationKind>) -> Option<Flaw> {
    let flaw = value.word("flaw", Flaw::ALL.map(|flaw| (flaw.name(), flaw)))?;
    let attestation = attestation?;
    if !flaw.befalls(attestation) {
        let fitting: Vec<_> = Flaw::ALL
            .into_iter()
            .filter(|flaw| flaw.befalls(attestation))
            .map(Flaw::name)
            .collect();
        return value.wrong(
            format!("\"{}\" can't befall {attestation} devices", flaw.name()),
            format!("what can: {}", fitting.join(", ")),
        );
    }
    Some(flaw)
}
