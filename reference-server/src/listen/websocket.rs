//! A WebSocket on the HTTPS port: what runs in its messages is served as on a port of its own.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use fleetstorm_protocol::websocket::{SubProtocol, is_path};
use fleetstorm_websocket::{ByteStream, Limits, create_response_with_body};
use http_body_util::Full;
use hyper::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use super::client::Client;
use super::server::Server;
use super::{amqp_port, mqtt_port};
use crate::service::refusal::Refusal;

/// A hub takes 256 KB, and MQTT and AMQP put topic, properties and headers around it. Most messages
/// are small.
const LIMITS: Limits = Limits {
    message: (256 + 66) * 1024,
    buffer: 1024,
};
/// The one version that there is (RFC 6455, 11.6).
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// A connection that is about to become a WebSocket.
pub(super) struct Upgrade {
    done: OnUpgrade,
    sub_protocol: SubProtocol,
}

/// Why none is agreed to.
pub(super) enum Declined {
    /// There is none of that kind.
    Refused(Refusal),
    /// It is of another version, and may be asked for in ours (RFC 6455, 4.4).
    OtherVersion,
}

impl From<Refusal> for Declined {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The answer to who asks for another version.
pub(super) fn upgrade_required() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    let headers = response.headers_mut();
    headers.insert(SEC_WEBSOCKET_VERSION, VERSION);
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response
}

/// Whether a request asks for a WebSocket.
pub(super) fn is_asked<Body>(request: &Request<Body>) -> bool {
    let upgrade = request.headers().get(UPGRADE);
    upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Agrees to one, with the answer that says so.
///
/// # Errors
/// There is none at this path or of this version, none of the sub-protocols offered is served, or the
/// request is not as RFC 6455 asks.
pub(super) fn accept<Body>(
    request: &mut Request<Body>,
) -> Result<(Response<Full<Bytes>>, Upgrade), Declined> {
    if !is_path(request.uri().path()) {
        return Err(Refusal::PathNotFound.into());
    }
    let version = request.headers().get(SEC_WEBSOCKET_VERSION);
    if version.is_some_and(|version| *version != VERSION) {
        return Err(Declined::OtherVersion);
    }
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let chosen = offered
        .iter()
        .filter_map(|value| SubProtocol::choose(value.to_str().ok()?))
        .next();
    let Some((sub_protocol, spelt)) = chosen else {
        let served = SubProtocol::ALL.map(SubProtocol::name).join(", ");
        return Err(Refusal::BadRequest(format!(
            "Sec-WebSocket-Protocol: names none that is served: {served}"
        ))
        .into());
    };
    let spelt = HeaderValue::try_from(spelt).map_err(|_| Refusal::Internal)?;
    let mut response = create_response_with_body(request, Full::default)
        .map_err(|e| Refusal::BadRequest(e.to_string()))?;
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, spelt);
    let done = hyper::upgrade::on(request);
    Ok((response, Upgrade { done, sub_protocol }))
}

impl Upgrade {
    /// Serves the connection to its end, once its answer is sent.
    pub(super) async fn serve(
        self,
        client: Rc<Client>,
        server: Arc<Server>,
        stop: impl Future<Output = ()>,
    ) {
        let Ok(upgraded) = self.done.await else {
            return;
        };
        let stream = ByteStream::accept(TokioIo::new(upgraded), LIMITS, server.limits.packet).await;
        // Boxed, so that it is moved often and weighs once.
        let mut stream = Box::new(stream);
        let (line, stopped) = (Arc::clone(&client.line), Cell::new(false));
        let stop = async {
            stop.await;
            stopped.set(true);
        };
        match self.sub_protocol {
            SubProtocol::Mqtt => {
                Box::pin(mqtt_port::serve(&mut stream, client, server, stop)).await;
            }
            SubProtocol::Amqp => {
                Box::pin(amqp_port::serve(&mut stream, client, server, stop)).await;
            }
        }
        if line.is_cut() {
            return;
        }
        if stopped.get() {
            stream.goes_away();
        }
        // Whoever is gone already hears nothing.
        let _ = stream.shutdown().await;
    }
}
