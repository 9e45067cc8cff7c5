//! Where in the world a device is, by its source address, and how far hubs are from there: what a
//! table of networks and a latency measurement tell the real service.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A part of the world: whose addresses lie there, and how long hubs elsewhere take to answer.
/// Lowest-latency allocation goes by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RegionConfig {
    /// Unique in the server.
    pub name: String,
    /// Source addresses of devices there, like `127.1.0.0/16`; the longest prefix decides.
    #[serde(default)]
    pub prefixes: Vec<IpNet>,
    /// Latency to hubs in other regions, by region. One that is not named is farther than any
    /// that is; a region's own hubs are at no distance.
    #[serde(default, with = "latencies")]
    pub latency: BTreeMap<String, Duration>,
}

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

/// Durations as people write them: `85ms`.
mod latencies {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use jiff::SignedDuration;
    use serde::de::{Deserializer, Error as _};
    use serde::ser::Serializer;
    use serde::{Deserialize, Serialize};

    pub(super) fn serialize<S: Serializer>(
        latency: &BTreeMap<String, Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let written: BTreeMap<_, _> = latency
            .iter()
            .map(|(region, time)| {
                let time = SignedDuration::try_from(*time).unwrap_or(SignedDuration::MAX);
                (region, format!("{time:#}"))
            })
            .collect();
        written.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Duration>, D::Error> {
        BTreeMap::<String, String>::deserialize(deserializer)?
            .into_iter()
            .map(|(region, text)| {
                let time = text.parse::<SignedDuration>().ok();
                match time.and_then(|time| Duration::try_from(time).ok()) {
                    Some(time) => Ok((region, time)),
                    None => Err(D::Error::custom(format!(
                        "latency.{region}: \"{text}\" is no time like \"85ms\""
                    ))),
                }
            })
            .collect()
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
