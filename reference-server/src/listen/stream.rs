//! What carries a conversation.

use tokio::io::{AsyncRead, AsyncWrite};

/// What a conversation of packets runs over, whatever carries it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<Carrier: AsyncRead + AsyncWrite + Unpin> Stream for Carrier {}
