//! What the service side asks a hub over HTTPS.

use std::time::Duration;

use bytes::Bytes;
use fleetstorm_protocol::document;
use fleetstorm_protocol::hub::route::ServiceOperation;
use fleetstorm_protocol::ids::ClientId;
use hyper::StatusCode;
use hyper::header::{ETAG, HeaderMap, HeaderValue, IF_MATCH};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::{Answered, empty, json};
use super::documents::{IdentityDocument, identity_document, twin_document};
use crate::hub::HubRefusal;
use crate::hub::config::HubPermission;
use crate::hub::identity::Condition;
use crate::hub::registry::Hub;
use crate::hub::twin::{TwinChange, TwinPatch};

/// How long a device may take to answer a call, when nothing else is said.
const RESPONSE_SECONDS: u64 = 30;
/// How long it may take at most, and how long one may wait for it to connect.
const LONGEST_SECONDS: u64 = 300;
/// Largest payload of a call.
const MAX_PAYLOAD: usize = 128 * 1024;

/// A request whose asker may ask it.
pub(super) struct AuthorizedRequest<'a> {
    pub(super) hub: &'a Hub,
    pub(super) device: &'a ClientId,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    pub(super) now: Timestamp,
}

/// What it takes to ask.
pub(super) fn permission(operation: ServiceOperation) -> HubPermission {
    use ServiceOperation::{
        CallMethod, ListModules, PatchTwin, PurgeMessages, PutIdentity, ReadIdentity, ReadTwin,
        RemoveIdentity, ReplaceTwin,
    };
    match operation {
        ReadIdentity | ListModules => HubPermission::RegistryRead,
        PutIdentity | RemoveIdentity => HubPermission::RegistryWrite,
        PurgeMessages | ReadTwin | PatchTwin | ReplaceTwin | CallMethod => {
            HubPermission::ServiceConnect
        }
    }
}

/// Whether a device may ask it, too: a device of IoT Edge keeps its own modules.
pub(super) fn is_for_device(operation: ServiceOperation, client: &ClientId) -> bool {
    match operation {
        ServiceOperation::ListModules => true,
        ServiceOperation::ReadIdentity
        | ServiceOperation::PutIdentity
        | ServiceOperation::RemoveIdentity => client.is_module(),
        _ => false,
    }
}

/// Answers it.
pub(super) async fn answer(operation: ServiceOperation, asked: &AuthorizedRequest<'_>) -> Answered {
    let AuthorizedRequest {
        hub, device, now, ..
    } = *asked;
    match operation {
        ServiceOperation::ReadIdentity => {
            let identity = hub.identity(device)?;
            Ok(tagged(
                &identity.etag,
                &identity_document(device, &identity),
            ))
        }
        ServiceOperation::PutIdentity => {
            let wanted = asked.document::<IdentityDocument>()?.wanted(device)?;
            let identity = hub.put_identity(device, wanted, asked.condition(), now)?;
            Ok(tagged(
                &identity.etag,
                &identity_document(device, &identity),
            ))
        }
        ServiceOperation::RemoveIdentity => {
            hub.remove_identity(device, asked.condition())?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        ServiceOperation::ListModules => {
            let listed = hub.modules(device)?;
            let written = listed
                .iter()
                .map(|(module, identity)| identity_document(module, identity));
            Ok(json(&Value::Array(written.collect())))
        }
        ServiceOperation::PurgeMessages => {
            let purged = hub.purge_messages(device)?;
            let document = json!({
                "deviceId": device.as_str(),
                "moduleId": null,
                "totalMessagesPurged": purged,
            });
            Ok(json(&document))
        }
        ServiceOperation::ReadTwin => {
            let (identity, twin) = hub.twin(device)?;
            Ok(tagged(&twin.etag, &twin_document(device, &identity, &twin)))
        }
        ServiceOperation::PatchTwin => change_twin(asked, TwinChange::Merge),
        ServiceOperation::ReplaceTwin => change_twin(asked, TwinChange::Replace),
        ServiceOperation::CallMethod => call(asked).await,
    }
}

impl AuthorizedRequest<'_> {
    fn document<Document: DeserializeOwned>(&self) -> Result<Document, HubRefusal> {
        document::read("body", self.body)
            .map_err(|problem| HubRefusal::Malformed(problem.to_string()))
    }

    /// `If-Match`, whose quotes some clients leave out and others put around the star.
    fn condition(&self) -> Condition<'_> {
        let named = self
            .headers
            .get(IF_MATCH)
            .and_then(|value| value.to_str().ok());
        match named.map(|named| named.trim().trim_matches('"')) {
            None | Some("") => Condition::Unnamed,
            Some("*") => Condition::Exists,
            Some(etag) => Condition::Is(etag),
        }
    }
}

fn change_twin(asked: &AuthorizedRequest<'_>, change: TwinChange) -> Answered {
    let patch: TwinPatch = asked.document()?;
    let (identity, twin) =
        asked
            .hub
            .change_twin(asked.device, patch, change, asked.condition(), asked.now)?;
    Ok(tagged(
        &twin.etag,
        &twin_document(asked.device, &identity, &twin),
    ))
}

/// Body of a call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    method_name: String,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    response_timeout_in_seconds: Option<u64>,
    #[serde(default)]
    connect_timeout_in_seconds: Option<u64>,
}

async fn call(asked: &AuthorizedRequest<'_>) -> Answered {
    let call: Call = asked.document()?;
    let payload = Bytes::from(call.payload.to_string());
    if payload.len() > MAX_PAYLOAD {
        return Err(HubRefusal::TooLarge(format!(
            "payload: {} bytes, the limit is {MAX_PAYLOAD}",
            payload.len()
        )));
    }
    let connecting = seconds(
        "connectTimeoutInSeconds",
        call.connect_timeout_in_seconds,
        0,
    )?;
    let answering = seconds(
        "responseTimeoutInSeconds",
        call.response_timeout_in_seconds,
        RESPONSE_SECONDS,
    )?;
    let begin = || {
        asked
            .hub
            .call(asked.device, &call.method_name, payload.clone())
    };
    let pending = match begin() {
        Err(HubRefusal::NotOnline) if !connecting.is_zero() => {
            let arrival = asked.hub.arrival(asked.device)?;
            let arrived = tokio::time::timeout(connecting, arrival).await;
            arrived
                .ok()
                .and_then(Result::ok)
                .ok_or(HubRefusal::NotOnline)?;
            begin()?
        }
        begun => begun?,
    };
    let answer = tokio::time::timeout(answering, pending.answer())
        .await
        .map_err(|_| HubRefusal::NoAnswer)??;
    let payload = match serde_json::from_slice(&answer.payload) {
        Ok(payload) => payload,
        Err(_) if answer.payload.trim_ascii().is_empty() => Value::Null,
        Err(_) => Value::String(String::from_utf8_lossy(&answer.payload).into_owned()),
    };
    Ok(json(&json!({"status": answer.status, "payload": payload})))
}

fn seconds(name: &'static str, asked: Option<u64>, otherwise: u64) -> Result<Duration, HubRefusal> {
    let seconds = asked.unwrap_or(otherwise);
    if seconds > LONGEST_SECONDS {
        return Err(HubRefusal::Malformed(format!(
            "{name}: {seconds}, the limit is {LONGEST_SECONDS}"
        )));
    }
    Ok(Duration::from_secs(seconds))
}

fn tagged(etag: &str, document: &Value) -> hyper::Response<http_body_util::Full<Bytes>> {
    let mut response = json(document);
    if let Ok(etag) = HeaderValue::try_from(format!("\"{etag}\"")) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}
