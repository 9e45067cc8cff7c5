//! `[[region]]`: where devices are.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use ipnet::Ipv4Net;

use super::kinds::{AboveZero, AnyDuration, Name, kinds, like, map_of, reference};
use super::{local_time, quantity};
use crate::diagnostics::did_you_mean;
use crate::keys::{Fields, Section, keys};
use crate::region::{LinkShape, Region, Stall};
use crate::table::{Entry, Value, each};

/// Most regions: records carry their index in 8 bits, and 127/8 has room for this many networks.
pub(super) const MAX_REGIONS: usize = 200;
/// The first region's network, where it names none: 127.16.0.0/16, the next 127.17.0.0/16.
const FIRST_NETWORK: u8 = 16;
/// Longest prefix: sources need room.
const LONGEST_PREFIX: u8 = 24;

keys! {
    struct RegionKeys as "region": "A part of the world." {
        "name" name: required Name,
            "Unique in the file.";
        "prefix" prefix: optional Prefix,
            "Source addresses of its devices towards the bundled server, a part of 127.0.0.0/8; 127.16.0.0/16 for the first region, 127.17.0.0/16 for the next.";
        "rtt" round_trip: default AnyDuration = "0s",
            "Added to each round trip to the global endpoint and to hubs of the region.";
        "jitter" jitter: default AnyDuration = "0s",
            "The most that a round trip takes longer, evenly spread.";
        "bandwidth" bandwidth: optional Bandwidth,
            "Of each connection, each way; unlimited when left out.";
        "stall" stall: optional Stalls,
            "Times in which nothing moves.";
        "utc-offset" utc_offset: optional UtcOffset,
            "How far its clocks are before UTC, like \"9h\" or \"-5h\": for cohorts with local-time.";
        "latency" latency: optional Latencies,
            "How much longer a round trip is to the hubs of other regions, by region; one side is enough. What is not named is farther than all that is.";
    }
}

keys! {
    struct StallKeys: "Times in which nothing moves." {
        "every" every: required AboveZero,
            "From one stall's begin to the next.";
        "lasts" lasts: required AboveZero,
            "How long it stands still, less than every.";
    }
}

kinds! {
    Prefix -> Ipv4Net: prefix, like(&["127.20.0.0/16"]);
    Bandwidth -> u64: quantity::bandwidth, like(&["2Mbit/s", "500kbit/s", "64kB/s"]);
    Stalls -> Stall: stall, StallKeys::schema();
    UtcOffset -> i32: local_time::offset, like(&["9h", "-5h", "5h 30m"]);
    Latencies -> BTreeMap<String, Duration>: latencies, map_of(reference("duration"));
}

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
    let regions = each(tables.iter().zip(written), |(value, region)| {
        let region: Region = region?;
        let strangers = region.latency.keys().filter(|to| !names.contains(*to));
        let strangers = strangers.map(|to| {
            value.at("latency").at(to).wrong::<()>(
                format!("there is no region \"{to}\""),
                did_you_mean(to, &known),
            )
        });
        (strangers.count() == 0).then_some(region)
    })?;
    Some(both_ways(regions))
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
pub(crate) fn named(value: &Value<'_>, regions: Option<&[Region]>) -> Option<String> {
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
    let entries = value.entries()?;
    let names: Vec<_> = regions?.iter().map(|region| region.name.as_str()).collect();
    let weights = each(entries, |Entry { key, value, .. }| {
        let Some(index) = names.iter().position(|known| *known == key) else {
            return value.wrong(
                format!("there is no [[region]] \"{key}\""),
                one_of(key, &names),
            );
        };
        let weight = value.integer(1..=u64::from(u32::MAX))?;
        Some((u8::try_from(index).ok()?, u32::try_from(weight).ok()?))
    })?;
    if weights.is_empty() {
        return value.wrong("needs at least one region", None);
    }
    Some(weights)
}

fn read(value: &Value<'_>, network: u8, names: &mut HashSet<String>) -> Option<Region> {
    let keys = RegionKeys::read(value)?;
    let name = keys.name.checked(|value, name| {
        if !names.insert(name.clone()) {
            return value.wrong(format!("another region is called \"{name}\" already"), None);
        }
        Some(name)
    });
    Some(Region {
        name: name?,
        prefix: keys
            .prefix
            .read?
            .unwrap_or(Ipv4Net::new_assert([127, network, 0, 0].into(), 16)),
        link: LinkShape {
            round_trip: keys.round_trip.read?,
            jitter: keys.jitter.read?,
            bandwidth: keys.bandwidth.read?,
            stall: keys.stall.read?,
        },
        utc_offset: keys.utc_offset.read?,
        latency: keys.latency.read?.unwrap_or_default(),
    })
}

fn latencies(value: &Value<'_>) -> Option<BTreeMap<String, Duration>> {
    let latencies = each(value.entries()?, |entry| {
        Some((entry.key.to_owned(), quantity::duration(&entry.value)?))
    })?;
    Some(latencies.into_iter().collect())
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
    let keys = StallKeys::read(value)?;
    let stall = Stall {
        every: keys.every.read?,
        lasts: keys.lasts.read?,
    };
    if stall.lasts >= stall.every {
        return value.wrong("stands still all the time: lasts must be below every", None);
    }
    Some(stall)
}
