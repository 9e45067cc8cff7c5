//! `[server]`: how the bundled server is set up.

use std::collections::HashSet;
use std::time::Duration;

use fleetstorm_protocol::quota::Rates;

use super::optional::{each, or};
use super::{quantity, region};
use crate::names;
use crate::region::Region;
use crate::server::{Hub, ProcessingTime, ServerSettings};
use crate::table::Value;

/// `[server]` as far as it is right: what is wrong elsewhere in it leaves its hubs known.
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

/// Reads `[server]`; without one, or without a key of it, the defaults hold.
/// Hubs may stand in one of `regions`, if those are known.
pub(super) fn read(value: Option<&Value<'_>>, regions: Option<&[Region]>) -> Written {
    let hub = |name: &str| Hub {
        name: name.into(),
        region: None,
    };
    let default = Written {
        hubs: Some(vec![hub("hub-1"), hub("hub-2")]),
        processing: Some(ProcessingTime {
            p50: Duration::from_millis(20),
            p99: Duration::from_millis(100),
        }),
        retry_after: Some(Duration::from_secs(1)),
        throttle: Some(Rates::NONE),
    };
    let Some(mut table) = value.and_then(Value::table) else {
        return default;
    };
    let written = Written {
        processing: table
            .take("processing")
            .map_or(default.processing, |value| processing_time(&value)),
        retry_after: table
            .take("retry-after")
            .map_or(default.retry_after, |value| whole_seconds(&value)),
        throttle: table
            .take("throttle")
            .map_or(default.throttle, |value| rates(&value)),
        hubs: table
            .take("hub")
            .map_or(default.hubs, |value| hubs(&value, regions)),
    };
    table.finish();
    written
}

pub(super) fn processing_time(value: &Value<'_>) -> Option<ProcessingTime> {
    let mut table = value.table()?;
    let p50 = table
        .require("p50")
        .and_then(|p50| quantity::duration_above_zero(&p50));
    let p99 = table
        .require("p99")
        .and_then(|p99| quantity::duration_above_zero(&p99));
    table.finish();
    let time = ProcessingTime {
        p50: p50?,
        p99: p99?,
    };
    if time.p99 < time.p50 {
        return value.wrong(
            format!("p99 ({:?}) is below p50 ({:?})", time.p99, time.p50),
            "99 of 100 assignments take at most p99, 50 of them at most p50".to_string(),
        );
    }
    Some(time)
}

pub(super) fn rates(value: &Value<'_>) -> Option<Rates> {
    if !value.is_table() {
        return value.word("throttle", Rates::NAMED);
    }
    let mut table = value.table()?;
    let mut rate = |key| {
        let rate = table
            .take(key)
            .map_or(Some(0), |value| value.integer(0..=u64::from(u32::MAX)));
        rate.and_then(|rate| u32::try_from(rate).ok())
    };
    let operations = rate("operations-per-minute");
    let registrations = rate("registrations-per-minute");
    let polls = rate("polls-per-ten-seconds");
    table.finish();
    Some(Rates {
        operations_per_minute: operations?,
        registrations_per_minute: registrations?,
        polls_per_ten_seconds: polls?,
    })
}

pub(super) fn whole_seconds(value: &Value<'_>) -> Option<Duration> {
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
        let mut table = value.table()?;
        let written = table.require("name");
        let region = or(table.take("region"), None, |value| {
            region::named(&value, regions).map(Some)
        });
        table.finish();
        let written = written?;
        let name = quantity::name(&written)?;
        let host = names::hub_host(&name);
        if [names::GLOBAL_ENDPOINT, names::OWN_INSTANCE].contains(&host.as_str()) {
            return written.wrong(
                format!("the bundled server itself is called {host}"),
                "choose another name".to_string(),
            );
        }
        if !seen.insert(name.clone()) {
            return written.wrong(format!("another hub is called \"{name}\" already"), None);
        }
        Some(Hub {
            name,
            region: region?,
        })
    })
}
