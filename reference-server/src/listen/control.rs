//! The control endpoint, plain HTTP on loopback: `GET /health` (it lives), `GET /ready` (it
//! serves), `GET /metrics` for Prometheus, `GET /counters`; faults and outages ([`faults`]); the
//! instances, their rates ([`instances`]) and CA certificates ([`certificates`]); and what a hub's REST API has no way to do:
//! `POST /hubs/{hub}/devices/{id}/messages/devicebound` sends a message to a device,
//! `GET /hubs/{hub}/messages/events` reads the last messages of devices.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use fleetstorm_protocol::hub::MAX_CLOUD_TO_DEVICE;
use fleetstorm_protocol::ids::DeviceId;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::hub_http::message;
use super::server::Server;
use super::stream::Stream;
use crate::hub::HubRefusal;
use crate::metrics::{self, page};
use answer::{Answered, NotOurs};

mod answer;
mod certificates;
mod faults;
mod guard;
mod instances;

/// What there is.
const PATHS: &str = concat!(
    r#"{"paths":["/health","/ready","/metrics","/counters","/faults","/faults/{name}","/hubs","#,
    r#""/hubs/{hub}/state","/regions/{region}/state","/instances","#,
    r#""/instances/{id-scope}/throttle","/instances/{id-scope}/certificates/{name}","/hubs/{hub}/messages/events","#,
    r#""/hubs/{hub}/devices/{id}/messages/devicebound"]}"#
);

/// Serves one connection to its end.
pub(crate) async fn serve(
    stream: impl Stream,
    server: Arc<Server>,
    stop: impl Future<Output = ()>,
) {
    let head_limit = server.limits.first_request;
    let service = service_fn(move |request: Request<Incoming>| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(respond(request, &server).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_limit)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ended = connection => {}
        () = stop => {}
    }
}

async fn respond(request: Request<Incoming>, server: &Server) -> Response<Full<Bytes>> {
    let checked = guard::check(&request);
    if checked.is_ok() && request.uri().path() == "/metrics" {
        return metrics(server);
    }
    let is_change = request.method() != Method::GET;
    let (mut status, mut body) = match checked {
        Ok(()) => answer(request, server).await,
        Err(refused) => refused,
    };
    if is_change && let Err(problem) = server.store.settled().await {
        status = StatusCode::INTERNAL_SERVER_ERROR;
        body = json!({"error": problem.to_string()}).to_string().into();
    }
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn answer(request: Request<Incoming>, server: &Server) -> Answered {
    let request = match faults::respond(request, server).await {
        Ok(answered) => return answered,
        Err(NotOurs(request)) => request,
    };
    let request = match instances::respond(request, server).await {
        Ok(answered) => return answered,
        Err(NotOurs(request)) => request,
    };
    match certificates::respond(request, server).await {
        Ok(answered) => answered,
        Err(NotOurs(request)) => other(request, server).await,
    }
}

/// Whatever there is beside those.
async fn other(request: Request<Incoming>, server: &Server) -> Answered {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/health") => (StatusCode::OK, r#"{"status":"ok"}"#.into()),
        (&Method::GET, "/counters") => match serde_json::to_vec(&server.tally.read()) {
            Ok(counters) => (StatusCode::OK, Bytes::from(counters)),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()),
        },
        (&Method::GET, "/") => (StatusCode::OK, PATHS.into()),
        (&Method::GET, "/ready") => ready(server),
        (&Method::GET, path) => received(path, server),
        (&Method::POST, _) => send(request, server).await,
        _ => (StatusCode::METHOD_NOT_ALLOWED, Bytes::new()),
    }
}

/// Whether devices are served: from when every thread listens until the server stops, or can keep
/// nothing more.
fn ready(server: &Server) -> Answered {
    if let Err(problem) = server.store.check() {
        let body = json!({"status": "not ready", "problem": problem.to_string()});
        return (StatusCode::SERVICE_UNAVAILABLE, body.to_string().into());
    }
    if server.ready.load(Ordering::Acquire) {
        (StatusCode::OK, r#"{"status":"ready"}"#.into())
    } else {
        let body = r#"{"status":"not ready"}"#.into();
        (StatusCode::SERVICE_UNAVAILABLE, body)
    }
}

fn metrics(server: &Server) -> Response<Full<Bytes>> {
    let lost_records = server.diagnostics.as_ref().map(|log| log.dropped());
    let fault_hits = server.faults.shown().into_iter();
    let fault_hits = fault_hits.map(|shown| (shown.rule.name, shown.hits));
    let page = metrics::page(&server.tally, lost_records, fault_hits);
    let mut response = Response::new(Full::new(page.into()));
    let content_type = HeaderValue::from_static(page::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// The last messages of a hub's devices.
fn received(path: &str, server: &Server) -> Answered {
    let segments: Vec<&str> = path.split('/').collect();
    let ["", "hubs", hub, "messages", "events"] = segments.as_slice() else {
        return (StatusCode::NOT_FOUND, PATHS.into());
    };
    match server.hubs.named(hub) {
        Some(hub) => {
            let messages = hub.recent_messages();
            let documents: Vec<_> = messages
                .iter()
                .map(|received| message::document(received))
                .collect();
            (StatusCode::OK, Value::from(documents).to_string().into())
        }
        None => refused(&HubRefusal::UnknownHub),
    }
}

fn refused(refusal: &HubRefusal) -> Answered {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    (status, json!({"error": refusal.name()}).to_string().into())
}

/// Sends a message to a device; its properties are headers, as devices write them.
async fn send(request: Request<Incoming>, server: &Server) -> Answered {
    let (head, body) = request.into_parts();
    let segments: Vec<&str> = head.uri.path().split('/').collect();
    let [
        "",
        "hubs",
        hub,
        "devices",
        device,
        "messages",
        "devicebound",
    ] = segments.as_slice()
    else {
        return (StatusCode::NOT_FOUND, PATHS.into());
    };
    let reading = Limited::new(body, MAX_CLOUD_TO_DEVICE).collect();
    let Ok(Ok(body)) = tokio::time::timeout(server.limits.body, reading).await else {
        return (StatusCode::BAD_REQUEST, Bytes::new());
    };
    let message = message::of_request(&head.headers, &body.to_bytes());
    let sent = DeviceId::parse(device)
        .map_err(|problem| HubRefusal::Malformed(problem.to_string()))
        .and_then(|device| {
            let hub = server.hubs.named(hub).ok_or(HubRefusal::UnknownHub)?;
            hub.send_message(&device.into(), message, Timestamp::now())
        });
    match sent {
        Ok(sequence) => {
            let body = json!({"sequenceNumber": sequence}).to_string();
            (StatusCode::OK, body.into())
        }
        Err(refusal) => refused(&refusal),
    }
}
