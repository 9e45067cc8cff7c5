//! Where devices and hubs are, and so what the way between them is like.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use fleetstorm_scenarios::names::hub_host;
use fleetstorm_scenarios::{Chance, LinkShape, Region, Release, Scenario};

use crate::generator::delay::Delay;
use crate::link::dial::Way;
use crate::link::region_link::RegionLinks;

/// The regions of a run.
#[derive(Debug)]
pub struct Geography {
    regions: Vec<Region>,
    lines: RegionLinks,
    /// By region, whether its lines are other than the network itself, or will be.
    shaped: Vec<bool>,
    /// Region of each hub that stands in one, by its host name.
    hubs: HashMap<String, String>,
    /// What is chance on the lines of each cohort's devices.
    chances: Vec<Chance>,
}

impl Geography {
    /// Of a scenario; its regions' lines are `lines`.
    pub fn of(scenario: &Scenario, lines: &RegionLinks) -> Self {
        let hubs = scenario.server.hubs.iter();
        let hubs = hubs.filter_map(|hub| Some((hub_host(&hub.name), hub.region.clone()?)));
        let cohorts = scenario.cohorts.iter();
        Self {
            regions: scenario.regions.clone(),
            lines: lines.clone(),
            shaped: shaped(scenario),
            hubs: hubs.collect(),
            chances: cohorts
                .map(|cohort| Chance::new(scenario.seed, "link", &cohort.name))
                .collect(),
        }
    }

    /// The way of a device to a host: the global endpoint is near to everybody, a hub of another
    /// region is as far as its region.
    pub fn way(&self, release: Release, host: &str) -> Way {
        let index = release.region.map(usize::from);
        let found = index.and_then(|index| Some((index, self.regions.get(index)?)));
        let Some((index, region)) = found else {
            return Way::default();
        };
        let farther = match self.hubs.get(host) {
            Some(there) if *there != region.name => region.latency.get(there).copied(),
            _ => None,
        };
        let farther = farther.unwrap_or(Duration::ZERO);
        // A line that changes nothing costs nothing.
        let is_shaped = !farther.is_zero() || self.shaped.get(index).is_some_and(|is| *is);
        let chance = self.chances.get(usize::from(release.cohort));
        Way {
            sources: Some(first_source(region)),
            line: is_shaped.then(|| self.lines.line(index, farther)).flatten(),
            seed: chance.map_or(0, |chance| chance.bits(release.device, 0)),
            delay: Delay::default(),
        }
    }
}

fn shaped(scenario: &Scenario) -> Vec<bool> {
    let regions = (0_u8..).zip(&scenario.regions);
    let is_shaped = |(index, region): (u8, &Region)| {
        let is_changed = scenario.line_changes(index).next().is_some();
        region.link != LinkShape::default() || is_changed
    };
    regions.map(is_shaped).collect()
}

/// Networks do not end in 0.
fn first_source(region: &Region) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(region.prefix.network()) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetstorm_protocol::attestation::TransportKind;

    #[test]
    fn a_hub_of_another_region_is_as_far_as_that() {
        let scenario = fleetstorm_scenarios::parse(
            r#"
            name = "geo"
            arrival = { kind = "all-at-once" }
            [[region]]
            name = "westeurope"
            rtt = "10ms"
            latency = { eastus = "80ms" }
            [[region]]
            name = "eastus"
            prefix = "127.9.0.0/16"
            [server]
            hub = [{ name = "hub-weu", region = "westeurope" }, { name = "hub-eus", region = "eastus" }]
            [[cohort]]
            name = "gateways"
            devices = 2
            attestation = "x509-group"
            transport = "https"
            allocation = "geo-latency"
            regions = { westeurope = 1, eastus = 1 }
            "#,
            "geo.toml",
        );
        let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
        let geography = Geography::of(&scenario, &RegionLinks::of(&scenario.regions));
        let way = |region, host| {
            let release = Release {
                cohort: 0,
                device: 0,
                transport: TransportKind::Https,
                region,
                intended_start: Duration::ZERO,
            };
            let way = geography.way(release, host);
            let shape = way.line.map(|mut line| line.shape());
            let round_trip = shape.map(|shape| shape.round_trip.as_millis());
            (way.sources.map(|first| first.to_string()), round_trip)
        };
        let (weu, eus) = ("hub-weu.fleetstorm.test", "hub-eus.fleetstorm.test");
        let at = |source: &str, round_trip| (Some(source.to_owned()), round_trip);
        assert_eq!(
            way(Some(0), "global.fleetstorm.test"),
            at("127.16.0.1", Some(10))
        );
        assert_eq!(way(Some(0), weu), at("127.16.0.1", Some(10)));
        assert_eq!(way(Some(0), eus), at("127.16.0.1", Some(90)));
        assert_eq!(way(Some(1), eus), at("127.9.0.1", None));
        assert_eq!(
            way(Some(1), weu),
            at("127.9.0.1", Some(80)),
            "named by the other side"
        );
        assert_eq!(way(None, weu), (None, None));
    }
}
