//! `[[region]]`: where devices are.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use ipnet::Ipv4Net;

use super::optional::{each, or};
use super::{local_time, quantity};
use crate::region::{LinkProperty, LinkShape, Region, Stall};
use crate::table::{Table, Value, did_you_mean};

/// Most regions: records carry their index in 8 bits, and 127/8 has room for this many networks.
const MAX_REGIONS: usize = 200;
/// The first region's network, where it names none: 127.16.0.0/16, the next 127.17.0.0/16.
const FIRST_NETWORK: u8 = 16;
/// Longest prefix: sources need room.
const LONGEST_PREFIX: u8 = 24;

pub(super) fn read_all(value: &Value<'_>) -> Option<Vec<Region>> {
    let tables = value.array()?;
    if tables.len() > MAX_REGIONS {
        return value.wrong(format!("has more than {MAX_REGIONS} regions"), None);
    }
    let mut names = HashSet::new();
    let written: Vec<_> = (FIRST_NETWORK..)
        .zip(&tables)
        .map(|(network, value)| read(value, network, &mut names))
        .collect();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut regions = Vec::with_capacity(written.len());
    let mut whole = true;
    for region in written {
        let Some((region, latency)) = region else {
            whole = false;
            continue;
        };
        for (to, value) in &latency {
            if !names.contains(to) {
                let problem = format!("there is no region \"{to}\"");
                value.wrong::<()>(problem, did_you_mean(to, &known));
                whole = false;
            }
        }
        regions.push(region);
    }
    whole.then(|| both_ways(regions))
}

/// A distance that one side names is the other's, too.
fn both_ways(mut regions: Vec<Region>) -> Vec<Region> {
    let named: Vec<(String, String, Duration)> = regions
        .iter()
        .flat_map(|from| {
            let to = from.latency.iter();
            to.map(|(to, latency)| (to.clone(), from.name.clone(), *latency))
        })
        .collect();
    for (from, to, latency) in named {
        if let Some(region) = regions.iter_mut().find(|region| region.name == from) {
            region.latency.entry(to).or_insert(latency);
        }
    }
    regions
}

/// The name of one of `regions`, if those are known.
pub(super) fn named(value: &Value<'_>, regions: Option<&[Region]>) -> Option<String> {
    let name = value.text()?;
    match regions {
        Some(regions) if regions.iter().all(|region| region.name != name) => {
            let names: Vec<_> = regions.iter().map(|region| region.name.as_str()).collect();
            value.wrong(
                format!("there is no [[region]] \"{name}\""),
                one_of(name, &names),
            )
        }
        _ => Some(name.into()),
    }
}

fn one_of(name: &str, names: &[&str]) -> String {
    if names.is_empty() {
        return "there is none in this file: add one with its name and rtt".into();
    }
    did_you_mean(name, names)
}

/// `regions = { westeurope = 60, eastus = 40 }`: indices and weights.
pub(super) fn weights(value: &Value<'_>, regions: Option<&[Region]>) -> Option<Vec<(u8, u32)>> {
    let entries = value.table()?.into_entries();
    let names: Vec<_> = regions?.iter().map(|region| region.name.as_str()).collect();
    let weights = each(entries, |(name, weight)| {
        let Some(index) = names.iter().position(|known| *known == name) else {
            return weight.wrong(
                format!("there is no [[region]] \"{name}\""),
                one_of(name, &names),
            );
        };
        let weight = weight.integer(1..=u64::from(u32::MAX))?;
        Some((u8::try_from(index).ok()?, u32::try_from(weight).ok()?))
    })?;
    if weights.is_empty() {
        return value.wrong("needs at least one region", None);
    }
    Some(weights)
}

type Latency<'f> = Vec<(String, Value<'f>)>;

fn read<'f>(
    value: &Value<'f>,
    network: u8,
    names: &mut HashSet<String>,
) -> Option<(Region, Latency<'f>)> {
    let mut table = value.table()?;
    let name = table.require("name").and_then(|value| {
        let name = quantity::name(&value)?;
        if !names.insert(name.clone()) {
            return value.wrong(format!("another region is called \"{name}\" already"), None);
        }
        Some(name)
    });
    let prefix = or(
        table.take("prefix"),
        Ipv4Net::new_assert([127, network, 0, 0].into(), 16),
        |value| prefix(&value),
    );
    let round_trip = or(table.take("rtt"), Duration::ZERO, |value| {
        quantity::duration(&value)
    });
    let jitter = or(table.take("jitter"), Duration::ZERO, |value| {
        quantity::duration(&value)
    });
    let bandwidth = or(table.take("bandwidth"), None, |value| {
        quantity::bandwidth(&value).map(Some)
    });
    let stall = or(table.take("stall"), None, |value| stall(&value).map(Some));
    let utc_offset = or(table.take("utc-offset"), None, |value| {
        local_time::offset(&value).map(Some)
    });
    let latency = or(table.take("latency"), Vec::new(), |value| {
        let entries = value.table()?.into_entries();
        Some(
            entries
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    });
    table.finish();
    let latency = latency?;
    let distances = each(&latency, |(to, value)| {
        Some((to.clone(), quantity::duration(value)?))
    });
    let region = Region {
        name: name?,
        prefix: prefix?,
        link: LinkShape {
            round_trip: round_trip?,
            jitter: jitter?,
            bandwidth: bandwidth?,
            stall: stall?,
        },
        utc_offset: utc_offset?,
        latency: BTreeMap::from_iter(distances?),
    };
    Some((region, latency))
}

/// What an event makes of a line: at least one property.
pub(super) fn properties(table: &mut Table<'_>, event: &Value<'_>) -> Option<Vec<LinkProperty>> {
    let duration = |value: Value<'_>| quantity::duration(&value);
    let round_trip = table.take("rtt").map(duration);
    let jitter = table.take("jitter").map(duration);
    let bandwidth = table.take("bandwidth").map(|value| match value.text()? {
        "none" => Some(None),
        _ => quantity::bandwidth(&value).map(Some),
    });
    let stall = table.take("stall").map(|value| {
        if value.is_text() {
            return value.word("stall", [("none", None)]);
        }
        stall(&value).map(Some)
    });
    let written = [
        round_trip.map(|written| written.map(LinkProperty::RoundTrip)),
        jitter.map(|written| written.map(LinkProperty::Jitter)),
        bandwidth.map(|written| written.map(LinkProperty::Bandwidth)),
        stall.map(|written| written.map(LinkProperty::Stall)),
    ];
    if written.iter().all(Option::is_none) {
        return event.wrong(
            "does not say what is different",
            "rtt, jitter, bandwidth or stall, like rtt = \"250ms\"".to_string(),
        );
    }
    each(written.into_iter().flatten(), |property| property)
}

fn prefix(value: &Value<'_>) -> Option<Ipv4Net> {
    let text = value.text()?;
    let example = "like \"127.20.0.0/16\": a part of 127.0.0.0/8, /8 to /24".to_string();
    let Ok(prefix) = text.parse::<Ipv4Net>() else {
        return value.wrong(format!("\"{text}\" is no network"), example);
    };
    if !prefix.addr().is_loopback() || !(8..=LONGEST_PREFIX).contains(&prefix.prefix_len()) {
        return value.wrong(format!("\"{text}\" can't be a region's"), example);
    }
    Some(prefix.trunc())
}

fn stall(value: &Value<'_>) -> Option<Stall> {
    let mut table = value.table()?;
    let every = table
        .require("every")
        .and_then(|every| quantity::duration_above_zero(&every));
    let lasts = table
        .require("lasts")
        .and_then(|lasts| quantity::duration_above_zero(&lasts));
    table.finish();
    let stall = Stall {
        every: every?,
        lasts: lasts?,
    };
    if stall.lasts >= stall.every {
        return value.wrong("stands still all the time: lasts must be below every", None);
    }
    Some(stall)
}
