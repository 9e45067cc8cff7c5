//! CA certificates of an instance, which Azure's resource manager has: `GET
//! /instances/{id-scope}/certificates` lists them; `GET`, `PUT` and `DELETE` of
//! `/instances/{id-scope}/certificates/{name}` read, enter and forget one; `POST` to its
//! `/generateVerificationCode` and `/verify` prove that its owner holds the key. Bodies and answers have
//! the form of the ARM resource `Microsoft.Devices/provisioningServices/certificates`.

use bytes::Bytes;
use fleetstorm_protocol::x509::certificate_from_text;
use hyper::body::Incoming;
use hyper::header::IF_MATCH;
use hyper::{Method, Request, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answered, NotOurs, read, wrong};
use crate::listen::server::Server;
use crate::service::enrollment_list::condition::{Condition, WriteError};
use crate::service::refusal::Refusal;

/// A certificate to enter.
#[derive(Debug, Deserialize)]
struct Resource {
    properties: Properties,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    /// Base64 of DER or of PEM, or PEM.
    certificate: String,
    #[serde(default)]
    is_verified: bool,
}

/// A certificate that is signed with the key in request.
#[derive(Debug, Deserialize)]
struct VerificationCertificate {
    certificate: String,
}

/// Answers what concerns CA certificates; none where the path is another's.
pub(super) async fn respond(
    request: Request<Incoming>,
    server: &Server,
) -> Result<Answered, NotOurs> {
    let segments: Vec<&str> = request.uri().path().split('/').collect();
    let (id_scope, rest) = match segments.as_slice() {
        ["", "instances", id_scope, "certificates", rest @ ..] if rest.len() <= 2 => {
            let rest: Vec<_> = rest.iter().map(|segment| (*segment).to_owned()).collect();
            ((*id_scope).to_owned(), rest)
        }
        _ => return Err(NotOurs(request)),
    };
    let Some(instance) = server.instances.by_id_scope(&id_scope) else {
        return Ok(wrong(&format!("\"{id_scope}\" is no id scope here")));
    };
    let authorities = instance.enrollments().authorities();
    let (head, body) = request.into_parts();
    let tag = head.headers.get(IF_MATCH).and_then(|tag| tag.to_str().ok());
    let condition = Condition::of_header(tag);
    let now = Timestamp::now();
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let done = match (&head.method, rest.as_slice()) {
        (&Method::GET, []) => Ok(authorities.list()),
        (&Method::GET, [name]) => authorities.get(name),
        (&Method::PUT, [name]) => {
            let wanted = read::<Resource>(body, server)
                .await
                .map_err(WriteError::Invalid);
            wanted.and_then(|Resource { properties }| {
                let der = der_of(&properties.certificate)?;
                authorities.put(name, der, properties.is_verified, condition, now)
            })
        }
        (&Method::DELETE, [name]) => authorities.remove(name, condition).map(|()| Value::Null),
        (&Method::POST, [name, "generateVerificationCode"]) => {
            authorities.generate_code(name, condition, now)
        }
        (&Method::POST, [name, "verify"]) => {
            let proof = read::<VerificationCertificate>(body, server)
                .await
                .map_err(WriteError::Invalid);
            proof.and_then(|VerificationCertificate { certificate }| {
                authorities.verify(name, &der_of(&certificate)?, condition, now)
            })
        }
        _ => return Ok((StatusCode::METHOD_NOT_ALLOWED, Bytes::new())),
    };
    if server.store.settled().await.is_err() {
        return Ok((StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()));
    }
    Ok(match done {
        Ok(document) => (StatusCode::OK, document.to_string().into()),
        Err(problem) => {
            let message = problem.to_string();
            let status = Refusal::from(problem).answer(now).status;
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, json!({"error": message}).to_string().into())
        }
    })
}

fn der_of(text: &str) -> Result<Vec<u8>, WriteError> {
    certificate_from_text(text).map_err(|e| WriteError::Invalid(e.to_string()))
}
