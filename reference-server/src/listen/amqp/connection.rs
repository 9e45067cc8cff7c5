//! One connection: frames in, events and frames out. No I/O here, no DPS, no hub.
//!
//! What a peer does wrong ends the smallest thing that it concerns: a link by detach, a session by
//! end, the connection by close, each with the condition that the specification names.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use fleetstorm_protocol::amqp::frame::{self, Frame, FrameError, MIN_MAX_FRAME_SIZE};
use fleetstorm_protocol::amqp::types::definitions::{AmqpError, ConnectionError, Error, Handle};
use fleetstorm_protocol::amqp::types::performatives::{
    Attach, Begin, ChannelMax, Close, Detach, End, MaxFrameSize, Open, Performative,
};

use super::event::{AttachRequest, Event, LinkId};
use super::link::{Direction, Incoming, Link, Outgoing};
use super::session::{INCOMING_WINDOW, Session};

/// Longest frame that is taken; also announced.
pub(in crate::listen) const MAX_FRAME: usize = 64 * 1024;
/// Milliseconds of silence that a peer is asked not to exceed; the connection lives twice as long.
pub(super) const IDLE_TIMEOUT: u32 = 240_000;

/// How much a peer may have.
#[derive(Debug, Clone, Copy)]
pub(in crate::listen) struct Allowance {
    /// Sessions.
    pub(in crate::listen) sessions: u16,
    /// Links, of all sessions together.
    pub(in crate::listen) links: usize,
    /// Bytes of a message.
    pub(in crate::listen) message: usize,
}

/// An open connection.
pub(in crate::listen) struct Connection {
    pub(super) allowance: Allowance,
    peer_frame: usize,
    pub(super) sessions: Vec<Session>,
    pub(super) events: VecDeque<Event>,
    closed: bool,
}

/// What ends for what a peer did.
pub(super) enum Violation {
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
            channel_max: ChannelMax(allowance.sessions - 1),
            idle_time_out: Some(IDLE_TIMEOUT),
            outgoing_locales: None,
            incoming_locales: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        };
        frame::write_whole(out, 0, &Performative::Open(answer), b"");
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
            frame::write_whole(out, 0, &Performative::Close(Close { error }), b"");
            self.closed = true;
        }
    }

    /// Grants a link: echoes what was asked, and gives a sender credit.
    pub(in crate::listen) fn accept(&mut self, asked: AttachRequest, out: &mut BytesMut) {
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
        let channel = asked.id.channel;
        let mut attach = asked.answer();
        attach.max_message_size = Some(max_message);
        frame::write_whole(out, channel, &Performative::Attach(attach), b"");
        if incoming {
            session.top_up(handle, out);
        }
    }

    /// Refuses a link: an attach without the terminus that was asked for, then detach (part 2, 2.6.3).
    pub(in crate::listen) fn refuse(
        &mut self,
        asked: AttachRequest,
        error: Error,
        out: &mut BytesMut,
    ) {
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
        let mut attach = asked.answer();
        if incoming {
            attach.target = None;
        } else {
            attach.source = None;
        }
        frame::write_whole(out, id.channel, &Performative::Attach(attach), b"");
        self.say_detach(id, Some(error), out);
    }

    /// Messages that a link to the peer takes now.
    pub(in crate::listen) fn room(&mut self, id: LinkId) -> usize {
        let link = self
            .session(id.channel)
            .and_then(|session| session.link(id.handle));
        match link.map(|link| &link.direction) {
            Some(Direction::Out(outgoing)) => outgoing.room(),
            Some(Direction::In(_)) | None => 0,
        }
    }

    /// Ends a link, of which the node hears no more.
    pub(in crate::listen) fn detach(&mut self, id: LinkId, error: Error, out: &mut BytesMut) {
        if self.say_detach(id, Some(error), out) {
            self.events.push_back(Event::Detached(id));
        }
    }

    pub(super) fn session(&mut self, channel: u16) -> Option<&mut Session> {
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
                        session.flow(&flow, out).map_err(Violation::Session)?;
                        if let Some(Handle(handle)) = flow.handle
                            && self.room(LinkId { channel, handle }) > 0
                        {
                            self.events
                                .push_back(Event::Credit(LinkId { channel, handle }));
                        }
                        Ok(())
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
    pub(super) fn begun(&mut self, channel: u16) -> Result<&mut Session, Violation> {
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
        if taken || channel >= self.allowance.sessions {
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
        frame::write_whole(out, channel, &Performative::Begin(answer), b"");
        let session = Session::new(channel, begin, self.peer_frame);
        self.sessions.push(session);
        Ok(())
    }

    fn attach(&mut self, channel: u16, attach: Attach) -> Result<(), Violation> {
        let max_links = self.allowance.links;
        let links: usize = self
            .sessions
            .iter()
            .map(|session| session.links.len())
            .sum();
        let session = self.begun(channel)?;
        session
            .may_attach(&attach.handle, max_links)
            .map_err(Violation::Session)?;
        if links >= max_links {
            let problem = format!("a connection has at most {max_links} links");
            let error = Error::new(AmqpError::ResourceLimitExceeded, problem, None);
            return Err(Violation::Session(error));
        }
        let handle = attach.handle.0;
        self.events.push_back(Event::Attach(AttachRequest {
            id: LinkId { channel, handle },
            attach: Box::new(attach),
        }));
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
            frame::write_whole(out, channel, &Performative::Detach(detach), b"");
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
        frame::write_whole(out, id.channel, &Performative::Detach(detach), b"");
        true
    }

    /// Ends a session for what the peer did.
    fn end(&mut self, channel: u16, error: Error, out: &mut BytesMut) {
        self.forget_links(channel);
        if let Some(session) = self.session(channel) {
            session.ending = true;
            frame::write_whole(
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
            frame::write_whole(out, channel, &Performative::End(End { error: None }), b"");
        }
        self.sessions
            .retain(|session| session.window.channel != channel);
    }

    fn forget_links(&mut self, channel: u16) {
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
