//! AMQP 1.0 with a peer whose connection is open, whoever it talks to.

use std::time::Duration;

use fleetstorm_protocol::amqp::frame;
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::types::definitions::{AmqpError, Error};
use fleetstorm_protocol::amqp::types::messaging::Rejected;
use fleetstorm_protocol::amqp::types::performatives::Open;
use tokio::time::Instant;

use self::connection::{Connection, IDLE_TIMEOUT};
use self::wire::{Gone, Wire};
use super::stream::Stream;
use crate::limits::Limits;

pub(super) use self::connection::{Allowance, MAX_FRAME};
pub(super) use self::event::{AttachRequest, Event, LinkId};
pub(super) use self::link::Delivery;

pub(super) mod login;
pub(super) mod wire;

mod connection;
mod deliveries;
mod event;
mod link;
mod session;
mod window;

/// Twice what a peer is told of the silence that it may keep (part 2, 2.4.5).
const IDLE_LIMIT: Duration = Duration::from_millis(IDLE_TIMEOUT as u64 * 2);
/// Shortest idle time-out of a peer that is taken.
const SHORTEST_IDLE: Duration = Duration::from_secs(1);

/// An open connection over its stream.
pub(super) struct Conversation<Carrier> {
    wire: Wire<Carrier>,
    connection: Connection,
    idle: IdleDeadline,
    heartbeat: Option<Heartbeat>,
}

/// How long the peer is waited for.
struct IdleDeadline {
    silence: Duration,
    frame: Duration,
    /// Until when a whole frame must have come.
    until: Instant,
    /// The same for the rest of one that has begun.
    rest_until: Option<Instant>,
}

impl IdleDeadline {
    fn new(limits: &Limits) -> Self {
        let silence = limits.silence.min(IDLE_LIMIT);
        Self {
            silence,
            frame: limits.packet,
            until: Instant::now() + silence,
            rest_until: None,
        }
    }

    /// A whole frame has come.
    fn renew(&mut self) {
        self.until = Instant::now() + self.silence;
        self.rest_until = None;
    }

    /// Until when to wait, for a frame or the rest of one.
    fn deadline(&mut self, has_begun: bool) -> Instant {
        if has_begun {
            let rest_until = self.rest_until.get_or_insert(Instant::now() + self.frame);
            self.until.min(*rest_until)
        } else {
            self.until
        }
    }
}

/// Frames that say nothing, so that the peer knows we live.
struct Heartbeat {
    every: Duration,
    next: Instant,
}

impl<Carrier: Stream> Conversation<Carrier> {
    /// Answers the open of a peer, in the name of who is asked.
    pub(super) fn new(
        mut wire: Wire<Carrier>,
        name: &str,
        allowance: Allowance,
        open: &Open,
        limits: &Limits,
    ) -> Self {
        let idle = open
            .idle_time_out
            .map(|millis| Duration::from_millis(millis.into()))
            .filter(|idle| !idle.is_zero());
        let mut connection = Connection::new(allowance, name, open, &mut wire.output);
        if idle.is_some_and(|idle| idle < SHORTEST_IDLE) {
            let problem = "idle-time-out: is too short".to_owned();
            let error = Error::new(AmqpError::NotAllowed, problem, None);
            connection.close(Some(error), &mut wire.output);
        }
        Self {
            wire,
            connection,
            idle: IdleDeadline::new(limits),
            heartbeat: idle.map(|idle| Heartbeat {
                every: idle / 2,
                next: Instant::now() + idle / 2,
            }),
        }
    }

    /// Ends the stream.
    pub(super) async fn close(self) {
        self.wire.close().await;
    }

    /// The next thing that the peer does; `None` when there is nothing more. May be given up and asked again.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.connection.take_event() {
                return Some(event);
            }
            if self.connection.is_closed() {
                return None;
            }
            match self.wire.waiting_frame(MAX_FRAME) {
                Ok(Some(frame)) => {
                    self.idle.renew();
                    self.connection.receive(frame, &mut self.wire.output);
                }
                Ok(None) => match self.exchange().await {
                    Ok(()) => {}
                    Err(Gone::Lost) => return None,
                    Err(Gone::Silent) => self.too_slow(),
                },
                Err(error) => self.connection.broken(&error, &mut self.wire.output),
            }
        }
    }

    async fn exchange(&mut self) -> Result<(), Gone> {
        let deadline = self.idle.deadline(self.wire.has_begun());
        match &mut self.heartbeat {
            Some(heartbeat) if heartbeat.next < deadline => tokio::select! {
                exchanged = self.wire.exchange(deadline) => exchanged,
                () = tokio::time::sleep_until(heartbeat.next) => {
                    frame::write_heartbeat(&mut self.wire.output);
                    heartbeat.next = Instant::now() + heartbeat.every;
                    Ok(())
                }
            },
            _ => self.wire.exchange(deadline).await,
        }
    }

    /// Part 2, 2.4.5: who waits no longer says why.
    fn too_slow(&mut self) {
        let problem = if self.wire.has_begun() {
            "a frame began, and its end did not come"
        } else {
            "no frame came within the idle time-out"
        };
        let error = Error::new(AmqpError::ResourceLimitExceeded, problem.to_owned(), None);
        self.connection.close(Some(error), &mut self.wire.output);
    }

    /// Grants a link.
    pub(super) fn accept(&mut self, asked: AttachRequest) {
        self.connection.accept(asked, &mut self.wire.output);
    }

    /// Refuses a link.
    pub(super) fn refuse(&mut self, asked: AttachRequest, error: Error) {
        self.connection.refuse(asked, error, &mut self.wire.output);
    }

    /// Says what becomes of a message: accepted, or rejected for a reason.
    pub(super) fn settle(&mut self, id: LinkId, delivery: Delivery, rejected: Option<Rejected>) {
        let out = &mut self.wire.output;
        self.connection.settle(id, delivery, rejected, out);
    }

    /// Messages that a link to the peer takes now: [`Event::Credit`] tells when it takes more.
    pub(super) fn room(&mut self, id: LinkId) -> usize {
        self.connection.room(id)
    }

    /// Ends a link.
    pub(super) fn detach(&mut self, id: LinkId, error: Error) {
        self.connection.detach(id, error, &mut self.wire.output);
    }

    /// Sends a message; with a `name`, [`Event::Settled`] tells what became of it. A peer that lets too many wait is told, and loses its connection.
    pub(super) fn send(&mut self, id: LinkId, message: &Message, name: Option<u64>) {
        let out = &mut self.wire.output;
        if !self.connection.send(id, message, name, out) {
            let problem = "too many messages wait for credit".to_owned();
            let error = Error::new(AmqpError::ResourceLimitExceeded, problem, None);
            self.connection.close(Some(error), out);
        }
    }
}
