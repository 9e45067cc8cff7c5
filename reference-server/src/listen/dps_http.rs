//! The DPS device API over HTTPS (DPS REST reference, "Runtime registration").

use bytes::Bytes;
use fleetstorm_protocol::attestation::Protocol;
use fleetstorm_protocol::http::{DeviceOperation, DeviceRequest, MAX_BODY};
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use hyper::{Request, Response};

use super::body::Body;
use super::client::Client;
use super::http_answer::{no_body, refusal, refused, response};
use super::server::Server;
use crate::service::refusal::Refusal;
use crate::service::request::RegistrationRequest;

/// Answers a device, at the global endpoint or at the name of an instance, which private endpoints have.
pub(super) async fn respond(
    name: &str,
    request: Request<Body>,
    client: &Client,
    server: &Server,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let answered = async {
        let asked = DeviceRequest::parse(head.method.as_str(), head.uri.path(), head.uri.query())
            .map_err(refusal)?;
        if asked.operation == DeviceOperation::Register && !is_json(&head.headers) {
            return Err(Refusal::UnsupportedMediaType);
        }
        let body = body.read(MAX_BODY, server.limits.body);
        let body = body.await.map_err(no_body)?;
        let registration_request = RegistrationRequest {
            id_scope: &asked.id_scope,
            registration_id: &asked.registration_id,
            operation: asked.operation.clone(),
            body: &body,
            sas: head
                .headers
                .get(AUTHORIZATION)
                .and_then(|value| value.to_str().ok()),
            tpm: None,
            api_version: Some(&asked.api_version),
            certificates: &client.certificates,
            unproven: client.unproven.as_deref(),
            origin: client.origin(Protocol::Http),
        };
        let answer = server.ask(client, &registration_request).await;
        let location = (answer.status == 202 && asked.operation == DeviceOperation::Register)
            .then(|| format!("https://{name}{}", head.uri.path()));
        Ok((answer, location))
    };
    match answered.await {
        Ok((answer, location)) => response(answer, location),
        Err(refusal) => refused(&refusal, server),
    }
}

/// A body without a type is taken at its word when it is read.
fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_none_or(|value| {
        let media_type = value
            .to_str()
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case("application/json")
    })
}
