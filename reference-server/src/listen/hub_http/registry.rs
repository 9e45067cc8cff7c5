//! What the service side asks a hub about all its devices.

use fleetstorm_protocol::document;
use fleetstorm_protocol::hub::route::RegistryOperation;
use http_body_util::Full;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answered, json};
use super::bulk;
use super::documents::{identity_document, twin_document};
use crate::hub::HubRefusal;
use crate::hub::config::HubPermission;
use crate::hub::query::Query;
use crate::hub::registry::Hub;

/// Twins of a page, where the client does not say; and the most, whatever it says.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;

const MAX_ITEMS: HeaderName = HeaderName::from_static("x-ms-max-item-count");
const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");
const ITEM_TYPE: HeaderName = HeaderName::from_static("x-ms-item-type");

/// A request whose asker may ask it.
pub(super) struct AuthorizedRequest<'a> {
    pub(super) hub: &'a Hub,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    pub(super) now: Timestamp,
}

/// What it takes to ask.
pub(super) fn permission(operation: RegistryOperation) -> HubPermission {
    match operation {
        RegistryOperation::List { .. }
        | RegistryOperation::CountDevices
        | RegistryOperation::CountConnected => HubPermission::RegistryRead,
        RegistryOperation::Bulk => HubPermission::RegistryWrite,
        RegistryOperation::Query => HubPermission::ServiceConnect,
    }
}

/// Answers it.
pub(super) async fn answer(
    operation: RegistryOperation,
    asked: &AuthorizedRequest<'_>,
) -> Answered {
    let hub = asked.hub;
    let document = match operation {
        RegistryOperation::List { top } => {
            let listed = hub.list(top).await;
            let written = listed
                .iter()
                .map(|(device, identity)| identity_document(device, identity));
            Value::Array(written.collect())
        }
        RegistryOperation::Bulk => return bulk::answer(hub, asked.body, asked.now),
        RegistryOperation::Query => return query(asked).await,
        RegistryOperation::CountDevices => {
            let counted = hub.statistics().await;
            json!({
                "totalDeviceCount": counted.enabled + counted.disabled,
                "enabledDeviceCount": counted.enabled,
                "disabledDeviceCount": counted.disabled,
            })
        }
        RegistryOperation::CountConnected => {
            json!({"connectedDeviceCount": hub.statistics().await.connected})
        }
    };
    Ok(json(&document))
}

/// Body of a query.
#[derive(Deserialize)]
struct QuerySpecification {
    query: String,
}

async fn query(asked: &AuthorizedRequest<'_>) -> Answered {
    let QuerySpecification { query } = document::read("body", asked.body)
        .map_err(|problem| HubRefusal::Malformed(problem.to_string()))?;
    let query = Query::parse(&query)?;
    let limit = asked.text(&MAX_ITEMS).map(limit).transpose()?;
    let from = asked.text(&CONTINUATION).filter(|from| !from.is_empty());
    let found = asked
        .hub
        .search(from, limit.unwrap_or(PAGE), |device, identity, twin| {
            let twin = twin_document(device, identity, twin);
            query.finds(&twin).then(|| twin.to_string().into_bytes())
        });
    let page = found.await?;
    let body = [b"[", page.documents.join(&b',').as_slice(), b"]"].concat();
    let mut response = Response::new(Full::new(body.into()));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    headers.insert(ITEM_TYPE, HeaderValue::from_static("Twin"));
    if let Some(Ok(next)) = page.next.map(HeaderValue::try_from) {
        headers.insert(CONTINUATION, next);
    }
    Ok(response)
}

/// Above the most, the most: the page is shorter then.
fn limit(written: &str) -> Result<usize, HubRefusal> {
    let number = written.trim().parse::<usize>().ok();
    let number = number.filter(|number| *number > 0);
    number.map(|number| number.min(MAX_PAGE)).ok_or_else(|| {
        HubRefusal::Malformed(format!("{MAX_ITEMS}: \"{written}\" is no number above 0"))
    })
}

impl AuthorizedRequest<'_> {
    fn text(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
