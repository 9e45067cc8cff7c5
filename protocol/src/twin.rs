//! Device twin documents (IoT Hub documentation, "Understand and use device twins").

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use limits::{Part, check_size, check_whole};

pub mod limits;

/// What an enrollment asks a new twin to hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InitialTwin {
    /// Seen by the service only.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub tags: Map<String, Value>,
    /// Seen by the device.
    pub properties: InitialTwinProperties,
}

/// Properties of a new twin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InitialTwinProperties {
    /// What the device should be.
    pub desired: Map<String, Value>,
}

/// What a device gets when it reads its twin: no `properties` wrapper, no tags;
/// each part carries its `$version`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceTwin {
    /// What the device should be.
    pub desired: Map<String, Value>,
    /// What the device said it is.
    pub reported: Map<String, Value>,
}

impl InitialTwin {
    /// Whether a twin can hold it.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), String> {
        let parts = [
            (Part::Tags, &self.tags),
            (Part::Desired, &self.properties.desired),
        ];
        parts.into_iter().try_for_each(|(part, document)| {
            check_whole(part, document)?;
            check_size(part, document)
        })
    }
}

impl DeviceTwin {
    /// The desired properties without `$version` and `$metadata`.
    pub fn desired_properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.desired.iter().filter(|(key, _)| !key.starts_with('$'))
    }
}
