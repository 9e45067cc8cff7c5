//! Where in the world a device is, by its source address, and how far hubs are from there: what a
//! table of networks and a latency measurement tell the real service.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::time::Duration;

use crate::config::RegionConfig;

/// The regions of a server.
#[derive(Debug, Clone, Default)]
pub struct Regions {
    regions: Vec<RegionConfig>,
}

impl Regions {
    /// As configured.
    pub fn new(regions: &[RegionConfig]) -> Self {
        Self {
            regions: regions.to_vec(),
        }
    }

    /// The region that an address lies in: that of the longest prefix.
    pub fn of(&self, address: IpAddr) -> Option<usize> {
        let address = address.to_canonical();
        let prefixes = self.regions.iter().enumerate().flat_map(|(index, region)| {
            let prefixes = region.prefixes.iter();
            prefixes.map(move |prefix| (index, prefix))
        });
        prefixes
            .filter(|(_, prefix)| prefix.contains(&address))
            .min_by_key(|(index, prefix)| (Reverse(prefix.prefix_len()), *index))
            .map(|(index, _)| index)
    }

    /// The region with a name.
    pub fn named(&self, name: &str) -> Option<usize> {
        self.regions.iter().position(|region| region.name == name)
    }

    /// The name of a region.
    pub fn name(&self, region: usize) -> Option<&str> {
        self.regions.get(region).map(|region| region.name.as_str())
    }

    /// From a region to a hub in another, by name. What nobody has measured is farther than
    /// all else.
    pub fn latency(&self, from: usize, to: Option<&str>) -> Duration {
        let Some((from, to)) = self.regions.get(from).zip(to) else {
            return Duration::MAX;
        };
        if from.name == to {
            return Duration::ZERO;
        }
        from.latency.get(to).copied().unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides() {
        let region = |name: &str, prefixes: &[&str]| RegionConfig {
            name: name.into(),
            prefixes: prefixes
                .iter()
                .map(|p| p.parse().expect("a prefix"))
                .collect(),
            latency: [("far".to_owned(), Duration::from_millis(80))].into(),
        };
        let regions = Regions::new(&[
            region("wide", &["127.0.0.0/8"]),
            region("near", &["127.1.0.0/16", "fd00::/8"]),
        ]);
        for (address, expected) in [
            ("127.9.0.1", Some(0)),
            ("127.1.0.1", Some(1)),
            ("::ffff:127.1.0.1", Some(1)),
            ("fd12::1", Some(1)),
            ("10.0.0.1", None),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(regions.of(address), expected, "{address}");
        }
        assert_eq!(regions.latency(0, Some("wide")), Duration::ZERO);
        assert_eq!(regions.latency(0, Some("far")), Duration::from_millis(80));
        assert_eq!(regions.latency(0, Some("near")), Duration::MAX);
        assert_eq!(regions.latency(0, None), Duration::MAX);
    }
}
