//! The faults that devices meet over AMQP.

use fleetstorm_protocol::amqp::dps::rejection;
use fleetstorm_protocol::amqp::hub_node::HubNode;
use fleetstorm_protocol::amqp::types::definitions::{AmqpError, Error};
use fleetstorm_protocol::fault::{FaultOperation, FaultProtocol};

use super::device::DeviceLink;
use super::{Gathering, Node};
use crate::listen::amqp::{Conversation, Event};
use crate::listen::ask::{FaultEffect, at_hub};
use crate::listen::stream::Stream;

impl Gathering<'_> {
    /// What faults leave of an event, and what is to be corrupted of its answer; nothing of what
    /// they refuse.
    pub(super) async fn spared(
        &self,
        conversation: &mut Conversation<impl Stream>,
        event: Event,
    ) -> Option<(Event, Option<u64>)> {
        if !self.server.faults.are_armed() {
            return Some((event, None));
        }
        let (device, operation) = match &event {
            Event::Attach(asked) => {
                let node = HubNode::parse(asked.address().unwrap_or_default());
                let device = node.ok().and_then(|node| node.client().cloned());
                let device = device.filter(|device| !self.members.contains_key(device));
                (device, FaultOperation::HubConnect)
            }
            Event::Message(id, ..) => {
                let Some(Node::Device(device)) = self.links.get(id) else {
                    return Some((event, None));
                };
                let link = self.members.get(device)?.link(*id);
                let operation = match link {
                    Some(DeviceLink::Events) => FaultOperation::Telemetry,
                    Some(DeviceLink::TwinQuestions) => FaultOperation::Twin,
                    _ => return Some((event, None)),
                };
                (Some(device.clone()), operation)
            }
            Event::Settled(..) | Event::Credit(_) | Event::Detached(_) => {
                (None, FaultOperation::HubConnect)
            }
        };
        let Some(device) = device else {
            return Some((event, None));
        };
        let met = at_hub(
            self.hub.host_name(),
            &device,
            FaultProtocol::Amqp,
            operation,
        );
        let Some(effect) = self.server.fault_effect(self.client, met).await else {
            return Some((event, None));
        };
        match (event, effect) {
            (Event::Attach(asked), FaultEffect::Refused(answer)) => {
                let problem = String::from_utf8(answer.body).unwrap_or_default();
                let error = Error::new(AmqpError::ResourceLimitExceeded, problem, None);
                conversation.refuse(asked, error);
            }
            (Event::Message(id, delivery, _), FaultEffect::Refused(answer)) => {
                let rejected = rejection(answer.status, answer.retry_after, &answer.body);
                conversation.settle(id, delivery, Some(rejected));
            }
            (event, FaultEffect::Corrupt(draw)) => return Some((event, Some(draw))),
            (event, FaultEffect::Refused(_)) => return Some((event, None)),
        }
        None
    }
}
