//! `[server]`: how the bundled server is set up.

use std::collections::HashSet;
use std::time::Duration;

use fleetstorm_protocol::quota::Rates;

use super::kinds::{AboveZero, Name, Tables, Text, Whole, kinds, reference, words};
use super::{quantity, region};
use crate::json::Object;
use crate::keys::{Fields, Section, keys};
use crate::names;
use crate::region::Region;
use crate::server::{Hub, ProcessingTime, ServerSettings};
use crate::table::{Value, each};

keys! {
    struct ServerKeys: "How the bundled server is set up." {
        "processing" processing: default Processing = { p50 = "20ms", p99 = "100ms" },
            "How long an assignment takes: log-normal, by two of its percentiles.";
        "retry-after" retry_after: default WholeSeconds = "1s",
            "Retry-After of an unfinished assignment, in whole seconds; 0s makes devices ask at once.";
        "throttle" throttle: default Throttle = "none",
            "The rates beyond which the server answers 429: azure is what Azure documents.";
        "hub" hubs: optional Tables<HubKeys<'static>, 1, { usize::MAX }>,
            "Its hubs; hub-1 and hub-2 when left out.";
    }
}

keys! {
    struct HubKeys: "One hub." {
        "name" name: required Name,
            "First label of its host name.";
        "region" region: optional Text,
            "Name of the [[region]] that it stands in.";
    }
}

keys! {
    struct ProcessingKeys: "Two percentiles." {
        "p50" p50: required AboveZero,
            "Half of the assignments take at most this.";
        "p99" p99: required AboveZero,
            "99 of 100 take at most this; at least p50.";
    }
}

keys! {
    struct RateKeys: "Rates; one left out, or 0, does not limit." {
        "operations-per-minute" operations: default Limit = 0,
            "Operations a minute, of devices and of the service API.";
        "registrations-per-minute" registrations: default Limit = 0,
            "Device registrations a minute.";
        "polls-per-ten-seconds" polls: default Limit = 0,
            "Polls of one registration in ten seconds.";
    }
}

type Limit = Whole<u32, 0, { u32::MAX as u64 }>;

kinds! {
    Processing -> ProcessingTime: processing_time, ProcessingKeys::schema();
    WholeSeconds -> Duration: whole_seconds, reference("duration");
    Throttle -> Rates: rates, reference("throttle");
}

/// The definition that rates refer to.
pub(super) fn throttle() -> Object {
    let named = words(Rates::NAMED.iter().map(|(name, _)| *name));
    Object::default().with("anyOf", vec![named.into(), RateKeys::schema().into()])
}

/// `[server]` as far as it is right: what is wrong elsewhere in it leaves its hubs known.
#[derive(Default)]
pub(super) struct Written {
    pub(super) hubs: Option<Vec<Hub>>,
    pub(super) processing: Option<ProcessingTime>,
    pub(super) retry_after: Option<Duration>,
    pub(super) throttle: Option<Rates>,
}

impl Written {
    /// The settings, if all are right.
    pub(super) fn settings(self) -> Option<ServerSettings> {
        Some(ServerSettings {
            hubs: self.hubs?,
            processing: self.processing?,
            retry_after: self.retry_after?,
            throttle: self.throttle?,
        })
    }
}

/// Reads `[server]`, whose hubs may stand in one of `regions`, if those are known.
pub(super) fn read(value: &Value<'_>, regions: Option<&[Region]>) -> Written {
    let Some(keys) = ServerKeys::read(value) else {
        return Written::default();
    };
    Written {
        hubs: match keys.hubs.value {
            Some(value) => hubs(&value, regions),
            None => Some(
                ["hub-1", "hub-2"]
                    .map(|name| Hub {
                        name: name.into(),
                        region: None,
                    })
                    .into(),
            ),
        },
        processing: keys.processing.read,
        retry_after: keys.retry_after.read,
        throttle: keys.throttle.read,
    }
}

fn processing_time(value: &Value<'_>) -> Option<ProcessingTime> {
    let keys = ProcessingKeys::read(value)?;
    let time = ProcessingTime {
        p50: keys.p50.read?,
        p99: keys.p99.read?,
    };
    if time.p99 < time.p50 {
        return value.wrong(
            format!("p99 ({:?}) is below p50 ({:?})", time.p99, time.p50),
            "99 of 100 assignments take at most p99, 50 of them at most p50".to_string(),
        );
    }
    Some(time)
}

pub(crate) fn rates(value: &Value<'_>) -> Option<Rates> {
    if !value.is_table() {
        return value.word("throttle", Rates::NAMED);
    }
    let keys = RateKeys::read(value)?;
    Some(Rates {
        operations_per_minute: keys.operations.read?,
        registrations_per_minute: keys.registrations.read?,
        polls_per_ten_seconds: keys.polls.read?,
    })
}

fn whole_seconds(value: &Value<'_>) -> Option<Duration> {
    let duration = quantity::duration(value)?;
    if duration.subsec_nanos() != 0 {
        return value.wrong(
            format!("{duration:?} is not a whole number of seconds"),
            "the Retry-After header counts in seconds; \"0s\" makes devices ask at once"
                .to_string(),
        );
    }
    Some(duration)
}

fn hubs(value: &Value<'_>, regions: Option<&[Region]>) -> Option<Vec<Hub>> {
    let tables = value.array()?;
    if tables.is_empty() {
        return value.wrong("needs at least one hub", None);
    }
    let mut seen = HashSet::new();
    each(&tables, |value| {
        let keys = HubKeys::read(value)?;
        let region = keys
            .region
            .resolved(|value, _| region::named(value, regions));
        let name = keys.name.checked(|value, name| {
            let host = names::hub_host(&name);
            if [names::GLOBAL_ENDPOINT, names::OWN_INSTANCE].contains(&host.as_str()) {
                return value.wrong(
                    format!("the bundled server itself is called {host}"),
                    "choose another name".to_string(),
                );
            }
            if !seen.insert(name.clone()) {
                return value.wrong(format!("another hub is called \"{name}\" already"), None);
            }
            Some(name)
        });
        Some(Hub {
            name: name?,
            region: region?,
        })
    })
}
