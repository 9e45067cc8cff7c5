//! What carries a conversation of packets: TLS itself, or the messages of a WebSocket over it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use fleetstorm_protocol::attestation::TransportKind;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::dial::Secured;
use super::error::LinkError;

pub mod duplex;
mod websocket;

use duplex::Duplex;

/// A stream of bytes to DPS or a hub, which MQTT and AMQP run over alike.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the common one, and lives inside a task that is boxed anyway"
)]
pub enum Carrier {
    /// TLS, and nothing between.
    Tls(Secured),
    /// The messages of a WebSocket.
    WebSocket(Box<dyn Duplex>),
}

impl Carrier {
    /// Makes what `transport` runs over out of a secured connection to `host`.
    ///
    /// # Errors
    /// The connection broke, or the server refused the WebSocket.
    pub async fn open(
        transport: TransportKind,
        stream: Secured,
        host: &str,
    ) -> Result<Self, LinkError> {
        Ok(match transport.sub_protocol() {
            None => Self::Tls(stream),
            Some(sub_protocol) => {
                Self::WebSocket(websocket::open(stream, host, sub_protocol).await?)
            }
        })
    }

    /// Ends it in order: what still comes is heard out, for who hangs up before that resets the
    /// connection. The caller decides how long the peer may take to end it as well.
    pub async fn close(mut self) {
        let mut rest = [0; 256];
        // A peer that is gone already makes no difference.
        if self.shutdown().await.is_ok() {
            while self.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        }
    }
}

impl AsyncRead for Carrier {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_read(context, into),
            Self::WebSocket(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::WebSocket(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::WebSocket(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::WebSocket(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
