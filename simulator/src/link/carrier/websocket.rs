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
use crate::link::dial::fault_of;
use crate::link::{CLIENT_VERSION, LinkError, MAX_ANSWER};

/// First size of the read buffer: an answer fits.
const BUFFER: usize = 2048;

/// Asks `host` for a WebSocket that carries `sub_protocol`.
///
/// # Errors
/// The connection broke, or the server refused it.
pub(super) async fn open(
    stream: impl Duplex + 'static,
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
fn as_bytes(socket: WebSocketStream<impl Duplex>) -> impl Duplex {
    let (messages, incoming) = socket.split();
    // After the server's good-bye nothing comes, whenever it closes the connection.
    let until_closed = incoming.try_take_while(|message| ready(Ok(!message.is_close())));
    let read = until_closed.map_err(failure).try_filter_map(|message| {
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
    use tokio_tungstenite::tungstenite::protocol::Role;

    #[tokio::test]
    async fn who_writes_to_a_broken_socket_fails_as_often_as_it_tries() {
        let (ours, theirs) = duplex(64);
        drop(theirs);
        let socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
        let mut bytes = as_bytes(socket);
        for _ in 0..3 {
            let written = bytes.write_all(b"bytes").await;
            assert!(written.is_err() || bytes.flush().await.is_err());
        }
        assert!(bytes.shutdown().await.is_err());
    }

    /// What becomes of a request that a server answers with `answer`, its key's proof filled in.
    async fn answered(answer: &str) -> (Result<Box<dyn Duplex>, LinkError>, String, DuplexStream) {
        let (ours, mut theirs) = duplex(4096);
        let server = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(theirs.read_u8().await.expect("a head"));
            }
            let head = String::from_utf8(head).expect("UTF-8");
            let key = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
            let (_, key) = key.expect("a key");
            let answer = answer.replace("{proof}", &derive_accept_key(key.as_bytes()));
            theirs
                .write_all(answer.as_bytes())
                .await
                .expect("it is read");
            if answer.is_empty() {
                theirs.shutdown().await.expect("an end");
            }
            (head, theirs)
        };
        let (opened, (head, theirs)) =
            tokio::join!(open(ours, "hub.test", SubProtocol::Mqtt), server);
        (opened, head, theirs)
    }

    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Accept: {proof}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

    #[tokio::test]
    async fn bytes_go_both_ways_as_they_came() {
        let (opened, head, mut theirs) = answered(GOOD).await;
        assert!(
            head.starts_with("GET /$iothub/websocket HTTP/1.1\r\n"),
            "{head}"
        );
        let mut carrier = opened.expect("a WebSocket");
        // Two messages from the server, a ping between them (RFC 6455, 5.2).
        let messages = [0x82, 2, b'a', b'b', 0x89, 0, 0x82, 1, b'c'];
        theirs.write_all(&messages).await.expect("it is read");
        let mut heard = [0; 3];
        carrier.read_exact(&mut heard).await.expect("the bytes");
        assert_eq!(&heard, b"abc");
        carrier.write_all(b"hello").await.expect("it is read");
        carrier.flush().await.expect("it is read");
        let mut pong_or_message = [0; 2];
        theirs
            .read_exact(&mut pong_or_message)
            .await
            .expect("a frame");
        assert_eq!(pong_or_message, [0x8a, 0x80], "the ping is answered first");
        let mut rest = [0; 4 + 2 + 4 + 5];
        theirs.read_exact(&mut rest).await.expect("a frame");
        assert_eq!(rest[4..6], [0x82, 0x85], "masked, and whole");
        theirs.write_all(&[0x88, 0]).await.expect("it is read");
        assert_eq!(carrier.read(&mut heard).await.expect("an end"), 0);
    }

    #[tokio::test]
    async fn a_server_that_refuses_is_told_from_one_that_breaks() {
        let refused = |status| LinkError::Refused { status };
        for (answer, error) in [
            (
                "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
                refused(400),
            ),
            (
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                refused(404),
            ),
            (&GOOD.replace("{proof}", "AAAA"), Fault::Protocol.into()),
            (&GOOD.replace("mqtt", "soap"), Fault::Protocol.into()),
            ("SSH-2.0-OpenSSH\r\n\r\n", Fault::Protocol.into()),
            ("", Fault::Protocol.into()),
        ] {
            let (opened, _, _) = answered(answer).await;
            assert_eq!(opened.err(), Some(error), "{answer}");
        }
    }

    #[tokio::test]
    async fn text_and_oversize_messages_are_no_packets() {
        let oversize = u64::try_from(MAX_ANSWER).expect("64 bits") + 1;
        let oversize = [[0x82, 127].as_slice(), &oversize.to_be_bytes()].concat();
        for frame in [[0x81, 1, b'a'].as_slice(), &oversize] {
            let (opened, _, mut theirs) = answered(GOOD).await;
            let mut carrier = opened.expect("a WebSocket");
            theirs.write_all(frame).await.expect("it is read");
            let error = carrier.read_u8().await.expect_err("no byte");
            assert_eq!(fault_of(&error), Fault::Protocol);
        }
    }
}
