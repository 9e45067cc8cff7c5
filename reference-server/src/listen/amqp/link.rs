//! One link: credit, deliveries on their way in and out.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use fleetstorm_protocol::amqp::frame;
use fleetstorm_protocol::amqp::types::definitions::{
    AmqpError, Error, LinkError, SenderSettleMode,
};
use fleetstorm_protocol::amqp::types::performatives::{Flow, Transfer};

use super::window::Window;

/// Messages that a peer may send before more credit is given.
const CREDIT: u32 = 64;
/// Messages that may wait for a peer's credit.
const MAX_WAITING: usize = 64;
/// Messages whose outcome a peer may owe.
const MAX_UNSETTLED: usize = 64;
/// What a transfer takes in a frame, besides its payload.
const OVERHEAD: usize = 64;

/// A link, seen from here.
pub(super) struct Link {
    pub(super) handle: u32,
    pub(super) direction: Direction,
    /// Our detach is on its way: what still comes is not looked at.
    pub(super) detaching: bool,
}

/// Which way its messages go.
pub(super) enum Direction {
    /// To us.
    In(Incoming),
    /// To the peer.
    Out(Outgoing),
}

/// The state of a link to us.
#[derive(Default)]
pub(super) struct Incoming {
    credit: u32,
    delivery_count: u32,
    /// A delivery of which not all has come.
    part: Option<Part>,
}

struct Part {
    delivery: Delivery,
    payload: BytesMut,
}

/// A message that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::listen) struct Delivery {
    pub(super) id: u32,
    /// The sender wants to hear no more of it.
    pub(super) settled: bool,
}

/// The state of a link to the peer.
pub(super) struct Outgoing {
    credit: u32,
    delivery_count: u32,
    mode: SenderSettleMode,
    waiting: VecDeque<Waiting>,
    /// Delivery ids whose outcome is owed, with the names that the node gave them.
    unsettled: VecDeque<(u32, u64)>,
}

struct Waiting {
    payload: Bytes,
    /// What its outcome is asked for by; `None` when it does not matter.
    name: Option<u64>,
    /// Its delivery id, once a part of it was sent.
    begun: Option<u32>,
}

impl Incoming {
    /// Gives credit once half of it is used; `false` when there is enough.
    pub(super) fn top_up(&mut self) -> bool {
        let short = self.credit < CREDIT / 2;
        if short {
            self.credit = CREDIT;
        }
        short
    }

    /// Where the link stands: delivery count and credit.
    pub(super) fn standing(&self) -> (u32, u32) {
        (self.delivery_count, self.credit)
    }

    /// Bytes held of a delivery that is not complete.
    pub(super) fn held(&self) -> usize {
        self.part.as_ref().map_or(0, |part| part.payload.len())
    }

    /// Takes a transfer; returns the message once it is whole.
    ///
    /// # Errors
    /// The peer breaks the link's rules; the link ends.
    pub(super) fn take(
        &mut self,
        transfer: &Transfer,
        payload: Bytes,
        max_message: usize,
    ) -> Result<Option<(Delivery, Bytes)>, Error> {
        let settled = transfer.settled.unwrap_or(false);
        let mut part = match self.part.take() {
            Some(part) => part,
            None => {
                let id = transfer.delivery_id.ok_or_else(|| {
                    Error::new(
                        AmqpError::InvalidField,
                        "delivery-id: is missing".to_owned(),
                        None,
                    )
                })?;
                self.credit = self
                    .credit
                    .checked_sub(1)
                    .ok_or_else(|| Error::from(LinkError::TransferLimitExceeded))?;
                self.delivery_count = self.delivery_count.wrapping_add(1);
                let delivery = Delivery { id, settled };
                if !transfer.more && !transfer.aborted && payload.len() <= max_message {
                    return Ok(Some((delivery, payload)));
                }
                Part {
                    delivery,
                    payload: BytesMut::new(),
                }
            }
        };
        if transfer.aborted {
            return Ok(None);
        }
        if part.payload.len() + payload.len() > max_message {
            return Err(LinkError::MessageSizeExceeded.into());
        }
        part.delivery.settled |= settled;
        part.payload.extend_from_slice(&payload);
        if transfer.more {
            self.part = Some(part);
            return Ok(None);
        }
        Ok(Some((part.delivery, part.payload.freeze())))
    }
}

impl Outgoing {
    /// A link of a peer that asked for this settlement.
    pub(super) fn new(mode: &SenderSettleMode) -> Self {
        Self {
            credit: 0,
            delivery_count: 0,
            mode: mode.clone(),
            waiting: VecDeque::new(),
            unsettled: VecDeque::new(),
        }
    }

    /// Queues a message; `false` when too many wait already.
    pub(super) fn queue(&mut self, payload: Bytes, name: Option<u64>) -> bool {
        if self.waiting.len() >= MAX_WAITING {
            return false;
        }
        self.waiting.push_back(Waiting {
            payload,
            name,
            begun: None,
        });
        true
    }

    /// Takes a flow of the peer (part 2, 2.6.7). Returns whether it wants to hear where the link stands.
    pub(super) fn flow(&mut self, flow: &Flow) -> bool {
        let Some(credit) = flow.link_credit else {
            return flow.echo;
        };
        let seen = flow.delivery_count.unwrap_or(0);
        // A peer may count behind us, by what is on its way; never before us.
        let on_its_way = self.delivery_count.wrapping_sub(seen);
        self.credit = credit.saturating_sub(on_its_way);
        if flow.drain && self.waiting.is_empty() {
            self.delivery_count = self.delivery_count.wrapping_add(self.credit);
            self.credit = 0;
        }
        flow.drain || flow.echo
    }

    /// Messages that would be sent or may wait, if they came now.
    pub(super) fn room(&self) -> usize {
        let credit = usize::try_from(self.credit).unwrap_or(usize::MAX);
        credit.min(MAX_WAITING).saturating_sub(self.waiting.len())
    }

    /// Where the link stands: delivery count, credit, and how many wait.
    pub(super) fn standing(&self) -> (u32, u32, u32) {
        let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        (self.delivery_count, self.credit, waiting)
    }

    /// Sends what credit and window allow.
    pub(super) fn pump(&mut self, handle: u32, window: &mut Window, out: &mut BytesMut) {
        while self.credit > 0 && window.is_open() && self.unsettled.len() < MAX_UNSETTLED {
            let Some(waiting) = self.waiting.front_mut() else {
                return;
            };
            let is_first = waiting.begun.is_none();
            let id = *waiting.begun.get_or_insert_with(|| window.next_delivery());
            let room = window.peer_frame.saturating_sub(OVERHEAD).max(1);
            let part = waiting.payload.split_to(room.min(waiting.payload.len()));
            let more = !waiting.payload.is_empty();
            let name = waiting.name;
            let settled = match self.mode {
                SenderSettleMode::Settled => true,
                SenderSettleMode::Unsettled => false,
                SenderSettleMode::Mixed => name.is_none(),
            };
            let named = frame::Part {
                handle,
                delivery: id,
                is_first,
                settled,
                more,
            };
            frame::write_whole(out, window.channel, &named.into(), &part);
            window.spend();
            if !more {
                self.waiting.pop_front();
                if let Some(name) = name {
                    self.unsettled.push_back((id, name));
                }
                self.credit -= 1;
                self.delivery_count = self.delivery_count.wrapping_add(1);
            }
        }
    }

    /// Whether the peer wants to settle nothing: what is sent is done.
    pub(super) fn sends_settled(&self) -> bool {
        self.mode == SenderSettleMode::Settled
    }

    /// Takes those out of `first..=last` whose outcome was owed.
    pub(super) fn settle(&mut self, first: u32, last: u32) -> Vec<u64> {
        let is_meant = |id: u32| id.wrapping_sub(first) <= last.wrapping_sub(first);
        let mut names = Vec::new();
        self.unsettled.retain(|(id, name)| {
            if is_meant(*id) {
                names.push(*name);
            }
            !is_meant(*id)
        });
        names
    }
}
