//! `[server]`: how the bundled server is set up.

use std::collections::HashSet;
use std::time::Duration;

use super::{each, or, quantity};
use crate::file::Value;
use crate::scenario::{Hub, ProcessingTime, ServerSettings};

/// The server of a scenario that says nothing about it.
pub(super) fn default() -> ServerSettings {
    let hub = |name: &str| Hub { name: name.into() };
    ServerSettings {
        hubs: vec![hub("hub-1"), hub("hub-2")],
        processing: ProcessingTime {
            p50: Duration::from_millis(20),
            p99: Duration::from_millis(100),
        },
        retry_after: Duration::from_secs(1),
    }
}

pub(super) fn read(value: &Value<'_>) -> Option<ServerSettings> {
    let mut table = value.table()?;
    let default = default();
    let processing = or(table.take("processing"), default.processing, |value| {
        processing_time(&value)
    });
    let retry_after = or(table.take("retry-after"), default.retry_after, |value| {
        whole_seconds(&value)
    });
    let hubs = or(table.take("hub"), default.hubs, |value| hubs(&value));
    table.finish();
    Some(ServerSettings {
        hubs: hubs?,
        processing: processing?,
        retry_after: retry_after?,
    })
}

fn processing_time(value: &Value<'_>) -> Option<ProcessingTime> {
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

fn hubs(value: &Value<'_>) -> Option<Vec<Hub>> {
    let tables = value.array()?;
    if tables.is_empty() {
        return value.wrong("needs at least one hub", None);
    }
    let mut seen = HashSet::new();
    each(&tables, |value| {
        let mut table = value.table()?;
        let written = table.require("name");
        table.finish();
        let written = written?;
        let name = quantity::name(&written)?;
        if !seen.insert(name.clone()) {
            return written.wrong(format!("another hub is called \"{name}\" already"), None);
        }
        Some(Hub { name })
    })
}
