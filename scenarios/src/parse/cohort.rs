//! `[[cohort]]`: devices alike.

pub(super) mod after;
pub(crate) mod properties;
mod transport;

use after::AfterTwin;
use transport::{HubTransport, Transports};

use std::collections::HashSet;
use std::time::Duration;

use fleetstorm_protocol::attestation::AttestationKind;
use fleetstorm_protocol::enrollment::AllocationPolicy;
use serde_json::json;

use super::hubs::hubs;
use super::kinds::{Arrivals, Desired, Flag, List, Name, Text, Whole, Word, kinds, named, typed};
use super::{arrival, local_time, region, tenant};
use crate::arrival::Load;
use crate::cohort::{Boot, Cohort, Flaw, Reprovision};
use crate::keys::{Field, Fields, keys};
use crate::limits::LONGEST_SCHEDULE;
use crate::region::Region;
use crate::retry::RetryProfile;
use crate::server::Hub;
use crate::table::{Value, each};
use crate::tenant::{OWN, Tenant};

/// Most cohorts: releases carry their index in 16 bits.
pub(super) const MAX_COHORTS: usize = u16::MAX as usize;

keys! {
    struct CohortKeys as "cohort": "Devices alike." {
        "name" name: required Name,
            "Unique in the scenario; part of every device's identity.";
        "devices" devices: required Devices,
            "How many.";
        "attestation" attestation: required Word<AttestationKind>,
            "How they prove who they are.";
        "transport" transport: required Transports,
            "What they speak to DPS; a table is a mix by weight, like { mqtt = 70, https = 30 }. TPMs need https, amqp or amqp-ws.";
        "hub-transport" hub_transport: optional HubTransport,
            "What they speak to their hub; what they speak to DPS when left out, and mqtt for https.";
        "arrival" arrival: optional Arrivals,
            "When they come; their share of the arrival at the top when left out.";
        "tenant" tenant: optional Text,
            "Name of the [[tenant]] that they belong to; the scenario's own instance when left out.";
        "hubs" hubs: optional List<Text>,
            "Names of the hubs that the enrollment allows; all when left out.";
        "allocation" allocation: default Word<AllocationPolicy> = "hashed",
            "How the enrollment has a hub chosen among them: by weight, the nearest to the device's region, or the one that hubs names.";
        "reprovision" reprovision: default Word<Reprovision> = "migrate",
            "What becomes of devices that register again: they move and their twin moves along, they move and start with a new twin, or they stay where they are. A device checks that its twin is as this says.";
        "regions" regions: optional Weights,
            "Regions that the devices are in, by weight; nowhere in particular when left out.";
        "local-time" local_time: default Flag = false,
            "Its arrival goes by the clock of its region: the run starts when the arrival does in the easternmost region, and it comes later by as much as the clocks differ.";
        "desired" desired: optional Desired,
            "Desired properties that the enrollment puts into the twin; a device that reads another has failed.";
        "after" after: optional AfterTwin,
            "What they do once they have their twin.";
        "retry" retry: default Word<RetryProfile> = "patient",
            "How they take being told to wait, and failures: an official SDK's habits, or patient, naive, well-behaved.";
        "boot" boot: default Word<Boot> = "hub-first",
            "Where they turn to when they boot again: to the hub that they know, or to DPS every time.";
        "enabled" enabled: default Flag = true,
            "Whether the enrollment is enabled; devices of one that is not must be refused.";
        "flaw" flaw: optional Word<Flaw>,
            "What is wrong with the devices, which must be refused for it; or duplicate-ek: two TPMs with one endorsement key. What can be depends on the attestation.";
    }
}

type Devices = Whole<u64, 1, { u32::MAX as u64 }>;

kinds! {
    /// The section reads them, for it knows the regions.
    Weights -> (): |_: &Value<'_>| Some(()),
        typed("object")
            .with("minProperties", 1_u64)
            .with("additionalProperties", typed("integer").with("minimum", 1_u64))
            .with("examples", json!([{ "westeurope": 60, "eastus": 40 }]));
}

/// What a cohort refers to.
pub(super) struct Refs<'a> {
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
    pub(super) load: Option<&'a Load>,
}

/// A cohort whose share of the shared arrival is still to be worked out.
struct Draft {
    cohort: Cohort,
    shares_arrival: bool,
    /// By the clock of its region.
    lateness: Duration,
}

pub(super) fn read_all(value: &Value<'_>, refs: &Refs<'_>) -> Option<Vec<Cohort>> {
    let tables = value.array()?;
    if !(1..=MAX_COHORTS).contains(&tables.len()) {
        return value.wrong(format!("needs from 1 to {MAX_COHORTS} cohorts"), None);
    }
    let mut names = HashSet::new();
    let drafts = each(&tables, |table| read(table, refs, &mut names))?;
    let sharing = drafts.iter().filter(|draft| draft.shares_arrival);
    let all: u64 = sharing.map(|draft| draft.cohort.devices).sum();
    if let Some(shared) = &refs.shared_arrival
        && all == 0
    {
        let problem = "nobody uses it: every cohort has an arrival of its own";
        return shared.value.wrong(problem, None);
    }
    each(tables.iter().zip(drafts), |(value, draft)| {
        let mut cohort = draft.cohort;
        if draft.shares_arrival {
            let share = cohort.devices as f64 / all as f64;
            cohort.load.scale(share);
        }
        cohort.load.delay(draft.lateness);
        let last = cohort.load.release_at(cohort.devices - 1);
        let scale = refs.time_scale.unwrap_or(1.0);
        if last.as_secs_f64() > LONGEST_SCHEDULE.as_secs_f64() * scale {
            return value.wrong(
                "its last device would come after more than a year",
                "raise the rate or lower the devices".to_string(),
            );
        }
        Some(cohort)
    })
}

fn read(value: &Value<'_>, refs: &Refs<'_>, names: &mut HashSet<String>) -> Option<Draft> {
    let keys = CohortKeys::read(value)?;
    let name = keys
        .name
        .checked(|value, name| unique_name(value, name, names));
    let attestation = keys.attestation.read;
    let transports = keys
        .transport
        .checked(|value, transports| match attestation {
            Some(attestation) => transport::allowed(value, transports, attestation),
            None => Some(transports),
        });
    let shares_arrival = keys.arrival.value.is_none();
    let load = load(&keys.arrival, refs);
    let tenant = keys
        .tenant
        .resolved(|value, _| tenant::named(value, refs.tenants));
    let hubs = keys.hubs.resolved(|value, _| {
        let hubs = hubs(value, refs.hubs)?;
        linked(value, hubs, tenant?.map(|(_, tenant)| tenant))
    });
    let hubs = hubs.map(Option::unwrap_or_default);
    let allocation = keys
        .allocation
        .checked(|value, policy| allocation(value, policy, hubs.as_deref()));
    let regions = keys
        .regions
        .section(|value| region::weights(value, refs.regions));
    let lateness = keys.local_time.section(|value| {
        let is_local = keys.local_time.read?;
        local_time::lateness(value, is_local, regions.as_deref(), refs.regions)
    });
    let flaw = keys
        .flaw
        .resolved(|value, flaw| befalls(value, flaw, attestation?));
    Some(Draft {
        cohort: Cohort {
            name: name?,
            tenant: tenant?.map_or(OWN, |(index, _)| index),
            devices: keys.devices.read?,
            attestation: attestation?,
            transports: transports?,
            hub_transport: keys.hub_transport.read?,
            load: load?,
            hubs: hubs?,
            allocation: allocation?,
            reprovision: keys.reprovision.read?,
            regions: regions?,
            desired: keys.desired.read?.unwrap_or_default(),
            after: keys.after.read?.unwrap_or_default(),
            retry: keys.retry.read?,
            boot: keys.boot.read?,
            enabled: keys.enabled.read?,
            flaw: flaw?,
        },
        shares_arrival,
        lateness: lateness?,
    })
}

fn unique_name(value: &Value<'_>, name: String, names: &mut HashSet<String>) -> Option<String> {
    if !names.insert(name.clone()) {
        return value.wrong(
            format!("another cohort is called \"{name}\" already"),
            "a device's identity is made of its cohort's name".to_string(),
        );
    }
    Some(name)
}

/// Its own, or the one that all share.
fn load(own: &Field<'_, Option<()>>, refs: &Refs<'_>) -> Option<Load> {
    match (&own.value, &refs.shared_arrival) {
        (Some(value), _) => arrival::read(value),
        (None, Some(shared)) => shared.load.cloned(),
        (None, None) => own.missing(
            "give the cohort an arrival, or all of them a shared [arrival] at the top".to_string(),
        ),
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

named! {
    AttestationKind: "attestation", AttestationKind::ALL.map(|kind| (kind.name(), kind));
    Reprovision: "reprovision policy", Reprovision::ALL.map(|policy| (policy.name(), policy));
    RetryProfile: "retry profile", RetryProfile::ALL.map(|profile| (profile.name(), profile));
    Boot: "way to boot", Boot::ALL.map(|boot| (boot.name(), boot));
    Flaw: "flaw", Flaw::ALL.map(|flaw| (flaw.name(), flaw));
    // Those that need nothing but the list of hubs.
    AllocationPolicy: "allocation", [
        ("hashed", Self::Hashed),
        ("geo-latency", Self::GeoLatency),
        ("static", Self::Static),
    ];
}

/// The same, if it goes with the hubs.
fn allocation(
    value: &Value<'_>,
    policy: AllocationPolicy,
    hubs: Option<&[String]>,
) -> Option<AllocationPolicy> {
    if policy == AllocationPolicy::Static && hubs.is_some_and(|hubs| hubs.len() != 1) {
        return value.wrong(
            "static allocation goes to one hub",
            "name it, like hubs = [\"hub-1\"]".to_string(),
        );
    }
    Some(policy)
}

/// The same, if it can befall such devices.
fn befalls(value: &Value<'_>, flaw: Flaw, attestation: AttestationKind) -> Option<Flaw> {
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
