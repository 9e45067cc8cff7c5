//! Our end of a link: credit, and what has come of a message.

use bytes::{Bytes, BytesMut};
use fleetstorm_protocol::amqp::types::performatives::{Attach, Flow, Transfer};
use fleetstorm_reports::{Breach, Fault};

use crate::link::client::MAX_ANSWER;

/// Messages that the peer may send before it gets more credit.
pub(super) const CREDIT: u32 = 16;

/// A link that was asked for.
#[derive(Debug)]
pub(super) struct End {
    name: Box<str>,
    sends: bool,
    /// The peer's handle of it, once it is granted: the peer's frames name it by that.
    remote: Option<u32>,
    credit: u32,
    /// Deliveries so far. The sender says where it begins.
    count: Option<u32>,
    /// A message of which not all has come.
    part: BytesMut,
    /// Its delivery id, and whether it was settled.
    under_way: Option<(u32, bool)>,
}

/// A whole message.
#[derive(Debug)]
pub(super) struct Taken {
    /// It.
    pub(super) bytes: Bytes,
    /// The delivery to settle, if the peer waits for that.
    pub(super) unsettled: Option<u32>,
}

impl End {
    /// Not granted yet.
    pub(super) fn new(name: &str, sends: bool) -> Self {
        Self {
            name: name.into(),
            sends,
            remote: None,
            credit: 0,
            count: sends.then_some(0),
            part: BytesMut::new(),
            under_way: None,
        }
    }

    /// Whether an attach of the peer is about this one.
    pub(super) fn is_named(&self, name: &str) -> bool {
        *self.name == *name
    }

    /// Whether the peer calls it by this handle.
    pub(super) fn is_remotely(&self, handle: u32) -> bool {
        self.remote == Some(handle)
    }

    /// Granted, and, if it sends, with credit to send.
    pub(super) fn is_ready(&self) -> bool {
        self.remote.is_some() && (!self.sends || self.credit > 0)
    }

    /// Whether there is credit for a message.
    pub(super) fn may_send(&self) -> bool {
        self.sends && self.credit > 0
    }

    /// A message is sent.
    pub(super) fn spend(&mut self) {
        self.credit = self.credit.saturating_sub(1);
        self.count = self.count.map(|count| count.wrapping_add(1));
    }

    /// The peer grants it.
    pub(super) fn attached(&mut self, attach: &Attach) {
        self.remote = Some(attach.handle.0);
        if !self.sends {
            self.count = Some(attach.initial_delivery_count.unwrap_or(0));
        }
    }

    /// The peer says how it stands.
    pub(super) fn flowed(&mut self, flow: &Flow) {
        let (Some(credit), true) = (flow.link_credit, self.sends) else {
            return;
        };
        let count = self.count.unwrap_or(0);
        let on_its_way = count.wrapping_sub(flow.delivery_count.unwrap_or(0));
        self.credit = credit.saturating_sub(on_its_way);
    }

    /// Gives the peer credit. Returns the deliveries so far, if they are known.
    pub(super) fn give_credit(&mut self) -> Option<u32> {
        self.credit = CREDIT;
        self.count
    }

    /// Whether half of the peer's credit is used.
    pub(super) fn is_short(&self) -> bool {
        !self.sends && self.credit < CREDIT / 2
    }

    /// Takes a part of a message; the message once it is whole.
    ///
    /// # Errors
    /// The link is ours to send by, or the message is too long.
    pub(super) fn take(
        &mut self,
        transfer: &Transfer,
        part: &[u8],
    ) -> Result<Option<Taken>, Fault> {
        if self.sends || self.part.len() + part.len() > MAX_ANSWER {
            return Err(Fault::Protocol(Breach::TooLong));
        }
        // What the first part said holds for the rest, which may leave it out.
        let (id, settled) = match self.under_way {
            Some(under_way) => under_way,
            None => (
                transfer
                    .delivery_id
                    .ok_or(Fault::Protocol(Breach::Unexpected))?,
                false,
            ),
        };
        let settled = settled || transfer.settled.unwrap_or(false);
        self.part.extend_from_slice(part);
        if transfer.more {
            self.under_way = Some((id, settled));
            return Ok(None);
        }
        self.under_way = None;
        self.spend();
        let bytes = self.part.split().freeze();
        Ok((!transfer.aborted).then_some(Taken {
            bytes,
            unsettled: (!settled).then_some(id),
        }))
    }
}
