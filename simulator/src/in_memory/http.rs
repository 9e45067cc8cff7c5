//! The service over HTTPS, and what comes in the messages of a WebSocket there.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use fleetstorm_protocol::http::{DeviceOperation, DeviceRequest};
use fleetstorm_protocol::websocket::SubProtocol;
use fleetstorm_websocket::{ByteStream, Limits, create_response_with_body};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;

use super::Service;
use crate::link::carrier::duplex::Duplex;

const LIMITS: Limits = Limits {
    message: 65_536,
    buffer: 1024,
};

impl Service {
    /// Serves a connection to DPS, or to `hub`.
    pub(super) async fn serve_http(
        &self,
        carrier: impl Duplex + Send + 'static,
        hub: Option<&'static str>,
    ) {
        let answering = service_fn(async |request: Request<Incoming>| {
            let answer = match request.headers().contains_key(UPGRADE) {
                true => self.upgrade(request, hub),
                false => self.answer_http(&request),
            };
            Ok::<_, Infallible>(answer)
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(carrier), answering);
        // A device that hangs up early makes no difference.
        let _ = connection.with_upgrades().await;
    }

    fn answer_http(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (method, uri) = (request.method().as_str(), request.uri());
        let request = DeviceRequest::parse(method, uri.path(), uri.query()).expect("a request");
        let (status, body) = self.answer(request.operation == DeviceOperation::Register);
        Response::builder()
            .status(status)
            .header(RETRY_AFTER, super::RETRY_AFTER)
            .body(Full::from(body))
            .expect("an answer")
    }

    fn upgrade(
        &self,
        mut request: Request<Incoming>,
        hub: Option<&'static str>,
    ) -> Response<Full<Bytes>> {
        let offered = request.headers().get(SEC_WEBSOCKET_PROTOCOL).cloned();
        let offered = offered.expect("a sub-protocol");
        let chosen = SubProtocol::choose(offered.to_str().expect("text"));
        let (sub_protocol, _) = chosen.expect("a known one");
        let agreed = create_response_with_body(&request, Full::default);
        let mut agreed = agreed.expect("a request for a WebSocket");
        agreed.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, offered);
        let service = self.clone();
        spawn_local(async move {
            let Ok(upgraded) = hyper::upgrade::on(&mut request).await else {
                return;
            };
            let whole_within = Duration::from_secs(20);
            let carrier = ByteStream::accept(TokioIo::new(upgraded), LIMITS, whole_within).await;
            match sub_protocol {
                SubProtocol::Mqtt => service.serve_mqtt(carrier, hub).await,
                SubProtocol::Amqp => service.serve_amqp(carrier, hub).await,
            }
        });
        agreed
    }
}
