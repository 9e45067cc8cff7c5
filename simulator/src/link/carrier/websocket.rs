//! A WebSocket as a stream of bytes.

use std::future::ready;
use std::io;

use fleetstorm_protocol::websocket::{PATH, SubProtocol};
use fleetstorm_reports::Fault;
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use hyper::Request;
use hyper::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
    USER_AGENT,
};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

use super::Duplex;
use crate::link::dial::{Secured, fault_of};
use crate::link::{CLIENT_VERSION, LinkError, MAX_ANSWER};

/// First size of the read buffer: an answer fits.
const BUFFER: usize = 2048;

/// Asks `host` for a WebSocket that carries `sub_protocol`.
///
/// # Errors
/// The connection broke, or the server refused it.
pub(super) async fn open(
    stream: Secured,
    host: &str,
    sub_protocol: SubProtocol,
) -> Result<Box<dyn Duplex>, LinkError> {
    let request = Request::builder()
        .uri(format!("wss://{host}{PATH}"))
        .header(HOST, host)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, generate_key())
        .header(SEC_WEBSOCKET_PROTOCOL, sub_protocol.name())
        .header(USER_AGENT, CLIENT_VERSION)
        .body(())
        .map_err(|_| Fault::Protocol)?;
    let opening = client_async_with_config(request, stream, Some(bounded()));
    match opening.await {
        Ok((socket, _)) => Ok(Box::new(as_bytes(socket))),
        Err(Error::Http(answer)) => Err(LinkError::Refused {
            status: answer.status().as_u16(),
        }),
        Err(Error::Io(error)) => Err(fault_of(&error).into()),
        Err(_) => Err(Fault::Protocol.into()),
    }
}

fn bounded() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_ANSWER)
        .max_message_size(Some(MAX_ANSWER))
        .max_frame_size(Some(MAX_ANSWER))
}

/// The bytes in the messages, without their borders.
fn as_bytes(socket: WebSocketStream<Secured>) -> impl Duplex {
    let (messages, incoming) = socket.split();
    let read = incoming.map_err(failure).try_filter_map(|message| {
        ready(match message {
            Message::Binary(bytes) => Ok(Some(bytes)),
            Message::Text(_) => Err(io::ErrorKind::InvalidData.into()),
            _ => Ok(None),
        })
    });
    let written = messages
        .sink_map_err(failure)
        .with(|bytes| ready(Ok::<_, io::Error>(Message::Binary(bytes))));
    tokio::io::join(
        StreamReader::new(read),
        SinkWriter::new(CopyToBytes::new(written)),
    )
}

fn failure(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}
