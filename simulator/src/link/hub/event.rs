//! What a hub says of its own accord.

use fleetstorm_protocol::amqp::types::messaging::MessageId;

/// What a hub says of its own accord.
#[derive(Debug, PartialEq)]
pub enum HubEvent {
    /// Call this method.
    Method(Call),
    /// Desired properties have changed.
    Desired,
    /// Nothing that a device acts on.
    Other,
}

/// How the answer to a direct method finds its call.
#[derive(Debug, PartialEq)]
pub enum Call {
    /// By `$rid`.
    Mqtt {
        /// Echoed verbatim.
        rid: String,
    },
    /// By correlation id.
    Amqp {
        /// Echoed with its type.
        correlation_id: Option<MessageId>,
    },
}
