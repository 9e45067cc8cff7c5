//! The messages of a connection: taken, sent, settled.

use bytes::{Bytes, BytesMut};
use fleetstorm_protocol::amqp::frame;
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::types::definitions::{AmqpError, Error, Role};
use fleetstorm_protocol::amqp::types::messaging::{Accepted, DeliveryState, Rejected};
use fleetstorm_protocol::amqp::types::performatives::{Disposition, Performative, Transfer};

use super::connection::{Connection, Violation};
use super::event::{Event, LinkId};
use super::link::{Delivery, Direction};
use super::session::Session;

impl Connection {
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

    /// A part of a message has come.
    pub(super) fn transfer(
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

    /// The peer says what becomes of messages.
    pub(super) fn disposition(
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
    frame::write_whole(out, channel, &Performative::Disposition(disposition), b"");
}
