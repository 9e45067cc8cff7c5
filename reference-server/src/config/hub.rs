//! `[[hub]]` and `[[region]]`: where devices can be assigned to, and how far that is.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A hub of the server; instances link hubs by host name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HubConfig {
    /// Host name, unique in the server.
    pub host_name: String,
    /// Name of the `[[region]]` that it stands in; nowhere in particular when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whose it is. An instance may link hubs of other subscriptions.
    #[serde(default = "super::default_subscription")]
    pub subscription: String,
    /// Key of the policy `iothubowner`, in base64, for the hub's service API; a new one when
    /// absent. `serve` announces connection strings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_key: Option<String>,
}

impl HubConfig {
    /// A hub with this host name, and defaults.
    pub fn named(host_name: impl Into<String>) -> Self {
        Self {
            host_name: host_name.into(),
            region: None,
            subscription: super::default_subscription(),
            service_key: None,
        }
    }
}

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
