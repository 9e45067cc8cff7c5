//! Where in the world devices are, and what that does to their connections.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::Ipv4Net;

/// A part of the world.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Unique in the scenario.
    pub name: String,
    /// Source addresses of its devices towards a loopback target; the bundled server tells regions by
    /// them.
    pub prefix: Ipv4Net,
    /// Its devices' connections to the global endpoint, and to hubs of the region.
    pub link: LinkShape,
    /// How far its clocks are before UTC, seconds, where that is said.
    pub utc_offset: Option<i32>,
    /// How much longer a round trip is to the hubs of other regions, by region.
    pub latency: BTreeMap<String, Duration>,
}

/// What distance and a narrow line do to a connection, beside what the network itself does.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LinkShape {
    /// Added to each round trip, half of it each way.
    pub round_trip: Duration,
    /// The most that a round trip takes longer; evenly spread, half of it each way.
    pub jitter: Duration,
    /// Bytes a second each way; unlimited when `None`.
    pub bandwidth: Option<u64>,
    /// Times in which nothing moves.
    pub stall: Option<Stall>,
}

/// A line that stands still again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// From one stall's begin to the next; each connection starts somewhere in between.
    pub every: Duration,
    /// How long it stands, less than `every`.
    pub lasts: Duration,
}

/// One property of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LinkProperty {
    /// [`LinkShape::round_trip`].
    RoundTrip(Duration),
    /// [`LinkShape::jitter`].
    Jitter(Duration),
    /// [`LinkShape::bandwidth`].
    Bandwidth(Option<u64>),
    /// [`LinkShape::stall`].
    Stall(Option<Stall>),
}

impl LinkShape {
    /// The same line with other properties.
    #[must_use]
    pub fn with(self, properties: &[LinkProperty]) -> Self {
        properties
            .iter()
            .fold(self, |shape, property| match *property {
                LinkProperty::RoundTrip(round_trip) => Self {
                    round_trip,
                    ..shape
                },
                LinkProperty::Jitter(jitter) => Self { jitter, ..shape },
                LinkProperty::Bandwidth(bandwidth) => Self { bandwidth, ..shape },
                LinkProperty::Stall(stall) => Self { stall, ..shape },
            })
    }

    /// The same line to somewhere farther away.
    #[must_use]
    pub fn farther(self, latency: Duration) -> Self {
        Self {
            round_trip: self.round_trip + latency,
            ..self
        }
    }
}
