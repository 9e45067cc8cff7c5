//! A WebSocket as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use fleetstorm_protocol::websocket::{PATH, SubProtocol};
use fleetstorm_reports::{Breach, Fault};
use futures_util::{SinkExt, StreamExt};
use hyper::Request;
use hyper::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
    USER_AGENT,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::duplex::Duplex;
use crate::link::client::{CLIENT_VERSION, MAX_ANSWER};
use crate::link::dial::fault_of;
use crate::link::error::LinkError;

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
        .map_err(|_| Fault::Protocol(Breach::Request))?;
    let opening = client_async_with_config(request, stream, Some(bounded()));
    match opening.await {
        Ok((socket, _)) => Ok(Box::new(Messages::of(socket))),
        Err(Error::Http(answer)) => Err(LinkError::Refused {
            status: answer.status().as_u16(),
        }),
        Err(error) => Err(match fault_of(&failure(error)) {
            Fault::Protocol(_) => Fault::Protocol(Breach::Upgrade),
            fault => fault,
        }
        .into()),
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
struct Messages<Stream> {
    socket: WebSocketStream<Stream>,
    /// What has not been read of the last message.
    heard: Bytes,
    /// The server has said good-bye: nothing comes after it, whenever it closes the connection.
    ended: bool,
}

impl<Stream> Messages<Stream> {
    fn of(socket: WebSocketStream<Stream>) -> Self {
        Self {
            socket,
            heard: Bytes::new(),
            ended: false,
        }
    }
}

impl<Stream: Duplex> AsyncRead for Messages<Stream> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.heard.is_empty() && !this.ended {
            match ready!(this.socket.poll_next_unpin(cx)) {
                Some(Ok(Message::Binary(bytes))) => this.heard = bytes,
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                Some(Ok(Message::Close(_))) | None => this.ended = true,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(failure(error))),
            }
        }
        let count = this.heard.len().min(into.remaining());
        into.put_slice(&this.heard.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl<Stream: Duplex> AsyncWrite for Messages<Stream> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let socket = &mut self.get_mut().socket;
        ready!(socket.poll_ready_unpin(cx)).map_err(failure)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        socket.start_send_unpin(message).map_err(failure)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.get_mut().socket.poll_flush_unpin(cx);
        flushed.map_err(failure)
    }

    /// Says good-bye, and closes the stream below as well: who drops that cuts it off.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut self.get_mut().socket;
        let said = ready!(socket.poll_close_unpin(cx));
        ready!(Pin::new(socket.get_mut()).poll_shutdown(cx))?;
        Poll::Ready(said.map_err(failure))
    }
}

fn failure(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        // Who is gone says nothing, and so nothing wrong.
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(
            ProtocolError::HandshakeIncomplete
            | ProtocolError::ResetWithoutClosingHandshake
            | ProtocolError::SendAfterClosing,
        ) => io::Error::new(io::ErrorKind::ConnectionReset, error),
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::timeout;
    use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
    use tokio_tungstenite::tungstenite::protocol::Role;

    #[tokio::test]
    async fn who_writes_to_a_broken_socket_fails_as_often_as_it_tries() {
        let (ours, theirs) = duplex(64);
        drop(theirs);
        let socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
        let mut bytes = Messages::of(socket);
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
            (
                &GOOD.replace("{proof}", "AAAA"),
                Fault::Protocol(Breach::Upgrade).into(),
            ),
            (
                &GOOD.replace("mqtt", "soap"),
                Fault::Protocol(Breach::Upgrade).into(),
            ),
            (
                "SSH-2.0-OpenSSH\r\n\r\n",
                Fault::Protocol(Breach::Upgrade).into(),
            ),
            ("", Fault::ConnectionLost.into()),
        ] {
            let (opened, _, _) = answered(answer).await;
            assert_eq!(opened.err(), Some(error), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_good_bye_closes_what_is_below() {
        let (opened, _, mut theirs) = answered(GOOD).await;
        let mut carrier = opened.expect("a WebSocket");
        carrier.write_all(b"bye").await.expect("it is read");
        carrier.shutdown().await.expect("it is read");
        let mut heard = Vec::new();
        let ends = timeout(Duration::from_secs(5), theirs.read_to_end(&mut heard));
        ends.await.expect("in time").expect("an end");
        // A message and a good-bye, both masked (RFC 6455, 5.2 and 5.5.1).
        assert_eq!(heard[..2], [0x82, 0x83]);
        assert_eq!(heard[2 + 4 + 3..][..2], [0x88, 0x80]);
        carrier.shutdown().await.expect("it was said");
    }

    #[tokio::test]
    async fn a_server_that_goes_without_a_good_bye_is_gone_and_says_nothing_wrong() {
        let (opened, _, theirs) = answered(GOOD).await;
        let mut carrier = opened.expect("a WebSocket");
        drop(theirs);
        let error = carrier.read_u8().await.expect_err("no byte");
        assert_eq!(fault_of(&error), Fault::ConnectionLost);
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
            assert_eq!(fault_of(&error), Fault::Protocol(Breach::Unreadable));
        }
    }
}
