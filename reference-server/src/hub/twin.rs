//! A device's twin (IoT Hub documentation, "Understand and use device twins").
//!
//! Kept as its device reads it, rendered: a million devices read it far more often than
//! anybody writes it; those that nobody has changed share it. What only the service sees is kept
//! once there is something to see.

use std::sync::Arc;

use bytes::Bytes;
use fleetstorm_protocol::timestamp;
use fleetstorm_protocol::twin::limits::{Part, check_form, check_size, check_whole};
use fleetstorm_protocol::twin::{DeviceTwin, InitialTwin};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::HubRefusal;
use merge::{Stamp, difference, merge, note};

pub(super) mod kept;

mod merge;
mod shared;

pub(super) use shared::SharedViews;

/// Version of both parts of a new twin.
const FIRST_VERSION: u64 = 1;

/// One device's.
#[derive(Debug, Clone)]
pub(super) struct Twin {
    created: Timestamp,
    /// Rendered: `{"desired":{…,"$version":n},"reported":{…,"$version":m}}`.
    view: Arc<[u8]>,
    hidden: Option<Box<Hidden>>,
}

/// What the device does not see.
#[derive(Debug, Clone, Default)]
struct Hidden {
    tags: Map<String, Value>,
    /// Rendered [`Metadata`]; when absent, all is as old as the twin.
    metadata: Option<Box<[u8]>>,
    /// Changes since it was created.
    changes: u64,
    /// Those of them that the service made.
    service_changes: u64,
    /// What the device says that it is.
    model_id: Option<Box<str>>,
}

/// When each property changed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Metadata {
    desired: Map<String, Value>,
    reported: Map<String, Value>,
}

/// A change that the service asks for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct TwinPatch {
    /// Tags.
    pub tags: Option<Map<String, Value>>,
    /// Properties.
    pub properties: TwinPatchProperties,
}

/// The properties that the service may change.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct TwinPatchProperties {
    /// What the device should be.
    pub desired: Option<Map<String, Value>>,
}

/// What a patch does to what stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TwinChange {
    /// Merges with it (PATCH).
    Merge,
    /// Takes its place (PUT).
    Replace,
}

impl TwinChange {
    /// Whether a part can be changed so.
    fn check(self, part: Part, asked: &Map<String, Value>) -> Result<(), HubRefusal> {
        let checked = match self {
            Self::Merge => check_form(part, asked),
            Self::Replace => check_whole(part, asked),
        };
        checked.map_err(HubRefusal::Malformed)
    }
}

/// Desired properties that changed, as the device is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredChange {
    /// The new `$version`.
    pub version: u64,
    /// The patch in JSON, `$version` included.
    pub patch: Bytes,
}

/// A twin as the service reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct TwinDocument {
    /// Tags.
    pub tags: Map<String, Value>,
    /// With `$metadata` and `$version`.
    pub desired: Map<String, Value>,
    /// With `$metadata` and `$version`.
    pub reported: Map<String, Value>,
    /// Grows with each change of any part.
    pub version: u64,
    /// Changes with tags and desired properties.
    pub etag: String,
    /// What the device says that it is (IoT Plug and Play).
    pub model_id: Option<String>,
}

impl Twin {
    /// Desired as the enrollment asks, nothing reported.
    pub(super) fn new(initial: Option<&InitialTwin>, views: &SharedViews, now: Timestamp) -> Self {
        let mut twin = DeviceTwin::default();
        let mut hidden = None;
        if let Some(initial) = initial {
            twin.desired = initial.properties.desired.clone();
            if !initial.tags.is_empty() {
                hidden = Some(Box::new(Hidden {
                    tags: initial.tags.clone(),
                    ..Hidden::default()
                }));
            }
        }
        set_version(&mut twin.desired, FIRST_VERSION);
        set_version(&mut twin.reported, FIRST_VERSION);
        Self {
            created: now,
            view: views.share(render(&twin)),
            hidden,
        }
    }

    /// As its device reads it, in JSON.
    pub(super) fn view(&self) -> &[u8] {
        &self.view
    }

    /// When it was created.
    pub(super) fn created(&self) -> Timestamp {
        self.created
    }

    /// Entity tag of tags and desired properties: the base64 of a number, as IoT Hub's are.
    pub(super) fn etag(&self) -> String {
        let changes = self
            .hidden
            .as_ref()
            .map_or(0, |hidden| hidden.service_changes);
        super::entity_tag(changes + 1)
    }

    /// The device says what it is: a merge patch in JSON. Returns the new `$version`.
    ///
    /// # Errors
    /// No JSON object, or one that breaks a rule; nothing has changed then.
    pub(super) fn patch_reported(
        &mut self,
        patch: &[u8],
        now: Timestamp,
    ) -> Result<u64, HubRefusal> {
        let mut patch: Map<String, Value> = serde_json::from_slice(patch)
            .map_err(|e| HubRefusal::Malformed(format!("reported properties: {e}")))?;
        // The SDKs may send back what they read.
        patch.remove("$version");
        patch.remove("$metadata");
        check_form(Part::Reported, &patch).map_err(HubRefusal::Malformed)?;
        let mut twin = self.parsed();
        let mut metadata = self.metadata(&twin);
        let version = version_of(&twin.reported) + 1;
        twin.reported.remove("$version");
        merge(&mut twin.reported, &patch);
        check_size(Part::Reported, &twin.reported).map_err(HubRefusal::TooLarge)?;
        note(&mut metadata.reported, &patch, &stamp(now, None));
        set_version(&mut twin.reported, version);
        self.keep(&twin, &metadata);
        Ok(version)
    }

    /// The service says what the device should be. Returns what the device has to be told, if
    /// there is anything.
    ///
    /// # Errors
    /// Something breaks a rule; nothing has changed then.
    pub(super) fn change(
        &mut self,
        patch: TwinPatch,
        change: TwinChange,
        now: Timestamp,
    ) -> Result<Option<DesiredChange>, HubRefusal> {
        let tags = self.changed_tags(patch.tags, change)?;
        let mut twin = self.parsed();
        let mut metadata = self.metadata(&twin);
        let told = match (patch.properties.desired, change) {
            (None, TwinChange::Merge) => None,
            (desired, change) => {
                let desired = desired.unwrap_or_default();
                change_desired(&mut twin, &mut metadata, desired, change, now)?
            }
        };
        self.keep(&twin, &metadata);
        let hidden = self.hidden.get_or_insert_default();
        hidden.service_changes += 1;
        if let Some(tags) = tags {
            hidden.tags = tags;
        }
        Ok(told)
    }

    /// As the service reads it.
    pub(super) fn document(&self) -> TwinDocument {
        let mut twin = self.parsed();
        let metadata = self.metadata(&twin);
        twin.desired
            .insert("$metadata".into(), Value::Object(metadata.desired));
        twin.reported
            .insert("$metadata".into(), Value::Object(metadata.reported));
        let hidden = self.hidden.as_ref();
        TwinDocument {
            tags: hidden.map(|hidden| hidden.tags.clone()).unwrap_or_default(),
            desired: twin.desired,
            reported: twin.reported,
            // Both parts at their first version make two.
            version: 2 * FIRST_VERSION + hidden.map_or(0, |hidden| hidden.changes),
            etag: self.etag(),
            model_id: hidden.and_then(|hidden| hidden.model_id.as_deref().map(str::to_owned)),
        }
    }

    /// The device says what it is. Returns whether that is new.
    pub(super) fn set_model(&mut self, model_id: &str) -> bool {
        let hidden = self.hidden.get_or_insert_default();
        let is_new = hidden.model_id.as_deref() != Some(model_id);
        if is_new {
            hidden.model_id = Some(model_id.into());
        }
        is_new
    }

    /// The tags after a change, or none when they stay as they are.
    fn changed_tags(
        &self,
        patch: Option<Map<String, Value>>,
        change: TwinChange,
    ) -> Result<Option<Map<String, Value>>, HubRefusal> {
        let patch = match (patch, change) {
            (None, TwinChange::Merge) => return Ok(None),
            (patch, _) => patch.unwrap_or_default(),
        };
        change.check(Part::Tags, &patch)?;
        let mut tags = match (change, &self.hidden) {
            (TwinChange::Merge, Some(hidden)) => hidden.tags.clone(),
            _ => Map::new(),
        };
        merge(&mut tags, &patch);
        check_size(Part::Tags, &tags).map_err(HubRefusal::TooLarge)?;
        Ok(Some(tags))
    }

    fn parsed(&self) -> DeviceTwin {
        serde_json::from_slice(&self.view).expect("a twin renders to what reads back as one")
    }

    fn metadata(&self, twin: &DeviceTwin) -> Metadata {
        let kept = self
            .hidden
            .as_ref()
            .and_then(|hidden| hidden.metadata.as_deref());
        if let Some(kept) = kept {
            return serde_json::from_slice(kept).expect("metadata render to what reads back");
        }
        let mut metadata = Metadata::default();
        let mut desired = twin.desired.clone();
        desired.remove("$version");
        let first = Some(FIRST_VERSION);
        note(&mut metadata.desired, &desired, &stamp(self.created, first));
        note(
            &mut metadata.reported,
            &Map::new(),
            &stamp(self.created, None),
        );
        metadata
    }

    fn keep(&mut self, twin: &DeviceTwin, metadata: &Metadata) {
        self.view = render(twin).into();
        let hidden = self.hidden.get_or_insert_default();
        hidden.changes += 1;
        hidden.metadata = Some(render(metadata));
    }
}

/// Changes the desired properties and says how. A replacement that changes nothing tells nothing.
fn change_desired(
    twin: &mut DeviceTwin,
    metadata: &mut Metadata,
    mut asked: Map<String, Value>,
    change: TwinChange,
    now: Timestamp,
) -> Result<Option<DesiredChange>, HubRefusal> {
    asked.remove("$version");
    asked.remove("$metadata");
    change.check(Part::Desired, &asked)?;
    let version = version_of(&twin.desired) + 1;
    twin.desired.remove("$version");
    let mut patch = match change {
        TwinChange::Merge => asked,
        TwinChange::Replace => difference(&twin.desired, &asked),
    };
    merge(&mut twin.desired, &patch);
    check_size(Part::Desired, &twin.desired).map_err(HubRefusal::TooLarge)?;
    note(&mut metadata.desired, &patch, &stamp(now, Some(version)));
    set_version(&mut twin.desired, version);
    set_version(&mut patch, version);
    Ok(Some(DesiredChange {
        version,
        patch: render(&patch).into(),
    }))
}

fn stamp(time: Timestamp, version: Option<u64>) -> Stamp {
    Stamp {
        time: timestamp::format(time),
        version,
    }
}

fn version_of(properties: &Map<String, Value>) -> u64 {
    properties
        .get("$version")
        .and_then(Value::as_u64)
        .unwrap_or(FIRST_VERSION)
}

fn set_version(properties: &mut Map<String, Value>, version: u64) {
    properties.insert("$version".into(), json!(version));
}

fn render(document: &impl Serialize) -> Box<[u8]> {
    serde_json::to_vec(document)
        .expect("maps of JSON values are JSON")
        .into()
}

#[cfg(test)]
mod tests;
