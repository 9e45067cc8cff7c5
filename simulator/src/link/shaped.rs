//! A TCP connection over a longer, narrower or worse line than the real one: bytes arrive later, in order, and
//! who sends them does not wait for that. Without a line it is the connection itself.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use self::far::{BothWays, Far};
use super::region_link::RegionLink;
use crate::generator::delay::Delay;

mod direction;
mod far;

/// The connection.
#[derive(Debug)]
pub enum Shaped {
    /// Over the network as it is.
    Near(TcpStream),
    /// Over a line.
    Far(Far),
    /// Over nothing.
    #[cfg(test)]
    InMemory(tokio::io::DuplexStream),
}

impl Shaped {
    /// Connects over a line, if there is one; the seed decides its jitter and when it stands still, and what it is late
    /// by itself is added to the device's delay. The network's own handshake is `connecting`, which the line makes
    /// longer by a round trip, also when it fails.
    ///
    /// # Errors
    /// Those of `connecting`.
    pub async fn connect(
        connecting: impl Future<Output = io::Result<TcpStream>>,
        line: Option<RegionLink>,
        (seed, delay): (u64, Delay),
    ) -> io::Result<Self> {
        let Some(line) = line else {
            return connecting.await.map(Self::Near);
        };
        let line = BothWays::new(line, seed, delay);
        Far::connect(connecting, line).await.map(Self::Far)
    }
}

impl AsyncRead for Shaped {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Near(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Far(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(test)]
            Self::InMemory(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Shaped {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Near(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Far(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(test)]
            Self::InMemory(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Near(stream) => Pin::new(stream).poll_flush(cx),
            Self::Far(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(test)]
            Self::InMemory(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Near(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Far(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(test)]
            Self::InMemory(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
