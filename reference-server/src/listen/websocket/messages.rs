//! A WebSocket as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::whole::Whole;
use crate::listen::stream::Stream;

/// The bytes in the messages, without their borders: packets may be cut anywhere (MQTT 3.1.1, 6).
pub(super) struct InMessages<Carrier> {
    messages: Whole<WebSocketStream<Carrier>>,
    /// What has not been read of the last message.
    heard: Bytes,
    /// Why it ends (RFC 6455, 7.4.1).
    code: CloseCode,
    /// That has been said.
    ended: bool,
}

impl<Carrier: Stream> InMessages<Carrier> {
    /// Nothing has been heard yet.
    pub(super) fn of(messages: Whole<WebSocketStream<Carrier>>) -> Self {
        Self {
            messages,
            heard: Bytes::new(),
            code: CloseCode::Normal,
            ended: false,
        }
    }

    /// It ends because the server does.
    pub(super) fn goes_away(&mut self) {
        self.code = CloseCode::Away;
    }
}

impl<Carrier: Stream> AsyncRead for InMessages<Carrier> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.heard.is_empty() {
            match ready!(this.messages.poll_next_unpin(cx)) {
                Some(Ok(Message::Binary(bytes))) => this.heard = bytes,
                Some(Ok(Message::Text(_))) => {
                    this.code = CloseCode::Unsupported;
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    this.code = code(&error);
                    return Poll::Ready(Err(failure(error)));
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = this.heard.len().min(into.remaining());
        into.put_slice(&this.heard.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl<Carrier: Stream> AsyncWrite for InMessages<Carrier> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let socket = self.get_mut().messages.get_mut();
        ready!(socket.poll_ready_unpin(cx)).map_err(failure)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        socket.start_send_unpin(message).map_err(failure)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut().messages.get_mut();
        socket.poll_flush_unpin(cx).map_err(failure)
    }

    /// Says why it ends, once. The stream below is its listener's to end.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let socket = this.messages.get_mut();
        if !this.ended {
            ready!(socket.poll_ready_unpin(cx)).map_err(failure)?;
            this.ended = true;
            let close = Message::Close(Some(CloseFrame {
                code: this.code,
                reason: Utf8Bytes::default(),
            }));
            socket.start_send_unpin(close).map_err(failure)?;
        }
        socket.poll_flush_unpin(cx).map_err(failure)
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

fn failure(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}
