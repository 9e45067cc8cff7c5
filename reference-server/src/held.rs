//! A connection that its listener lends out: to a protocol, which may drop it any time, and keeps, to
//! end it in order.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// How long a peer may take to hear that it is over.
const LINGER: Duration = Duration::from_secs(1);
/// Most that is still heard from it.
const MOST_HEARD: usize = 1 << 20;

/// One of the two hands that hold a connection; never both at once reach for it.
pub(crate) struct Held<Stream>(Arc<Mutex<Stream>>);

impl<Stream> Held<Stream> {
    /// Holds it.
    pub(crate) fn new(stream: Stream) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }

    /// The other hand.
    pub(crate) fn lend(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn stream(&self) -> MutexGuard<'_, Stream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Stream: AsyncRead + AsyncWrite + Unpin> Held<Stream> {
    /// Says good-bye, whatever ended the conversation. What is still on its way from the peer is heard
    /// out, for to close before that is to reset, and that takes from it what it has not read yet.
    pub(crate) async fn end(mut self) {
        let ended = async {
            self.shutdown().await?;
            let (mut heard, mut some) = (0, [0; 512]);
            while heard < MOST_HEARD {
                match self.read(&mut some).await? {
                    0 => break,
                    more => heard += more,
                }
            }
            io::Result::Ok(())
        };
        // Whoever is gone already hears nothing.
        let _ = tokio::time::timeout(LINGER, ended).await;
    }
}

impl<Stream: AsyncRead + Unpin> AsyncRead for Held<Stream> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_read(cx, buffer)
    }
}

impl<Stream: AsyncWrite + Unpin> AsyncWrite for Held<Stream> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream()).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream()).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_shutdown(cx)
    }
}
