//! What is done to the lines of a region's devices.

use super::effects::Effects;
use super::refs::{Read, Refs};
use crate::parse::region;
use crate::region::LinkProperty;
use crate::table::{Table, Value};

/// The lines of a region's devices are others from now on, those that are in use, too.
#[derive(Debug, Clone, PartialEq)]
pub struct LineChange {
    /// Index of the region.
    pub region: u8,
    /// What is different; other properties stay.
    pub properties: Vec<LinkProperty>,
}

/// By the word that scenario files use.
pub(crate) const READERS: [(&str, Read<LineChange>); 1] = [(LineChange::NAME, LineChange::read)];

impl LineChange {
    /// The word scenario files use.
    pub(super) const NAME: &str = "latency";

    fn read(event: &Value<'_>, table: &mut Table<'_>, refs: &Refs<'_>) -> Option<Self> {
        let region = table
            .require("region")
            .and_then(|value| refs.region(&value));
        let properties = region::properties(table, event);
        Some(Self {
            region: region?,
            properties: properties?,
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
