//! From the file's tables to a [`Scenario`]: one room a section.

mod arrival;
mod cohort;
mod event;
mod hubs;
mod local_time;
mod optional;
mod quantity;
mod region;
mod server;
mod slo;
mod target;
mod tenant;
mod threshold;

use std::time::Duration;

use fleetstorm_reports::validity::MAX_DROPPED;

use crate::limits::TIME_SCALES;
use crate::names;
use crate::scenario::Scenario;
use crate::table::Table;
use cohort::{SharedArrival, Surroundings};
use optional::or;

const DEFAULT_SEED: u64 = 1;
const DEFAULT_DEVICE_TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_MAX_IN_FLIGHT: u64 = 10_000;
const DEFAULT_MAX_HELD: u64 = 10_000;

/// Reads the root table. Every section is read before the first `?` gives up.
pub(crate) fn scenario(mut root: Table<'_>) -> Option<Scenario> {
    let name = root
        .require("name")
        .and_then(|value| quantity::name(&value));
    let seed = or(root.take("seed"), DEFAULT_SEED, |value| {
        value.integer(0..=u64::MAX)
    });
    let time_scale = or(root.take("time-scale"), 1.0, |value| {
        quantity::number(&value, TIME_SCALES)
    });
    let device_timeout = or(
        root.take("device-timeout"),
        DEFAULT_DEVICE_TIMEOUT,
        |value| quantity::duration_above_zero(&value),
    );
    let max_in_flight = or(root.take("max-in-flight"), DEFAULT_MAX_IN_FLIGHT, |value| {
        value.integer(1..=u64::from(u32::MAX))
    });
    let max_held = or(root.take("max-held"), DEFAULT_MAX_HELD, |value| {
        value.integer(1..=u64::from(u32::MAX))
    });
    let max_dropped = or(root.take("max-dropped"), MAX_DROPPED, |value| {
        quantity::share_or_none(&value)
    });
    let target = or(root.take("target"), None, |value| target::read(&value));
    let regions = or(root.take("region"), Vec::new(), |value| {
        region::read_all(&value)
    });
    let server = server::read(root.take("server").as_ref(), regions.as_deref());
    let bundled = !matches!(target, Some(Some(_)));
    let tenants = or(root.take("tenant"), Vec::new(), |value| {
        let around = tenant::Surroundings {
            hubs: server.hubs.as_deref(),
            bundled,
            own_id_scope: match &target {
                Some(Some(target)) => Some(target.id_scope.as_str()),
                Some(None) => Some(names::OWN_ID_SCOPE),
                None => None,
            },
            server: &server,
        };
        tenant::read_all(&value, &around)
    });
    let shared_arrival = root.take("arrival");
    let arrival = shared_arrival.as_ref().and_then(arrival::read);
    let surroundings = Surroundings {
        // An endpoint that fleetstorm did not start has hubs of its own.
        hubs: match target {
            Some(None) => server.hubs.as_deref(),
            _ => None,
        },
        regions: regions.as_deref(),
        tenants: tenants.as_deref(),
        time_scale,
        shared_arrival: shared_arrival.as_ref().map(|value| SharedArrival {
            value,
            arrival: arrival.as_ref(),
        }),
    };
    let cohorts = root
        .require("cohort")
        .and_then(|value| cohort::read_all(&value, &surroundings));
    let around = event::Surroundings {
        hubs: surroundings.hubs,
        cohorts: cohorts.as_deref(),
        regions: regions.as_deref(),
        tenants: tenants.as_deref(),
        bundled,
        over: cohorts
            .as_deref()
            .zip(device_timeout)
            .zip(time_scale)
            .and_then(|((cohorts, device_timeout), time_scale)| {
                event::latest_end(cohorts, device_timeout, time_scale)
            }),
    };
    let events = or(root.take("event"), Vec::new(), |value| {
        event::read_all(&value, &around)
    });
    let thresholds = or(root.take("thresholds"), Vec::new(), |value| {
        let around = threshold::Surroundings {
            cohorts: cohorts.as_deref(),
            regions: regions.as_deref(),
            tenants: tenants.as_deref(),
        };
        threshold::read_all(&value, &around)
    });
    let slos = or(root.take("slo"), Vec::new(), |value| {
        slo::read_all(&value, cohorts.as_deref())
    });
    root.finish();
    let regions = regions?;
    Some(Scenario {
        name: name?,
        seed: seed?,
        time_scale: time_scale?,
        target: target?,
        cohorts: cohorts?,
        events: events?,
        regions,
        tenants: tenants?,
        device_timeout: device_timeout?,
        max_in_flight: u32::try_from(max_in_flight?).ok()?,
        max_held: u32::try_from(max_held?).ok()?,
        max_dropped: max_dropped?,
        thresholds: thresholds?,
        slos: slos?,
        server: server.settings()?,
    })
}
