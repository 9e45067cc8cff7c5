//! A connection that can be cut from within: closed without a word, or reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Cuts one connection.
#[derive(Debug, Default)]
pub(crate) struct KillSwitch {
    cut: Notify,
    is_cut: AtomicBool,
    reset: AtomicBool,
}

impl KillSwitch {
    /// Ends the connection: nothing more is written to it.
    pub(crate) fn drop_it(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.cut.notify_one();
    }

    /// The same, and the peer sees a reset.
    pub(crate) fn reset_it(&self) {
        self.reset.store(true, Ordering::Release);
        self.drop_it();
    }

    /// Waits until it is cut.
    pub(crate) async fn cut(&self) {
        self.cut.notified().await;
    }

    /// Whether it was: then nobody says good-bye.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }
}

/// A connection, and what cuts it.
pub(crate) struct Cuttable {
    stream: TcpStream,
    line: Arc<KillSwitch>,
}

impl Cuttable {
    /// One that `line` cuts.
    pub(crate) fn new(stream: TcpStream, line: Arc<KillSwitch>) -> Self {
        Self { stream, line }
    }
}

impl Drop for Cuttable {
    fn drop(&mut self) {
        if self.line.reset.load(Ordering::Acquire) {
            // To linger for no time is to reset (RFC 9293, 3.10.5). A stream that is gone already makes no difference.
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
