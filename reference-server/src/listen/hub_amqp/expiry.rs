//! Ends links whose tokens have run out, or whose devices are let in no more.

use fleetstorm_protocol::amqp::types::definitions::{AmqpError, Error, ErrorCondition};
use fleetstorm_protocol::ids::ClientId;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Gathering, Node};
use crate::listen::amqp::Conversation;
use crate::listen::expiry::until;
use crate::listen::stream::Stream;

impl Gathering<'_> {
    /// When the first token runs out.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let expiries = self.members.values().filter_map(|member| member.expiry());
        let expiries = expiries.chain(self.policies.next_expiry());
        let now = Timestamp::now();
        expiries
            .min()
            .map(|expiry| Instant::now() + until(expiry, now))
    }

    pub(super) fn expire(&mut self, conversation: &mut Conversation<impl Stream>) {
        let now = Timestamp::now().as_second();
        let expired = self
            .members
            .iter()
            .filter(|(_, member)| member.expiry().is_some_and(|expiry| expiry <= now));
        let expired: Vec<_> = expired.map(|(device, _)| device.clone()).collect();
        for device in expired {
            let condition = AmqpError::UnauthorizedAccess.into();
            self.dismiss(conversation, &device, &condition);
        }
        if self.policies.expire(now) {
            self.dismiss_service(conversation);
        }
    }

    /// Ends the links of the service that no token opens any more.
    pub(super) fn dismiss_service(&mut self, conversation: &mut Conversation<impl Stream>) {
        let is_closed = |node: &Node| match node {
            Node::Service | Node::Feedback(_) => self.policies.authorize("").is_err(),
            Node::Questions | Node::Answers => self.policies.authorize_telemetry().is_err(),
            Node::Telemetry(path, _) => self.policies.authorize(path).is_err(),
            Node::Claims | Node::ClaimAnswers | Node::Device(_) => false,
        };
        let links = self.links.iter();
        let closed = links.filter(|(_, node)| is_closed(node)).map(|(id, _)| *id);
        let closed: Vec<_> = closed.collect();
        for id in closed {
            self.links.remove(&id);
            let error = Error::new(AmqpError::UnauthorizedAccess, None, None);
            conversation.detach(id, error);
        }
    }

    /// Ends a device's links; others on the connection go on.
    pub(super) fn dismiss(
        &mut self,
        conversation: &mut Conversation<impl Stream>,
        device: &ClientId,
        condition: &ErrorCondition,
    ) {
        let Some(member) = self.members.remove(device) else {
            return;
        };
        for id in member.links() {
            self.links.remove(&id);
            conversation.detach(id, Error::new(condition.clone(), None, None));
        }
    }
}
