//! One connection: frames in, events and frames out. No I/O here, no DPS, no hub.
//!
//! What a peer does wrong ends the smallest thing that it concerns: a link by detach, a session by
//! end, the connection by close, each with the condition that the specification names.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use fleetstorm_protocol::amqp::Value;
use fleetstorm_protocol::amqp::frame::{self, Frame, FrameError, MIN_MAX_FRAME_SIZE};
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::types::definitions::{
    AmqpError, ConnectionError, Error, Handle, ReceiverSettleMode, Role, SessionError,
};
use fleetstorm_protocol::amqp::types::messaging::{
    Accepted, DeliveryState, Rejected, TargetArchetype,
};
use fleetstorm_protocol::amqp::types::performatives::{
    Attach, Begin, ChannelMax, Close, Detach, Disposition, End, MaxFrameSize, Open, Performative,
    Transfer,
};

use super::link::{Delivery, Direction, Incoming, Link, Outgoing};
use super::session::{INCOMING_WINDOW, Session};

/// Longest frame that is taken; also announced.
pub(super) const MAX_FRAME: usize = 64 * 1024;
/// Sessions that a connection may have.
const MAX_SESSIONS: usize = 8;
/// Milliseconds of silence that a peer is asked not to exceed; the connection lives twice as long.
pub(super) const IDLE_TIMEOUT: u32 = 240_000;

/// How much a peer may have.
#[derive(Debug, Clone, Copy)]
pub(in crate::listen) struct Allowance {
    /// Links of a session.
    pub(in crate::listen) links: usize,
    /// Bytes of a message.
    pub(in crate::listen) message: usize,
}

/// Names a link of a connection, until it is detached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::listen) struct LinkId {
    channel: u16,
    handle: u32,
}

impl LinkId {
    /// Whether both are links of one session.
    pub(in crate::listen) fn is_beside(self, other: Self) -> bool {
        self.channel == other.channel
    }
}

/// What a peer does that concerns the node it speaks to.
#[derive(Debug)]
pub(in crate::listen) enum Event {
    /// It asks for a link: to be answered by [`Connection::accept`] or [`Connection::refuse`].
    Attach(Asked),
    /// It sent a message: to be answered by [`Connection::settle`].
    Message(LinkId, Delivery, Box<Message>),
    /// What became of a message that was sent with this name.
    Settled(LinkId, u64, Option<DeliveryState>),
    /// A link is gone.
    Detached(LinkId),
}

/// A link that is asked for.
#[derive(Debug)]
pub(in crate::listen) struct Asked {
    /// Its name from now on.
    pub(in crate::listen) id: LinkId,
    attach: Box<Attach>,
}

impl Asked {
    /// Whether its messages come from the peer.
    pub(in crate::listen) fn is_incoming(&self) -> bool {
        self.attach.role == Role::Sender
    }

    /// The address of the node: the target of a peer that sends, the source of one that receives.
    pub(in crate::listen) fn address(&self) -> Option<&str> {
        if self.is_incoming() {
            match self.attach.target.as_deref()? {
                TargetArchetype::Target(target) => target.address.as_deref(),
            }
        } else {
            self.attach.source.as_deref()?.address.as_deref()
        }
    }

    /// A property of the attach, if it is text.
    pub(in crate::listen) fn property(&self, name: &str) -> Option<&str> {
        match self.attach.properties.as_ref()?.get(name)? {
            Value::String(text) => Some(text),
            Value::Symbol(text) => Some(text.as_str()),
            _ => None,
        }
    }
}

/// An open connection.
pub(in crate::listen) struct Connection {
    allowance: Allowance,
    peer_frame: usize,
    sessions: Vec<Session>,
    events: VecDeque<Event>,
    closed: bool,
}

/// What ends for what a peer did.
enum Violation {
    Connection(Error),
    Session(Error),
    Link(u32, Error),
}

impl Connection {
    /// Answers the open of a peer.
    pub(super) fn new(allowance: Allowance, name: &str, open: &Open, out: &mut BytesMut) -> Self {
        let answer = Open {
            container_id: name.to_owned(),
            hostname: None,
            max_frame_size: MaxFrameSize(MAX_FRAME as u32),
            channel_max: ChannelMax(MAX_SESSIONS as u16 - 1),
            idle_time_out: Some(IDLE_TIMEOUT),
            outgoing_locales: None,
            incoming_locales: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        };
        frame::write(out, 0, &Performative::Open(answer), b"");
        let peer_frame = usize::try_from(open.max_frame_size.0).unwrap_or(MAX_FRAME);
        Self {
            allowance,
            peer_frame: peer_frame.clamp(MIN_MAX_FRAME_SIZE, MAX_FRAME),
            sessions: Vec::new(),
            events: VecDeque::new(),
            closed: false,
        }
    }

    /// The next thing that happened.
    pub(super) fn take_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether it is over: nothing more is read.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes a frame.
    pub(super) fn receive(&mut self, frame: Frame, out: &mut BytesMut) {
        let Some(performative) = frame.performative else {
            return;
        };
        let channel = frame.channel;
        match self.handle(channel, performative, frame.payload, out) {
            Ok(()) => {}
            Err(Violation::Connection(error)) => self.close(Some(error), out),
            Err(Violation::Session(error)) => self.end(channel, error, out),
            Err(Violation::Link(handle, error)) => {
                self.detach(LinkId { channel, handle }, error, out);
            }
        }
    }

    /// The peer's bytes are no frame: nothing after them can be read.
    pub(super) fn broken(&mut self, error: &FrameError, out: &mut BytesMut) {
        let condition = match error {
            FrameError::Framing(_) | FrameError::TooLong { .. } => {
                ConnectionError::FramingError.into()
            }
            FrameError::Malformed(_) => AmqpError::DecodeError.into(),
        };
        self.close(
            Some(Error {
                condition,
                description: Some(error.to_string()),
                info: None,
            }),
            out,
        );
    }

    /// Ends the connection.
    pub(in crate::listen) fn close(&mut self, error: Option<Error>, out: &mut BytesMut) {
        if !self.closed {
            frame::write(out, 0, &Performative::Close(Close { error }), b"");
            self.closed = true;
        }
    }

    /// Grants a link: echoes what was asked, and gives a sender credit.
    pub(in crate::listen) fn accept(&mut self, asked: Asked, out: &mut BytesMut) {
        let max_message = self.allowance.message as u64;
        let Some(session) = self.session(asked.id.channel) else {
            return;
        };
        let incoming = asked.is_incoming();
        let direction = if incoming {
            Direction::In(Incoming::default())
        } else {
            Direction::Out(Outgoing::new(&asked.attach.snd_settle_mode))
        };
        let handle = asked.id.handle;
        session.links.push(Link {
            handle,
            direction,
            detaching: false,
        });
        let mut attach = answer(*asked.attach);
        attach.max_message_size = Some(max_message);
        frame::write(out, asked.id.channel, &Performative::Attach(attach), b"");
        if incoming {
            session.top_up(handle, out);
        }
    }

    /// Refuses a link: an attach without the terminus that was asked for, then detach (part 2, 2.6.3).
    pub(in crate::listen) fn refuse(&mut self, asked: Asked, error: Error, out: &mut BytesMut) {
        let id = asked.id;
        let incoming = asked.is_incoming();
        let Some(session) = self.session(id.channel) else {
            return;
        };
        session.links.push(Link {
            handle: id.handle,
            direction: Direction::In(Incoming::default()),
            detaching: false,
        });
        let mut attach = answer(*asked.attach);
        if incoming {
            attach.target = None;
        } else {
            attach.source = None;
        }
        frame::write(out, id.channel, &Performative::Attach(attach), b"");
        self.say_detach(id, Some(error), out);
    }

    /// Ends a link, of which the node hears no more.
    pub(in crate::listen) fn detach(&mut self, id: LinkId, error: Error, out: &mut BytesMut) {
        if self.say_detach(id, Some(error), out) {
            self.events.push_back(Event::Detached(id));
        }
    }

    /// Says what becomes of a message: accepted, or rejected for a reason.
    pub(in crate::listen) fn settle(
        &mut self,
        id: LinkId,
        delivery: Delivery,
        rejected: Option<Rejected>,
        out: &mut BytesMut,
    ) {
        if !delivery.settled {
            let state = match rejected {
                None => DeliveryState::Accepted(Accepted {}),
                Some(rejected) => DeliveryState::Rejected(rejected),
            };
            say_disposition(
                id.channel,
                Role::Receiver,
                delivery.id,
                delivery.id,
                state,
                out,
            );
        }
        if let Some(session) = self.session(id.channel) {
            session.top_up(id.handle, out);
        }
    }

    /// Sends a message, now or once the peer gives credit. With a `name`, [`Event::Settled`] tells
    /// what became of it. `false` when the link is gone, or too many messages wait.
    pub(in crate::listen) fn send(
        &mut self,
        id: LinkId,
        message: &Message,
        name: Option<u64>,
        out: &mut BytesMut,
    ) -> bool {
        let Some(session) = self.session(id.channel) else {
            return false;
        };
        let Some(link) = session.link(id.handle).filter(|link| !link.detaching) else {
            return false;
        };
        let Direction::Out(outgoing) = &mut link.direction else {
            return false;
        };
        let done = name.filter(|_| outgoing.sends_settled());
        let owed = name.filter(|_| !outgoing.sends_settled());
        if !outgoing.queue(message.to_bytes(), owed) {
            return false;
        }
        session.pump(out);
        if let Some(name) = done {
            self.events.push_back(Event::Settled(id, name, None));
        }
        true
    }

    fn session(&mut self, channel: u16) -> Option<&mut Session> {
        let mut sessions = self.sessions.iter_mut();
        sessions.find(|session| session.window.channel == channel && !session.ending)
    }

    fn handle(
        &mut self,
        channel: u16,
        performative: Performative,
        payload: Bytes,
        out: &mut BytesMut,
    ) -> Result<(), Violation> {
        match performative {
            Performative::Open(_) => Err(Violation::Connection(Error::new(
                AmqpError::IllegalState,
                "the connection is open".to_owned(),
                None,
            ))),
            Performative::Close(_) => {
                self.close(None, out);
                Ok(())
            }
            Performative::Begin(begin) => self.begin(channel, &begin, out),
            Performative::End(_) => {
                self.ended(channel, out);
                Ok(())
            }
            performative => {
                let ending = self
                    .sessions
                    .iter()
                    .any(|session| session.window.channel == channel && session.ending);
                if ending {
                    return Ok(());
                }
                match performative {
                    Performative::Attach(attach) => self.attach(channel, attach),
                    Performative::Transfer(transfer) => {
                        self.transfer(channel, &transfer, payload, out)
                    }
                    Performative::Flow(flow) => {
                        let session = self.begun(channel)?;
                        session.flow(&flow, out).map_err(Violation::Session)
                    }
                    Performative::Disposition(disposition) => {
                        self.disposition(channel, &disposition, out)
                    }
                    Performative::Detach(detach) => self.detached(channel, &detach, out),
                    _ => Ok(()),
                }
            }
        }
    }

    /// The session of a channel.
    fn begun(&mut self, channel: u16) -> Result<&mut Session, Violation> {
        self.session(channel).ok_or_else(|| {
            let problem = format!("no session was begun on channel {channel}");
            Violation::Connection(Error::new(AmqpError::NotAllowed, problem, None))
        })
    }

    fn begin(&mut self, channel: u16, begin: &Begin, out: &mut BytesMut) -> Result<(), Violation> {
        let taken = self
            .sessions
            .iter()
            .any(|session| session.window.channel == channel);
        if taken || usize::from(channel) >= MAX_SESSIONS {
            let problem = format!("channel {channel} is in use, or above channel-max");
            let error = Error::new(AmqpError::NotAllowed, problem, None);
            return Err(Violation::Connection(error));
        }
        let answer = Begin {
            remote_channel: Some(channel),
            next_outgoing_id: 0,
            incoming_window: INCOMING_WINDOW,
            outgoing_window: INCOMING_WINDOW,
            handle_max: Handle(self.allowance.links as u32 - 1),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        };
        frame::write(out, channel, &Performative::Begin(answer), b"");
        let session = Session::new(channel, begin, self.peer_frame);
        self.sessions.push(session);
        Ok(())
    }

    fn attach(&mut self, channel: u16, attach: Attach) -> Result<(), Violation> {
        let max_links = self.allowance.links;
        let asked = self.events.iter().any(|event| {
            matches!(event, Event::Attach(asked)
                if asked.id.channel == channel && asked.attach.handle == attach.handle)
        });
        let session = self.begun(channel)?;
        session
            .may_attach(&attach.handle, max_links)
            .map_err(Violation::Session)?;
        if asked {
            return Err(Violation::Session(SessionError::HandleInUse.into()));
        }
        let handle = attach.handle.0;
        self.events.push_back(Event::Attach(Asked {
            id: LinkId { channel, handle },
            attach: Box::new(attach),
        }));
        Ok(())
    }

    fn transfer(
        &mut self,
        channel: u16,
        transfer: &Transfer,
        payload: Bytes,
        out: &mut BytesMut,
    ) -> Result<(), Violation> {
        let max_message = self.allowance.message;
        let held: usize = self.sessions.iter().map(Session::held).sum();
        let session = self.begun(channel)?;
        session.counted();
        let link = session
            .attached(&transfer.handle)
            .map_err(Violation::Session)?;
        let handle = link.handle;
        if link.detaching {
            return Ok(());
        }
        let Direction::In(incoming) = &mut link.direction else {
            let problem = "the link sends, it does not receive".to_owned();
            let error = Error::new(AmqpError::NotAllowed, problem, None);
            return Err(Violation::Link(handle, error));
        };
        let taken = incoming.take(transfer, payload, max_message);
        if held > 2 * max_message {
            let problem = "too many messages are under way at once".to_owned();
            let error = Error::new(AmqpError::ResourceLimitExceeded, problem, None);
            return Err(Violation::Connection(error));
        }
        let taken = taken.map_err(|error| Violation::Link(handle, error))?;
        let Some((delivery, bytes)) = taken else {
            return Ok(());
        };
        let id = LinkId { channel, handle };
        match Message::read(bytes) {
            Ok(message) => self
                .events
                .push_back(Event::Message(id, delivery, Box::new(message))),
            Err(error) => {
                let error = Error::new(AmqpError::DecodeError, error.to_string(), None);
                self.settle(id, delivery, Some(Rejected { error: Some(error) }), out);
            }
        }
        Ok(())
    }

    fn disposition(
        &mut self,
        channel: u16,
        disposition: &Disposition,
        out: &mut BytesMut,
    ) -> Result<(), Violation> {
        let session = self.begun(channel)?;
        let (first, last) = (
            disposition.first,
            disposition.last.unwrap_or(disposition.first),
        );
        let state = &disposition.state;
        let over = disposition.settled || state.as_ref().is_some_and(DeliveryState::is_terminal);
        // Messages of the peer are settled when they are answered: what it says of them is old.
        if disposition.role == Role::Sender || !over {
            return Ok(());
        }
        let mut settled = Vec::new();
        for link in &mut session.links {
            if let Direction::Out(outgoing) = &mut link.direction {
                let handle = link.handle;
                let id = LinkId { channel, handle };
                let names = outgoing.settle(first, last).into_iter();
                settled.extend(names.map(|name| (id, name)));
            }
        }
        if !disposition.settled && !settled.is_empty() {
            let state = state
                .clone()
                .unwrap_or(DeliveryState::Accepted(Accepted {}));
            say_disposition(channel, Role::Sender, first, last, state, out);
        }
        session.pump(out);
        for (id, name) in settled {
            let event = Event::Settled(id, name, state.clone());
            self.events.push_back(event);
        }
        Ok(())
    }

    /// The peer detaches, or answers our detach.
    fn detached(
        &mut self,
        channel: u16,
        detach: &Detach,
        out: &mut BytesMut,
    ) -> Result<(), Violation> {
        let session = self.begun(channel)?;
        let link = session
            .attached(&detach.handle)
            .map_err(Violation::Session)?;
        let (handle, answered) = (link.handle, link.detaching);
        session.links.retain(|link| link.handle != handle);
        if !answered {
            let detach = Detach {
                handle: Handle(handle),
                closed: detach.closed,
                error: None,
            };
            frame::write(out, channel, &Performative::Detach(detach), b"");
            self.events
                .push_back(Event::Detached(LinkId { channel, handle }));
        }
        Ok(())
    }

    /// Says that a link ends; `false` when it ends already.
    fn say_detach(&mut self, id: LinkId, error: Option<Error>, out: &mut BytesMut) -> bool {
        let link = self
            .session(id.channel)
            .and_then(|session| session.link(id.handle))
            .filter(|link| !link.detaching);
        let Some(link) = link else {
            return false;
        };
        link.detaching = true;
        link.direction = Direction::In(Incoming::default());
        let detach = Detach {
            handle: Handle(id.handle),
            closed: true,
            error,
        };
        frame::write(out, id.channel, &Performative::Detach(detach), b"");
        true
    }

    /// Ends a session for what the peer did.
    fn end(&mut self, channel: u16, error: Error, out: &mut BytesMut) {
        self.forget_links(channel);
        if let Some(session) = self.session(channel) {
            session.ending = true;
            frame::write(
                out,
                channel,
                &Performative::End(End { error: Some(error) }),
                b"",
            );
        }
    }

    /// The peer ends a session, or answers our end.
    fn ended(&mut self, channel: u16, out: &mut BytesMut) {
        self.forget_links(channel);
        if self.session(channel).is_some() {
            frame::write(out, channel, &Performative::End(End { error: None }), b"");
        }
        self.sessions
            .retain(|session| session.window.channel != channel);
    }

    fn forget_links(&mut self, channel: u16) {
        self.events
            .retain(|event| !matches!(event, Event::Attach(asked) if asked.id.channel == channel));
        let Some(session) = self.session(channel) else {
            return;
        };
        let links = std::mem::take(&mut session.links);
        for link in links.iter().filter(|link| !link.detaching) {
            let id = LinkId {
                channel,
                handle: link.handle,
            };
            self.events.push_back(Event::Detached(id));
        }
    }
}

/// The attach that answers one: the same link, seen from the other end.
fn answer(asked: Attach) -> Attach {
    let is_sender = asked.role == Role::Receiver;
    Attach {
        role: if is_sender {
            Role::Sender
        } else {
            Role::Receiver
        },
        rcv_settle_mode: ReceiverSettleMode::First,
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: is_sender.then_some(0),
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
        ..asked
    }
}

fn say_disposition(
    channel: u16,
    role: Role,
    first: u32,
    last: u32,
    state: DeliveryState,
    out: &mut BytesMut,
) {
    let disposition = Disposition {
        role,
        first,
        last: (last != first).then_some(last),
        settled: true,
        state: Some(state),
        batchable: false,
    };
    frame::write(out, channel, &Performative::Disposition(disposition), b"");
}
