//! What a peer says of its own accord, and signs of life: for a connection that is held.

use std::collections::VecDeque;
use std::time::Duration;

use fleetstorm_protocol::amqp::frame;
use fleetstorm_protocol::amqp::message::Message;

use super::{AmqpLink, FrameEvent};
use crate::link::error::LinkError;

/// Most messages that wait while something else is asked; beyond it the newest is lost, as from a
/// device that is too slow.
const MOST_WAITING: usize = 32;
impl AmqpLink {
    /// From now on keeps messages that nobody asked for, for [`Self::receive`].
    pub fn keep_what_comes(&mut self) {
        self.waiting.get_or_insert_default();
    }

    /// Waits for the next message that was not asked for. Giving up the wait loses nothing.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn receive(&mut self) -> Result<Box<Message>, LinkError> {
        if let Some(message) = self.waiting.as_mut().and_then(VecDeque::pop_front) {
            return Ok(message);
        }
        loop {
            if let FrameEvent::Message(message) = self.receive_frame().await? {
                return Ok(message);
            }
        }
    }

    /// Sends a message that needs no outcome.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn post(&mut self, handle: u32, message: &Message) -> Result<(), LinkError> {
        self.send(handle, message.to_bytes(), true).await?;
        self.flush().await
    }

    /// How long the peer lasts without a sign of life, if it has said so.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout
    }

    /// An empty frame: a sign of life.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn beat(&mut self) -> Result<(), LinkError> {
        frame::write_heartbeat(&mut self.output);
        self.flush().await
    }

    /// One frame, of which only a message is worth keeping.
    pub(super) async fn wait_for_more(&mut self) -> Result<(), LinkError> {
        if let FrameEvent::Message(message) = self.receive_frame().await? {
            self.keep(message);
        }
        Ok(())
    }

    /// Keeps a message for who listens.
    pub(super) fn keep(&mut self, message: Box<Message>) {
        if let Some(waiting) = &mut self.waiting
            && waiting.len() < MOST_WAITING
        {
            waiting.push_back(message);
        }
    }
}
