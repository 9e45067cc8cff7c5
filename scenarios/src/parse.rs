//! From the file's tables to a [`Scenario`]: one room a section.

mod arrival;
pub(crate) mod cohort;
mod event;
#[cfg(test)]
mod guide;
mod hubs;
pub(crate) mod kinds;
mod local_time;
pub(crate) mod quantity;
pub(crate) mod region;
pub(crate) mod server;
mod slo;
mod target;
pub(crate) mod tenant;
mod threshold;

use cohort::{CohortKeys, MAX_COHORTS, SharedArrival};
use fleetstorm_reports::render::format::Format;
use kinds::{
    AboveZero, Arrivals, Count, List, Name, ShareOrNone, Table, Tables, TimeScale, Whole, Word,
    kinds, named,
};
use region::{MAX_REGIONS, RegionKeys};
use server::ServerKeys;
use slo::{MAX_SLOS, SloKeys};
use target::TargetTable;
use tenant::{MAX_TENANTS, TenantKeys};

use crate::event::service::faults::RuleKeys;
use toml::de::{DeTable, DeValue};

use crate::event::refs::Refs;
use crate::json::Object;
use crate::keys::{Fields, Section, keys};
use crate::names;
use crate::scenario::Scenario;
use crate::table::Value;

keys! {
    struct ScenarioKeys:
        "A fleet of devices, when they come, the server they meet, and what must hold at the end."
    {
        "name" name: required Name,
            "Names the run and its report folder: 1 to 40 of a-z, 0-9 and '-'.";
        "seed" seed: default Whole<u64, 0, { u64::MAX }> = 1,
            "Every identity and every random choice derives from it: same seed, same file, same devices and schedule.";
        "time-scale" time_scale: default TimeScale = 1,
            "So many seconds of what the file plans pass in one: arrivals, events, holds, telemetry, windows of thresholds. The service, the network, device-timeout and retry habits keep their time.";
        "device-timeout" device_timeout: default AboveZero = "60s",
            "Longest time from a device's actual start until its twin is read; then it gives up.";
        "max-in-flight" max_in_flight: default Count = 10000,
            "Most devices under way at once; a release beyond it is dropped, and counted as such.";
        "max-held" max_held: default Count = 10000,
            "Most devices that stay with their hubs at once; one beyond it leaves, and is counted.";
        "max-dropped" max_dropped: default ShareOrNone = 0.01,
            "Share of the devices due that may be dropped, or start more than a second late, before the run is INVALID, as a number or like \"20%\". Write \"100%\" where drops are what is tested.";
        "target" target: optional TargetTable,
            "An endpoint that fleetstorm did not start. Left out: the bundled server.";
        "region" regions: optional Tables<RegionKeys<'static>, 0, MAX_REGIONS>,
            "Where devices and hubs are; allocation by lowest latency follows.";
        "server" server: optional Table<ServerKeys<'static>>,
            "How the bundled server is set up.";
        "tenant" tenants: optional Tables<TenantKeys<'static>, 0, MAX_TENANTS>,
            "DPS instances beside the scenario's own, behind the same global endpoint: each with an id scope, enrollments and quotas to itself.";
        "arrival" arrival: optional Arrivals,
            "When devices come, shared in proportion by the cohorts that have no arrival of their own.";
        "cohort" cohorts: required Tables<CohortKeys<'static>, 1, MAX_COHORTS>,
            "Devices alike.";
        "event" events: optional Events,
            "What happens to the running fleet and its service.";
        "thresholds" thresholds: optional threshold::Thresholds,
            "What must hold at the end; the run ends with exit code 99 when something does not.";
        "output" output: optional List<Word<Format>>,
            "What else is written to the report folder, for other tools; the command line's --output adds to it.";
        "slo" slos: optional Tables<SloKeys<'static>, 0, MAX_SLOS>,
            "Service level objectives: the share of registrations that must go well. Missed: exit code 99; not enough evidence: 98.";
    }
}

named! {
    Format: "output", Format::ALL.map(|format| (format.name(), format));
}

kinds! {
    /// The section reads them, for they refer to all others.
    Events -> (): |_: &Value<'_>| Some(()),
        kinds::typed("array")
            .with("maxItems", event::MAX_EVENTS as u64)
            .with("items", kinds::reference("event"));
}

/// The schema's definitions.
pub(crate) fn definitions() -> Object {
    Object::of([
        ("slo", SloKeys::schema().into()),
        ("throttle", server::throttle().into()),
        ("duration", kinds::duration().into()),
        ("rate", kinds::rate().into()),
        ("cohort", CohortKeys::schema().into()),
        ("thresholds", threshold::thresholds().into()),
        ("threshold", threshold::threshold().into()),
        ("region", RegionKeys::schema().into()),
        ("tenant", TenantKeys::schema().into()),
        ("arrival", arrival::schema().into()),
        ("event", event::schema().into()),
        ("fault", RuleKeys::schema().into()),
    ])
}

/// Reads the root table. Every section is read before the first `?` gives up.
pub(crate) fn scenario(root: &Value<'_>) -> Option<Scenario> {
    let keys = ScenarioKeys::read(root)?;
    let target = keys.target.section(target::read);
    let regions = keys.regions.section(region::read_all);
    let nothing = DeValue::Table(DeTable::new());
    let server = keys.server.value.clone();
    let server = server.unwrap_or_else(|| root.stand_in("server", &nothing));
    let server = server::read(&server, regions.as_deref());
    let bundled = !matches!(target, Some(Some(_)));
    let tenants = keys.tenants.section(|value| {
        let refs = tenant::Refs {
            hubs: server.hubs.as_deref(),
            bundled,
            own_id_scope: match &target {
                Some(Some(target)) => Some(target.id_scope.as_str()),
                Some(None) => Some(names::OWN_ID_SCOPE),
                None => None,
            },
            server: &server,
        };
        tenant::read_all(value, &refs)
    });
    let shared_load = keys.arrival.value.as_ref().and_then(arrival::read);
    // An endpoint that fleetstorm did not start has hubs of its own.
    let hubs = match target {
        Some(None) => server.hubs.as_deref(),
        _ => None,
    };
    let cohorts = keys.cohorts.value.as_ref().and_then(|value| {
        let refs = cohort::Refs {
            hubs,
            regions: regions.as_deref(),
            tenants: tenants.as_deref(),
            time_scale: keys.time_scale.read,
            shared_arrival: keys.arrival.value.as_ref().map(|value| SharedArrival {
                value,
                load: shared_load.as_ref(),
            }),
        };
        cohort::read_all(value, &refs)
    });
    let events = keys.events.section(|value| {
        let refs = Refs {
            hubs,
            cohorts: cohorts.as_deref(),
            regions: regions.as_deref(),
            tenants: tenants.as_deref(),
        };
        let over = cohorts
            .as_deref()
            .zip(keys.device_timeout.read)
            .zip(keys.time_scale.read)
            .and_then(|((cohorts, device_timeout), time_scale)| {
                event::latest_end(cohorts, device_timeout, time_scale)
            });
        event::read_all(value, &refs, event::Run { bundled, over })
    });
    let thresholds = keys.thresholds.section(|value| {
        let refs = threshold::Refs {
            cohorts: cohorts.as_deref(),
            regions: regions.as_deref(),
            tenants: tenants.as_deref(),
        };
        threshold::read_all(value, &refs)
    });
    let slos = keys
        .slos
        .section(|value| slo::read_all(value, cohorts.as_deref()));
    Some(Scenario {
        name: keys.name.read?,
        seed: keys.seed.read?,
        time_scale: keys.time_scale.read?,
        target: target?,
        cohorts: cohorts?,
        events: events?,
        regions: regions?,
        tenants: tenants?,
        device_timeout: keys.device_timeout.read?,
        max_in_flight: keys.max_in_flight.read?,
        max_held: keys.max_held.read?,
        max_dropped: keys.max_dropped.read?,
        thresholds: thresholds?,
        slos: slos?,
        outputs: keys.output.read?.unwrap_or_default(),
        server: server.settings()?,
    })
}
