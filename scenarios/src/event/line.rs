//! What is done to the lines of a region's devices.

use super::effects::Effects;
use super::refs::{Read, Refs};
use crate::keys::{Fields, Kind, Reader, Section, Variant, keys};
use crate::parse::kinds::{AnyDuration, Text, either, kinds, like, words};
use crate::parse::quantity;
use crate::parse::region::Stalls;
use crate::region::{LinkProperty, Stall};
use crate::table::Value;

/// The lines of a region's devices are others from now on, those that are in use, too.
#[derive(Debug, Clone, PartialEq)]
pub struct LineChange {
    /// Index of the region.
    pub region: u8,
    /// What is different; other properties stay.
    pub properties: Vec<LinkProperty>,
}

keys! {
    struct LineKeys: "What is different." {
        "region" region: required Text,
            "Name of the [[region]].";
        "rtt" round_trip: optional AnyDuration,
            "Added to each round trip to the global endpoint and to hubs of the region.";
        "jitter" jitter: optional AnyDuration,
            "The most that a round trip takes longer, evenly spread.";
        "bandwidth" bandwidth: optional BandwidthOrNone,
            "Of each connection, each way; none: unlimited.";
        "stall" stall: optional StallOrNone,
            "Times in which nothing moves; none: no more.";
    }
}

kinds! {
    BandwidthOrNone -> Option<u64>: bandwidth,
        like(&["2Mbit/s", "500kbit/s", "64kB/s", "none"]);
    StallOrNone -> Option<Stall>: stall,
        either(words(["none"]), Stalls::schema());
}

fn bandwidth(value: &Value<'_>) -> Option<Option<u64>> {
    match value.text()? {
        "none" => Some(None),
        _ => quantity::bandwidth(value).map(Some),
    }
}

fn stall(value: &Value<'_>) -> Option<Option<Stall>> {
    if value.is_text() {
        return value.word("stall", [("none", None)]);
    }
    Stalls::read(value).map(Some)
}

/// By the word that scenario files use.
pub(crate) const READERS: [Variant<Read<LineChange>>; 1] = [Variant {
    word: LineChange::NAME,
    about: "The lines of a region's devices, those in use, too, are others from now on; what is not named stays.",
    keys: &[LineKeys::KEYS],
    read: LineChange::read,
}];

impl LineChange {
    /// The word scenario files use.
    pub(super) const NAME: &str = "latency";

    fn read(reader: &mut Reader<'_>, refs: &Refs<'_>) -> Option<Self> {
        let keys = LineKeys::take(reader);
        let region = keys.region.written().and_then(|value| refs.region(&value));
        let properties = [
            keys.round_trip.read?.map(LinkProperty::RoundTrip),
            keys.jitter.read?.map(LinkProperty::Jitter),
            keys.bandwidth.read?.map(LinkProperty::Bandwidth),
            keys.stall.read?.map(LinkProperty::Stall),
        ];
        let properties: Vec<_> = properties.into_iter().flatten().collect();
        if properties.is_empty() {
            return reader.table().wrong(
                "does not say what is different",
                "rtt, jitter, bandwidth or stall, like rtt = \"250ms\"".to_string(),
            );
        }
        Some(Self {
            region: region?,
            properties,
        })
    }

    pub(super) fn in_words(&self, refs: &Refs<'_>) -> String {
        let properties: Vec<_> = self.properties.iter().map(property).collect();
        let region = refs.region_name(self.region);
        format!("{} {region}: {}", Self::NAME, properties.join(", "))
    }

    /// Devices fall short on it, no more; a forecast knows lines as they are at the start.
    pub(super) fn effects(&self) -> Effects<'static> {
        Effects::default()
    }
}

fn property(property: &LinkProperty) -> String {
    match property {
        LinkProperty::RoundTrip(round_trip) => format!("rtt {round_trip:?}"),
        LinkProperty::Jitter(jitter) => format!("jitter {jitter:?}"),
        LinkProperty::Bandwidth(None) => "no limit of bandwidth".into(),
        LinkProperty::Bandwidth(Some(bytes)) => format!("{bytes} bytes a second"),
        LinkProperty::Stall(None) => "no stalls".into(),
        LinkProperty::Stall(Some(stall)) => {
            format!("a stall of {:?} every {:?}", stall.lasts, stall.every)
        }
    }
}
