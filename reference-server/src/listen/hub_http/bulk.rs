//! Many identities in one request (IoT Hub REST reference, "Bulk Registry - Update Registry"). What
//! fails is told item by item; the rest is done. SDKs know the answer with failures by its status and
//! `iothub-errorcode`.

use fleetstorm_protocol::document;
use fleetstorm_protocol::ids::{ClientId, DeviceId, ModuleId};
use hyper::StatusCode;
use hyper::header::HeaderValue;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answered, json, with_json};
use super::documents::{IdentityDocument, malformed};
use crate::hub::HubRefusal;
use crate::hub::identity::Condition;
use crate::hub::registry::Hub;
use crate::hub::twin::{TwinChange, TwinPatch};

/// Devices that one request may have.
const MAX_DEVICES: usize = 100;

/// One device, and what becomes of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    id: String,
    module_id: Option<String>,
    #[serde(default)]
    import_mode: ImportMode,
    etag: Option<String>,
    #[serde(rename = "twinETag")]
    twin_etag: Option<String>,
    #[serde(flatten)]
    identity: IdentityDocument,
    #[serde(flatten)]
    twin: TwinPatch,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ImportMode {
    Create,
    #[default]
    CreateOrUpdate,
    Update,
    UpdateIfMatchETag,
    UpdateTwin,
    UpdateTwinIfMatchETag,
    Delete,
    DeleteIfMatchETag,
}

/// Does what `body` says to each device in turn.
pub(super) fn answer(hub: &Hub, body: &[u8], now: Timestamp) -> Answered {
    let items: Vec<Value> = document::read("body", body)
        .map_err(|problem| HubRefusal::Malformed(problem.to_string()))?;
    if items.len() > MAX_DEVICES {
        return Err(HubRefusal::TooManyDevices(items.len(), MAX_DEVICES));
    }
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for item in items {
        let named = item["id"].clone();
        let read = serde_json::from_value::<Item>(item);
        let done = read
            .map_err(|problem| HubRefusal::Malformed(problem.to_string()))
            .and_then(|item| item.apply(hub, now));
        match done {
            Ok(None) => {}
            Ok(Some(problem)) => warnings.push(json!({
                "deviceId": named,
                "warningCode": "DeviceRegisteredWithoutTwin",
                "warningStatus": problem.to_string(),
            })),
            Err(refusal) => errors.push(json!({
                "deviceId": named,
                "errorCode": refusal.name(),
                "errorStatus": refusal.to_string(),
            })),
        }
    }
    let is_successful = errors.is_empty();
    let result = json!({"isSuccessful": is_successful, "errors": errors, "warnings": warnings});
    if is_successful {
        return Ok(json(&result));
    }
    let mut response = with_json(StatusCode::BAD_REQUEST, &result);
    let code = HeaderValue::from_static("BulkRegistryOperationFailure");
    response.headers_mut().insert("iothub-errorcode", code);
    Ok(response)
}

impl Item {
    /// Returns what is wrong with the twin of an identity that was written all the same.
    fn apply(self, hub: &Hub, now: Timestamp) -> Result<Option<HubRefusal>, HubRefusal> {
        let device = DeviceId::parse(&self.id).map_err(|e| malformed("id", e.to_string()))?;
        let device = match &self.module_id {
            None => device.into(),
            Some(module) => {
                let module = ModuleId::parse(module);
                let module = module.map_err(|e| malformed("moduleId", e.to_string()))?;
                ClientId::of_module(device.as_str(), &module)
            }
        };
        let condition = match self.import_mode {
            ImportMode::Create => Condition::Unnamed,
            ImportMode::CreateOrUpdate => Condition::Waived,
            ImportMode::Update | ImportMode::UpdateTwin | ImportMode::Delete => Condition::Exists,
            ImportMode::UpdateIfMatchETag | ImportMode::DeleteIfMatchETag => {
                Condition::Is(tag("eTag", self.etag.as_deref())?)
            }
            ImportMode::UpdateTwinIfMatchETag => {
                Condition::Is(tag("twinETag", self.twin_etag.as_deref())?)
            }
        };
        let has_twin = self.twin != TwinPatch::default();
        match self.import_mode {
            ImportMode::Delete | ImportMode::DeleteIfMatchETag => {
                hub.remove_identity(&device, condition)?;
            }
            ImportMode::UpdateTwin | ImportMode::UpdateTwinIfMatchETag => {
                let change = TwinChange::Replace;
                hub.change_twin(&device, self.twin, change, condition, now)?;
            }
            ImportMode::Create
            | ImportMode::CreateOrUpdate
            | ImportMode::Update
            | ImportMode::UpdateIfMatchETag => {
                let wanted = self.identity.wanted(&device)?;
                hub.put_identity(&device, wanted, condition, now)?;
                if has_twin {
                    let (change, condition) = (TwinChange::Merge, Condition::Exists);
                    let changed = hub.change_twin(&device, self.twin, change, condition, now);
                    return Ok(changed.err());
                }
            }
        }
        Ok(None)
    }
}

/// The entity tag that the mode needs, without its quotes.
fn tag<'a>(name: &str, written: Option<&'a str>) -> Result<&'a str, HubRefusal> {
    let tag = written.map(|tag| tag.trim_matches('"'));
    tag.filter(|tag| !tag.is_empty())
        .ok_or_else(|| malformed(name, "is missing: importMode asks for it".into()))
}
