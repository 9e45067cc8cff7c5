//! The service's messages to devices.

use fleetstorm_protocol::amqp::dps::rejection;
use fleetstorm_protocol::amqp::hub_message::from_service;
use fleetstorm_protocol::amqp::hub_node::HubNode;
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::types::definitions::{AmqpError, Error};
use fleetstorm_protocol::amqp::types::messaging::Rejected;
use jiff::Timestamp;

use crate::hub::HubRefusal;
use crate::hub::registry::Hub;

/// Puts a message into the queue of the device that its `to` names.
///
/// # Errors
/// The outcome that refuses it.
pub(super) fn send(hub: &Hub, message: &Message) -> Result<(), Rejected> {
    let sent = try_send(hub, message);
    sent.map(drop).map_err(|refusal| {
        let description = refusal.to_string();
        match refusal {
            // By this the SDKs know it.
            HubRefusal::QueueFull => Rejected {
                error: Some(Error::new(
                    AmqpError::ResourceLimitExceeded,
                    description,
                    None,
                )),
            },
            refusal => rejection(refusal.status(), None, description.as_bytes()),
        }
    })
}

fn try_send(hub: &Hub, message: &Message) -> Result<u64, HubRefusal> {
    let message = from_service(message);
    let to = message.system.to.as_deref().unwrap_or_default();
    let Ok(HubNode::DeviceBound(device)) = HubNode::parse(to) else {
        let problem = format!("to: \"{to}\" is not /devices/{{id}}/messages/devicebound");
        return Err(HubRefusal::Malformed(problem));
    };
    hub.send_message(&device, message, Timestamp::now())
}
