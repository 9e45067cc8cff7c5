//! What the control endpoint answers, and how it reads what it is asked.

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::listen::server::Server;

/// Longest body of a change: the fault rules of a busy day.
const MAX_CHANGE: usize = 1 << 20;

/// Status and body, which is JSON.
pub(super) type Answered = (StatusCode, Bytes);

/// A request for somebody else, given back.
pub(super) struct NotOurs(pub(super) Request<Incoming>);

/// The answer to a change that can't be made.
pub(super) fn wrong(problem: &str) -> Answered {
    refused_because(StatusCode::BAD_REQUEST, problem)
}

/// The answer with this status, and why.
pub(super) fn refused_because(status: StatusCode, problem: &str) -> Answered {
    (status, json!({"error": problem}).to_string().into())
}

/// What a change asks for.
pub(super) async fn read<Wanted: DeserializeOwned>(
    body: Incoming,
    server: &Server,
) -> Result<Wanted, String> {
    let reading = Limited::new(body, MAX_CHANGE).collect();
    let Ok(Ok(body)) = tokio::time::timeout(server.limits.body, reading).await else {
        return Err(format!(
            "the body did not come, or is above {MAX_CHANGE} bytes"
        ));
    };
    serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string())
}
