//! Answers of DPS over HTTP.

use bytes::Bytes;
use fleetstorm_protocol::path_error::PathError;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER, STRICT_TRANSPORT_SECURITY};
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use uuid::Uuid;

use super::body::BodyError;
use super::server::Server;
use crate::service::refusal::Refusal;
use crate::service::request::ServiceResponse;

/// The answer to what never became a request.
pub(super) fn refused(refusal: &Refusal, server: &Server) -> Response<Full<Bytes>> {
    response(server.instances.refuse(refusal, Timestamp::now()), None)
}

/// What is wrong with a path, as DPS says it.
pub(super) fn refusal(error: PathError) -> Refusal {
    match error {
        PathError::NotFound => Refusal::PathNotFound,
        PathError::MethodNotAllowed => Refusal::MethodNotAllowed,
        PathError::Malformed(problem) => Refusal::BadRequest(problem.to_string()),
    }
}

/// Why there is no body, as DPS says it.
pub(super) fn no_body(error: BodyError) -> Refusal {
    match error {
        BodyError::TooLong => Refusal::TooLarge,
        BodyError::TooSlow => Refusal::TooSlow,
        BodyError::CutShort => Refusal::BadRequest("the body was cut short".into()),
    }
}

/// An answer, and where to look for what comes of it.
pub(super) fn response(answer: ServiceResponse, location: Option<String>) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    headers.insert(
        STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=31536000; includeSubDomains"),
    );
    if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        headers.insert("x-ms-request-id", id);
    }
    if let Some(seconds) = answer.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if let Some(location) = location.and_then(|location| HeaderValue::try_from(location).ok()) {
        headers.insert(LOCATION, location);
    }
    response
}
