//! What the service side asks a hub about all its devices.

use fleetstorm_protocol::hub::route::RegistryOperation;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::documents::identity_document;
use super::{Answered, bulk};
use crate::hub::registry::HubRegistry;

/// Answers one whose asker may ask.
pub(super) async fn answer(
    hubs: &HubRegistry,
    hub: &str,
    operation: RegistryOperation,
    body: &[u8],
    now: Timestamp,
) -> Answered {
    let document = match operation {
        RegistryOperation::List { top } => {
            let listed = hubs.list(hub, top).await?;
            let written = listed
                .iter()
                .map(|(device, identity)| identity_document(device, identity));
            Value::Array(written.collect())
        }
        RegistryOperation::Bulk => return bulk::answer(hubs, hub, body, now),
        RegistryOperation::CountDevices => {
            let counted = hubs.statistics(hub).await?;
            json!({
                "totalDeviceCount": counted.enabled + counted.disabled,
                "enabledDeviceCount": counted.enabled,
                "disabledDeviceCount": counted.disabled,
            })
        }
        RegistryOperation::CountConnected => {
            json!({"connectedDeviceCount": hubs.statistics(hub).await?.connected})
        }
    };
    Ok(super::json(&document))
}
