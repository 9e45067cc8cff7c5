//! A WebSocket on the HTTPS port: what runs in its messages is served as on a port of its own.

use std::future::{Future, ready};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use fleetstorm_protocol::websocket::{SubProtocol, is_path};
use futures_util::{Sink, SinkExt, Stream as Messages, StreamExt, TryStreamExt};
use http_body_util::Full;
use hyper::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

use self::whole::Begun;
use super::{Client, Host, Stream, amqp, mqtt};
use crate::service::Refusal;

mod whole;

/// Longest message and longest frame: a hub takes 256 KB, and MQTT and AMQP put topic, properties and
/// headers around it.
const MAX_MESSAGE: usize = (256 + 66) * 1024;
/// Buffers start small: most messages are.
const BUFFER: usize = 1024;

/// A connection that is about to become a WebSocket.
pub(super) struct Upgrade {
    done: OnUpgrade,
    sub_protocol: SubProtocol,
}

/// Whether a request asks for a WebSocket.
pub(super) fn is_asked<Body>(request: &Request<Body>) -> bool {
    let upgrade = request.headers().get(UPGRADE);
    upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Agrees to one, with the answer that says so.
///
/// # Errors
/// There is none at this path, none of the sub-protocols offered is served, or the request
/// is not as RFC 6455 asks.
pub(super) fn accept<Body>(
    request: &mut Request<Body>,
) -> Result<(Response<Full<Bytes>>, Upgrade), Refusal> {
    if !is_path(request.uri().path()) {
        return Err(Refusal::PathNotFound);
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
        )));
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
        host: Arc<Host>,
        stop: impl Future<Output = ()>,
    ) {
        let Ok(upgraded) = self.done.await else {
            return;
        };
        let begun = Begun::default();
        let stream = begun.watch(TokioIo::new(upgraded));
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(bounded())).await;
        let (messages, incoming) = socket.split();
        // Boxed, so that it is moved often and weighs once.
        let stream = Box::new(as_bytes(
            messages,
            begun.limit(incoming, host.limits.packet),
        ));
        match self.sub_protocol {
            SubProtocol::Mqtt => Box::pin(mqtt::serve(stream, client, host, stop)).await,
            SubProtocol::Amqp => Box::pin(amqp::serve(stream, client, host, stop)).await,
        }
    }
}

fn bounded() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_MESSAGE)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

/// The bytes in the messages, without their borders: packets may be cut anywhere (MQTT 3.1.1, 6).
fn as_bytes(
    messages: impl Sink<Message, Error = Error> + Unpin,
    incoming: impl Messages<Item = Result<Message, Error>> + Unpin,
) -> impl Stream {
    let read = incoming.map_err(failure).try_filter_map(|message| {
        ready(match message {
            Message::Binary(bytes) => Ok(Some(bytes)),
            Message::Text(_) => Err(io::ErrorKind::InvalidData.into()),
            _ => Ok(None),
        })
    });
    let written = messages.with(|bytes| ready(Ok::<_, Failure>(Message::Binary(bytes))));
    tokio::io::join(
        StreamReader::new(read),
        SinkWriter::new(CopyToBytes::new(written)),
    )
}

/// What a sink fails with, again and again: [`SinkExt::sink_map_err`] panics when it fails twice.
struct Failure(io::Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(failure(error))
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

fn failure(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, duplex};

    #[tokio::test]
    async fn who_writes_to_a_broken_socket_fails_as_often_as_it_tries() {
        let (ours, theirs) = duplex(64);
        drop(theirs);
        let socket = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
        let (messages, incoming) = socket.split();
        let mut bytes = as_bytes(messages, incoming);
        for _ in 0..3 {
            let written = bytes.write_all(b"bytes").await;
            assert!(written.is_err() || bytes.flush().await.is_err());
        }
        assert!(bytes.shutdown().await.is_err());
    }
}
