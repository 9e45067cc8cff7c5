//! One session: its links and its windows (part 2, 2.5).

use bytes::BytesMut;
use fleetstorm_protocol::amqp::frame;
use fleetstorm_protocol::amqp::types::definitions::{AmqpError, Error, Handle, SessionError};
use fleetstorm_protocol::amqp::types::performatives::{Begin, Flow, Performative};

use super::link::{Direction, Link};
use super::window::Window;

/// Transfers that a peer may send before it hears of us again: more than it ever will.
pub(super) const INCOMING_WINDOW: u32 = i32::MAX as u32;

/// A session, seen from here.
pub(super) struct Session {
    pub(super) window: Window,
    next_incoming_id: u32,
    pub(super) links: Vec<Link>,
    /// Our end is on its way: what still comes is not looked at.
    pub(super) ending: bool,
}

impl Session {
    /// The session that a peer begins.
    pub(super) fn new(channel: u16, begin: &Begin, peer_frame: usize) -> Self {
        Self {
            window: Window {
                channel,
                peer_frame,
                next_outgoing_id: 0,
                remote_incoming_window: begin.incoming_window,
                next_delivery: 0,
            },
            next_incoming_id: begin.next_outgoing_id,
            links: Vec::new(),
            ending: false,
        }
    }

    /// The link of a handle.
    pub(super) fn link(&mut self, handle: u32) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.handle == handle)
    }

    /// The link of a handle.
    ///
    /// # Errors
    /// There is none: the session ends.
    pub(super) fn attached(&mut self, handle: &Handle) -> Result<&mut Link, Error> {
        self.link(handle.0)
            .ok_or_else(|| SessionError::UnattachedHandle.into())
    }

    /// A transfer has come.
    pub(super) fn counted(&mut self) {
        self.next_incoming_id = self.next_incoming_id.wrapping_add(1);
    }

    /// Takes a flow, and sends what waited for it.
    ///
    /// # Errors
    /// It is for a link that does not exist: the session ends.
    pub(super) fn flow(&mut self, flow: &Flow, out: &mut BytesMut) -> Result<(), Error> {
        let seen = flow.next_incoming_id.unwrap_or(0);
        let on_its_way = self.window.next_outgoing_id.wrapping_sub(seen);
        self.window.remote_incoming_window = flow.incoming_window.saturating_sub(on_its_way);
        let Some(handle) = &flow.handle else {
            if flow.echo {
                self.say_flow(None, out);
            }
            self.pump(out);
            return Ok(());
        };
        let link = self.attached(handle)?;
        if link.detaching {
            return Ok(());
        }
        let asks = match &mut link.direction {
            Direction::In(_) => flow.echo,
            Direction::Out(outgoing) => outgoing.flow(flow),
        };
        self.pump(out);
        if asks {
            self.say_flow(Some(handle.0), out);
        }
        Ok(())
    }

    /// Says where the session stands, and one link of it.
    pub(super) fn say_flow(&mut self, handle: Option<u32>, out: &mut BytesMut) {
        let mut flow = Flow {
            next_incoming_id: Some(self.next_incoming_id),
            incoming_window: INCOMING_WINDOW,
            next_outgoing_id: self.window.next_outgoing_id,
            outgoing_window: INCOMING_WINDOW,
            handle: handle.map(Handle),
            delivery_count: None,
            link_credit: None,
            available: None,
            drain: false,
            echo: false,
            properties: None,
        };
        if let Some(link) = handle.and_then(|handle| self.link(handle)) {
            let (count, credit, available) = match &link.direction {
                Direction::In(incoming) => {
                    let (count, credit) = incoming.standing();
                    (count, credit, None)
                }
                Direction::Out(outgoing) => {
                    let (count, credit, waiting) = outgoing.standing();
                    (count, credit, Some(waiting))
                }
            };
            flow.delivery_count = Some(count);
            flow.link_credit = Some(credit);
            flow.available = available;
        }
        frame::write_whole(out, self.window.channel, &Performative::Flow(flow), b"");
    }

    /// Gives a link more credit, when it has used half of it.
    pub(super) fn top_up(&mut self, handle: u32, out: &mut BytesMut) {
        let topped_up = match self.link(handle).map(|link| &mut link.direction) {
            Some(Direction::In(incoming)) => incoming.top_up(),
            Some(Direction::Out(_)) | None => false,
        };
        if topped_up {
            self.say_flow(Some(handle), out);
        }
    }

    /// Sends what credit and window allow, on all links.
    pub(super) fn pump(&mut self, out: &mut BytesMut) {
        for link in self.links.iter_mut().filter(|link| !link.detaching) {
            if let Direction::Out(outgoing) = &mut link.direction {
                outgoing.pump(link.handle, &mut self.window, out);
            }
        }
    }

    /// Bytes held of deliveries that are not complete.
    pub(super) fn held(&self) -> usize {
        let held = |link: &Link| match &link.direction {
            Direction::In(incoming) => incoming.held(),
            Direction::Out(_) => 0,
        };
        self.links.iter().map(held).sum()
    }

    /// Whether another link can be attached by this handle.
    ///
    /// # Errors
    /// It can't: the session ends.
    pub(super) fn may_attach(&self, handle: &Handle, max_links: usize) -> Result<(), Error> {
        if self.links.iter().any(|link| link.handle == handle.0) {
            return Err(SessionError::HandleInUse.into());
        }
        let max = u32::try_from(max_links).unwrap_or(u32::MAX);
        if handle.0 >= max || self.links.len() >= max_links {
            let problem = format!("handle-max is {}", max.saturating_sub(1));
            return Err(Error::new(AmqpError::ResourceLimitExceeded, problem, None));
        }
        Ok(())
    }
}
