//! How values of a configuration are written, and what stands where they are left out.

use rustls::pki_types::ServerName;

/// Whether it is the name of a host, as clients ask for it.
pub(crate) fn is_host(name: &str) -> bool {
    ServerName::try_from(name).is_ok()
}

/// Whose what nobody claims is.
pub(crate) fn default_subscription() -> String {
    "00000000-0000-0000-0000-000000000001".into()
}

/// A duration as a whole number.
pub(crate) mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        // A TOML integer ends at 2⁶³ anyway; a u32 is seven weeks.
        u32::deserialize(deserializer).map(|ms| Duration::from_millis(ms.into()))
    }
}
