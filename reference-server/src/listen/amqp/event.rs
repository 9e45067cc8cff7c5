//! What a connection tells the node behind it.

use fleetstorm_protocol::amqp::Value;
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::types::definitions::{ReceiverSettleMode, Role};
use fleetstorm_protocol::amqp::types::messaging::{DeliveryState, Source, Target, TargetArchetype};
use fleetstorm_protocol::amqp::types::performatives::Attach;

use super::link::Delivery;

/// The filter that event hubs know (Apache's registry of filters).
const SELECTOR: &str = "apache.org:selector-filter:string";

/// Names a link of a connection, until it is detached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::listen) struct LinkId {
    pub(super) channel: u16,
    pub(super) handle: u32,
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
    /// It asks for a link: to be answered by [`super::Conversation::accept`] or [`super::Conversation::refuse`].
    Attach(AttachRequest),
    /// It sent a message: to be answered by [`super::Conversation::settle`].
    Message(LinkId, Delivery, Box<Message>),
    /// What became of a message that was sent with this name.
    Settled(LinkId, u64, Option<DeliveryState>),
    /// It takes more messages of a link.
    Credit(LinkId),
    /// A link is gone.
    Detached(LinkId),
}

/// A link that is asked for.
#[derive(Debug)]
pub(in crate::listen) struct AttachRequest {
    /// Its name from now on.
    pub(in crate::listen) id: LinkId,
    pub(super) attach: Box<Attach>,
}

impl AttachRequest {
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

    /// The selector that its messages are to be chosen by, if it names one.
    pub(in crate::listen) fn selector(&self) -> Option<&str> {
        let filter = self.attach.source.as_deref()?.filter.as_ref()?;
        let selector = filter.get(SELECTOR)?;
        let selector = match selector {
            Value::Described(described) => &described.value,
            other => other,
        };
        match selector {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The attach that answers it: the same link, seen from the other end. Of its ends only the
    /// addresses are told back: filters and their like are not served, and what a peer made up is not
    /// to be written again.
    pub(super) fn answer(self) -> Attach {
        let asked = *self.attach;
        let is_sender = asked.role == Role::Receiver;
        let source = asked.source.map(|source| {
            Box::new(Source {
                address: source.address,
                ..Source::default()
            })
        });
        let target = asked.target.map(|target| {
            let TargetArchetype::Target(target) = *target;
            Box::new(TargetArchetype::Target(Target {
                address: target.address,
                ..Target::default()
            }))
        });
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
            source,
            target,
            name: asked.name,
            handle: asked.handle,
            snd_settle_mode: asked.snd_settle_mode,
            max_message_size: None,
        }
    }
}
