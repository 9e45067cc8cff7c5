//! Messages off a WebSocket, each whole in time: what [`super::super::packet`] is to packets.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream as Messages, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Whether bytes have come since the last message was whole. Those that come together with the
/// end of a message are not seen: for them there is the silence that sessions bear.
#[derive(Debug, Clone, Default)]
pub(super) struct Begun(Rc<Cell<bool>>);

/// The stream below a WebSocket, which notes that bytes come.
pub(super) struct Watched<Stream> {
    stream: Stream,
    begun: Begun,
}

/// The messages above it. One that is begun and not ended within the limit breaks the connection.
pub(super) struct Whole<Incoming> {
    incoming: Incoming,
    begun: Begun,
    limit: Duration,
    over: Option<Pin<Box<Sleep>>>,
}

impl Begun {
    /// Watches a stream.
    pub(super) fn watch<Stream>(&self, stream: Stream) -> Watched<Stream> {
        let begun = self.clone();
        Watched { stream, begun }
    }

    /// Gives each message of that stream up to `limit`.
    pub(super) fn limit<Incoming>(self, incoming: Incoming, limit: Duration) -> Whole<Incoming> {
        Whole {
            incoming,
            begun: self,
            limit,
            over: None,
        }
    }
}

impl<Incoming> Whole<Incoming> {
    /// What they come from, to write to it.
    pub(super) fn get_mut(&mut self) -> &mut Incoming {
        &mut self.incoming
    }
}

impl<Incoming> Messages for Whole<Incoming>
where
    Incoming: Messages<Item = Result<Message, Error>> + Unpin,
{
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Poll::Ready(message) = this.incoming.poll_next_unpin(cx) {
            this.begun.0.set(false);
            this.over = None;
            return Poll::Ready(message);
        }
        if !this.begun.0.get() {
            return Poll::Pending;
        }
        let limit = this.limit;
        let over = this.over.get_or_insert_with(|| Box::pin(sleep(limit)));
        over.as_mut()
            .poll(cx)
            .map(|()| Some(Err(Error::Io(io::ErrorKind::TimedOut.into()))))
    }
}

impl<Stream: AsyncRead + Unpin> AsyncRead for Watched<Stream> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            this.begun.0.set(true);
        }
        read
    }
}

impl<Stream: AsyncWrite + Unpin> AsyncWrite for Watched<Stream> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
