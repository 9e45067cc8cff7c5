//! A hub over HTTPS: a device's own paths and the service API
//! (IoT Hub REST reference; IoT Hub documentation, "Communicate using HTTPS").

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleetstorm_protocol::api_version;
use fleetstorm_protocol::fault::{FaultOperation, FaultProtocol};
use fleetstorm_protocol::hub::route::{DeviceOperation, HubOperation, HubRoute};
use fleetstorm_protocol::hub::sas_resource;
use fleetstorm_protocol::path_error::PathError;
use fleetstorm_protocol::timestamp;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::ask::{FaultEffect, at_hub};
use super::body::{Body, BodyError};
use super::client::Client;
use super::server::Server;
use crate::hub::HubRefusal;
use crate::hub::registry::Hub;
use crate::service::request::ServiceResponse;
use answer::{empty, with_json};

pub(super) mod message;

mod answer;
mod bulk;
mod device;
mod documents;
mod registry;
mod service;

/// Largest body: a batch of messages.
const MAX_BODY: usize = 512 * 1024;

/// Answers a request to `hub`. Who asks is looked at before the body is.
pub(super) async fn respond(
    hub: &Arc<Hub>,
    request: Request<Body>,
    client: &Client,
    server: &Server,
) -> Response<Full<Bytes>> {
    let now = Timestamp::now();
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let route = match HubRoute::parse(head.method.as_str(), path, head.uri.query()) {
        Ok(route) => route,
        Err(PathError::NotFound) => return empty(StatusCode::NOT_FOUND),
        Err(PathError::MethodNotAllowed) => return empty(StatusCode::METHOD_NOT_ALLOWED),
        Err(PathError::Malformed(problem)) => {
            return refusal(&HubRefusal::Malformed(problem.to_string()), now);
        }
    };
    // The path has one, or it was malformed.
    let version = api_version::of_query(head.uri.query());
    if version.is_ok_and(|version| !server.hub_versions.serve(&version)) {
        return refusal(&HubRefusal::UnknownVersion, now);
    }
    let token = head
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let answered = async {
        let (device, operation) = match route {
            HubRoute::Client(device, operation) => (device, operation),
            HubRoute::Registry(operation) => {
                let permission = registry::permission(operation);
                hub.authorize_service(hub.host_name(), token, permission, now)?;
                let body = read(body, server.limits.body).await?;
                let asked = registry::AuthorizedRequest {
                    hub,
                    headers: &head.headers,
                    body: &body,
                    now,
                };
                return registry::answer(operation, &asked).await;
            }
        };
        match operation {
            HubOperation::Device(operation) => {
                let met = match operation {
                    DeviceOperation::Send => FaultOperation::Telemetry,
                    _ => FaultOperation::HubConnect,
                };
                let met = at_hub(hub.host_name(), &device, FaultProtocol::Https, met);
                if let Some(FaultEffect::Refused(answer)) = server.fault_effect(client, met).await {
                    return Ok(refused_by_fault(answer));
                }
                let certificates = &client.certificates;
                let device = hub.authenticate(&device, token, certificates, now)?;
                let body = read(body, server.limits.body).await?;
                device::answer(&device, &operation, &head.headers, &body, now)
            }
            HubOperation::Service(operation) => {
                let resource = sas_resource(hub.host_name(), &device);
                let permission = service::permission(operation);
                let authorized = hub.authorize_service(&resource, token, permission, now);
                if authorized.is_err() && service::is_for_device(operation, &device) {
                    let (itself, certificates) = (device.device(), &client.certificates);
                    let admitted = hub.authenticate(&itself, token, certificates, now)?;
                    if !admitted.is_itself() {
                        return Err(HubRefusal::Unauthorized);
                    }
                } else {
                    authorized?;
                }
                let body = read(body, server.limits.body).await?;
                let asked = service::AuthorizedRequest {
                    hub,
                    device: &device,
                    headers: &head.headers,
                    body: &body,
                    now,
                };
                service::answer(operation, &asked).await
            }
        }
    };
    let answered = answered.await;
    let settled = server.store.settled().await;
    settled
        .map_err(|_| HubRefusal::NotKept)
        .and(answered)
        .unwrap_or_else(|refused| refusal(&refused, now))
}

async fn read(body: Body, limit: Duration) -> Result<Bytes, HubRefusal> {
    body.read(MAX_BODY, limit)
        .await
        .map_err(|error| match error {
            BodyError::TooLong => {
                HubRefusal::TooLarge(format!("body: the limit is {MAX_BODY} bytes"))
            }
            BodyError::TooSlow => HubRefusal::TooSlow,
            BodyError::CutShort => HubRefusal::Malformed("the body was cut short".into()),
        })
}

fn refused_by_fault(answer: ServiceResponse) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body.into()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = answer.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// The documented body of an error. What concerns the device's connection comes as text in text.
fn refusal(refused: &HubRefusal, now: Timestamp) -> Response<Full<Bytes>> {
    let tracking = format!("{}-TimeStamp:{now}", Uuid::new_v4().simple());
    let body = match refused {
        HubRefusal::NotOnline | HubRefusal::NoAnswer => {
            let inner = json!({
                "errorCode": refused.code(),
                "trackingId": tracking,
                "message": refused.to_string(),
                "timestampUtc": timestamp::format(now),
            });
            json!({"Message": inner.to_string(), "ExceptionMessage": ""})
        }
        refused => json!({
            "Message": format!("ErrorCode:{};{refused}", refused.name()),
            "ExceptionMessage": format!("Tracking ID:{tracking}"),
        }),
    };
    let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = with_json(status, &body);
    response
        .headers_mut()
        .insert("iothub-errorcode", HeaderValue::from_static(refused.name()));
    response
}
