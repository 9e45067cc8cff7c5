//! The control endpoint, plain HTTP on loopback: `GET /health`, `GET /counters`.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{Host, Stream};

/// Serves one connection to its end.
pub(crate) async fn serve(stream: impl Stream, host: Arc<Host>, stop: impl Future<Output = ()>) {
    let head_limit = host.limits.first_request;
    let service = service_fn(move |request: Request<Incoming>| {
        let response = respond(&request, &host);
        async move { Ok::<_, Infallible>(response) }
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

fn respond(request: &Request<Incoming>, host: &Host) -> Response<Full<Bytes>> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/health") => (StatusCode::OK, r#"{"status":"ok"}"#.into()),
        (&Method::GET, "/counters") => match serde_json::to_vec(&host.tally.read()) {
            Ok(counters) => (StatusCode::OK, Bytes::from(counters)),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()),
        },
        (&Method::GET, _) => (
            StatusCode::NOT_FOUND,
            r#"{"paths":["/health","/counters"]}"#.into(),
        ),
        _ => (StatusCode::METHOD_NOT_ALLOWED, Bytes::new()),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
