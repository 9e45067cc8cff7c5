//! The HTTPS port: a hub or an instance, told apart by SNI or Host, or the DPS device API; and where
//! WebSockets begin.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::http::uri::Authority;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::body::Body;
use super::client::Client;
use super::http_answer::refused;
use super::server::Server;
use super::stream::Stream;
use super::websocket::Declined;
use super::{dps_http, dps_service, hub_http, websocket};
use crate::service::refusal::Refusal;

/// Longest head of a request.
const MAX_HEAD: usize = 32 * 1024;

/// Serves one connection to its end. A client that breaks it off is no error of ours.
pub(crate) async fn serve(
    stream: impl Stream + Send + 'static,
    client: Rc<Client>,
    server: Arc<Server>,
    stop: impl Future<Output = ()>,
) {
    let limits = server.limits;
    let asked = Cell::new(false);
    let upgrade = Cell::new(None);
    let service = service_fn(async |mut request| {
        asked.set(true);
        if !websocket::is_asked(&request) {
            return Ok::<_, Infallible>(answer(request, &client, &server).await);
        }
        if !names_one_host(&request) {
            return Ok(refused(&no_host(), &server));
        }
        if server.store.check().is_err() {
            return Ok(refused(&Refusal::Internal, &server));
        }
        Ok(match websocket::accept(&mut request) {
            Ok((response, accepted)) => {
                upgrade.set(Some(accepted));
                response
            }
            Err(Declined::Refused(refusal)) => refused(&refusal, &server),
            Err(Declined::OtherVersion) => websocket::upgrade_required(),
        })
    });
    let never_asked = async {
        tokio::time::sleep(limits.first_request).await;
        if asked.get() {
            pending::<()>().await;
        }
    };
    let mut stop = pin!(stop);
    // Boxed, so that a WebSocket does not keep the room of what came before it.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.between_requests)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let connection = Box::pin(connection);
    tokio::select! {
        _ended = connection => {}
        () = never_asked => return,
        () = tokio::time::sleep(limits.connection) => return,
        () = &mut stop => return,
    }
    if let Some(upgrade) = upgrade.take() {
        let (at, of) = (Arc::clone(&server), Rc::clone(&client));
        let end = at.end(&of, stop);
        Box::pin(upgrade.serve(client, server, end)).await;
    }
}

/// Answers a request by whoever it is for.
async fn answer(
    request: Request<Incoming>,
    client: &Client,
    server: &Server,
) -> Response<Full<Bytes>> {
    let request = request.map(Body::of);
    let body = request.body().clone();
    let name = name_asked(&request, client);
    let hub = name.and_then(|name| server.hubs.named(name));
    let service = name.and_then(|name| server.service_named(name));
    let path = request.uri().path();
    let mut response = match (hub, service) {
        _ if !names_one_host(&request) => refused(&no_host(), server),
        (Some(hub), _) => {
            let answered = hub_http::respond(hub, request, client, server);
            server.while_up(hub.host_name(), client, answered).await
        }
        (None, Some(service)) if dps_service::is_asked(path) => {
            dps_service::respond(service, request, client, server).await
        }
        (None, service) => {
            let name = service.map(|service| service.name());
            let name = name.unwrap_or(&server.global_endpoint);
            dps_http::respond(name, request, client, server).await
        }
    };
    if !body.finish().await {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

/// Whether a request says once which host it is for (RFC 9112, 3.2). HTTP/1.0 need not.
fn names_one_host<Anything>(request: &Request<Anything>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let is_host = |host: &HeaderValue| {
        let host = host.to_str().ok();
        host.is_some_and(|host| host.parse::<Authority>().is_ok())
    };
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() < Version::HTTP_11,
        (Some(host), None) => is_host(host),
        (Some(_), Some(_)) => false,
    }
}

fn no_host() -> Refusal {
    Refusal::BadRequest("Host: name one host, once".into())
}

/// The host name that a request is for. A client that sends no SNI still names its host.
fn name_asked<'a>(request: &'a Request<Body>, client: &'a Client) -> Option<&'a str> {
    if let Some(name) = client.server_name.as_deref() {
        return Some(name);
    }
    let named = request.headers().get(HOST)?.to_str().ok()?;
    Some(named.split_once(':').map_or(named, |(name, _)| name))
}
