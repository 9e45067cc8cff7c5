//! What a hub answers over HTTPS.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::hub::HubRefusal;

/// What was asked for, or the hub's refusal.
pub(super) type Answered = Result<Response<Full<Bytes>>, HubRefusal>;

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// A document.
pub(super) fn json(document: &impl Serialize) -> Response<Full<Bytes>> {
    with_json(StatusCode::OK, document)
}

/// A document, with a status.
pub(super) fn with_json(status: StatusCode, document: &impl Serialize) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(document).expect("documents of ours are JSON");
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}
