//! Which versions of the APIs are served.

use fleetstorm_protocol::api_version::{OF_DPS, OF_HUBS};

/// Those that are known, and those that the configuration adds.
#[derive(Debug, Clone)]
pub struct ApiVersions {
    known: &'static [&'static str],
    added: Vec<String>,
}

impl ApiVersions {
    /// Those of DPS.
    pub fn of_dps(added: &[String]) -> Self {
        Self {
            known: &OF_DPS,
            added: added.to_vec(),
        }
    }

    /// Those of hubs, over HTTPS.
    pub fn of_hubs(added: &[String]) -> Self {
        Self {
            known: &OF_HUBS,
            added: added.to_vec(),
        }
    }

    /// Whether a version is one of them.
    pub fn serve(&self, version: &str) -> bool {
        let added = self.added.iter().map(String::as_str);
        let mut served = self.known.iter().copied().chain(added);
        served.any(|known| known.eq_ignore_ascii_case(version))
    }
}
