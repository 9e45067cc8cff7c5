//! The byte stream below a conversation: what has come and not been read, what was written and not
//! been sent. Every wait can be given up and taken up again.

use bytes::BytesMut;
use fleetstorm_protocol::amqp::frame::{Frame, FrameError};
use fleetstorm_protocol::amqp::sasl::SaslFrame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::listen::stream::Stream;

/// Buffers start small: most frames are.
const BUFFER: usize = 1024;

/// A stream and its buffers.
pub(in crate::listen) struct Wire<Carrier> {
    stream: Carrier,
    input: BytesMut,
    pub(in crate::listen) output: BytesMut,
}

/// Why nothing more comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::listen) enum Gone {
    /// The peer hung up, does not read, or speaks something else.
    Lost,
    /// It said nothing in its time.
    Silent,
}

impl<Carrier: Stream> Wire<Carrier> {
    pub(in crate::listen) fn new(stream: Carrier) -> Self {
        Self {
            stream,
            input: BytesMut::with_capacity(BUFFER),
            output: BytesMut::with_capacity(BUFFER),
        }
    }

    /// The next eight bytes.
    pub(in crate::listen) async fn protocol_header(
        &mut self,
        deadline: Instant,
    ) -> Result<[u8; 8], Gone> {
        loop {
            if let Some(header) = self.input.first_chunk().copied() {
                let _ = self.input.split_to(8);
                return Ok(header);
            }
            self.exchange(deadline).await?;
        }
    }

    /// The next SASL frame; one that is none ends it.
    pub(in crate::listen) async fn sasl_frame(
        &mut self,
        deadline: Instant,
    ) -> Result<SaslFrame, Gone> {
        loop {
            match SaslFrame::read(&mut self.input) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => self.exchange(deadline).await?,
                Err(_) => return Err(Gone::Lost),
            }
        }
    }

    /// The next frame that has already come, if it is whole.
    pub(in crate::listen) fn waiting_frame(
        &mut self,
        limit: usize,
    ) -> Result<Option<Frame>, FrameError> {
        Frame::read(&mut self.input, limit)
    }

    /// Whether a part of a frame has come.
    pub(in crate::listen) fn has_begun(&self) -> bool {
        !self.input.is_empty()
    }

    /// Sends what was written, then waits for more to come.
    pub(in crate::listen) async fn exchange(&mut self, deadline: Instant) -> Result<(), Gone> {
        self.send().await?;
        match timeout_at(deadline, self.stream.read_buf(&mut self.input)).await {
            Ok(Ok(read)) if read > 0 => Ok(()),
            Ok(_) => Err(Gone::Lost),
            Err(_) => Err(Gone::Silent),
        }
    }

    /// Sends what was written. That the peer reads it is watched over below TLS.
    pub(in crate::listen) async fn send(&mut self) -> Result<(), Gone> {
        if self.output.is_empty() {
            return Ok(());
        }
        while !self.output.is_empty() {
            let written = self.stream.write_buf(&mut self.output).await;
            written.map_err(|_| Gone::Lost)?;
        }
        self.stream.flush().await.map_err(|_| Gone::Lost)
    }

    /// Sends what was written, and closes the stream.
    pub(in crate::listen) async fn close(mut self) {
        // A peer that is gone already makes no difference.
        if self.send().await.is_ok() {
            let _ = self.stream.shutdown().await;
        }
    }
}
