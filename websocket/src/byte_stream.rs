//! The bytes in the messages of a WebSocket.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::limits::Limits;
use crate::watched::Watched;

#[cfg(test)]
mod tests;

/// The bytes in the messages of a WebSocket over `Stream`, without their borders.
pub struct ByteStream<Stream> {
    socket: WebSocketStream<Watched<Stream>>,
    /// What has not been read of the last message.
    received: Bytes,
    side: Side,
}

/// What the two sides do differently.
enum Side {
    Client {
        /// The server has said good-bye: nothing comes after it, whenever it closes the connection.
        has_ended: bool,
    },
    Server {
        /// How long a message that is begun may take until it is whole.
        limit: Duration,
        deadline: Option<Pin<Box<Sleep>>>,
        /// Why it ends (RFC 6455, 7.4.1).
        code: CloseCode,
        /// That has been said.
        has_said_why: bool,
    },
}

impl<Stream: AsyncRead + AsyncWrite + Unpin> ByteStream<Stream> {
    /// A client's, after the handshake.
    pub(crate) fn of_client(socket: WebSocketStream<Watched<Stream>>) -> Self {
        let side = Side::Client { has_ended: false };
        Self {
            socket,
            received: Bytes::new(),
            side,
        }
    }

    /// A server's, on a connection whose handshake is over. A message that is begun and not ended within
    /// `limit` breaks it.
    pub async fn accept(stream: Stream, limits: Limits, limit: Duration) -> Self {
        let stream = Watched::new(stream);
        let config = Some(limits.config());
        Self {
            socket: WebSocketStream::from_raw_socket(stream, Role::Server, config).await,
            received: Bytes::new(),
            side: Side::Server {
                limit,
                deadline: None,
                code: CloseCode::Normal,
                has_said_why: false,
            },
        }
    }

    /// It ends because the server does, of which clients are told.
    pub fn goes_away(&mut self) {
        self.ends_with(CloseCode::Away);
    }

    fn ends_with(&mut self, why: CloseCode) {
        if let Side::Server { code, .. } = &mut self.side {
            *code = why;
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        let message = self.socket.poll_next_unpin(cx);
        let Side::Server {
            limit, deadline, ..
        } = &mut self.side
        else {
            return message;
        };
        let below = self.socket.get_mut();
        if message.is_ready() {
            below.has_begun = false;
            *deadline = None;
            return message;
        }
        if !below.has_begun {
            return Poll::Pending;
        }
        let deadline = deadline.get_or_insert_with(|| Box::pin(sleep(*limit)));
        deadline
            .as_mut()
            .poll(cx)
            .map(|()| Some(Err(Error::Io(io::ErrorKind::TimedOut.into()))))
    }
}

impl<Stream: AsyncRead + AsyncWrite + Unpin> AsyncRead for ByteStream<Stream> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.received.is_empty() {
            if let Side::Client { has_ended: true } = this.side {
                return Poll::Ready(Ok(()));
            }
            match ready!(this.poll_message(cx)) {
                Some(Ok(Message::Binary(bytes))) => this.received = bytes,
                Some(Ok(Message::Text(_))) => {
                    this.ends_with(CloseCode::Unsupported);
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                Some(Ok(Message::Close(_))) => {
                    if let Side::Client { has_ended } = &mut this.side {
                        *has_ended = true;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    this.ends_with(code(&error));
                    return Poll::Ready(Err(failure(error)));
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = this.received.len().min(into.remaining());
        into.put_slice(&this.received.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl<Stream: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ByteStream<Stream> {
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
        let socket = &mut self.get_mut().socket;
        socket.poll_flush_unpin(cx).map_err(failure)
    }

    /// A client says good-bye, and closes the stream below as well: who drops that cuts it off. A server
    /// says why it ends, once; the stream below is its listener's to end.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, side, .. } = self.get_mut();
        match side {
            Side::Client { .. } => {
                let said = ready!(socket.poll_close_unpin(cx));
                ready!(Pin::new(socket.get_mut()).poll_shutdown(cx))?;
                Poll::Ready(said.map_err(failure))
            }
            Side::Server {
                code, has_said_why, ..
            } => {
                if !*has_said_why {
                    ready!(socket.poll_ready_unpin(cx)).map_err(failure)?;
                    *has_said_why = true;
                    let close = Message::Close(Some(CloseFrame {
                        code: *code,
                        reason: Utf8Bytes::default(),
                    }));
                    socket.start_send_unpin(close).map_err(failure)?;
                }
                socket.poll_flush_unpin(cx).map_err(failure)
            }
        }
    }
}

/// What a peer that breaks the protocol is told.
fn code(error: &Error) -> CloseCode {
    match error {
        Error::Capacity(_) => CloseCode::Size,
        Error::Utf8(_) => CloseCode::Invalid,
        _ => CloseCode::Protocol,
    }
}

/// A peer that breaks the protocol is `InvalidData`.
pub(crate) fn failure(error: Error) -> io::Error {
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
