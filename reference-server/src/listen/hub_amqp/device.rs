//! One device of an AMQP connection: its links, and what goes over them.

use fleetstorm_protocol::amqp::hub::{
    MethodCall, MethodResult, TwinMessage, TwinOperation, TwinRequest,
};
use fleetstorm_protocol::amqp::hub_message::{telemetry, to_device};
use fleetstorm_protocol::amqp::hub_node::HubNode;
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::types::messaging::{DeliveryState, MessageId};
use jiff::Timestamp;
use uuid::Uuid;

use crate::hub::HubRefusal;
use crate::hub::admitted::AdmittedDevice;
use crate::hub::calls::MethodAnswer;
use crate::hub::inbox::{Downstream, MethodRequest, SessionEnd};
use crate::hub::message_queue::Settlement;
use crate::hub::session::DeviceSession;
use crate::hub::traffic::Interest;
use crate::listen::amqp::{Conversation, LinkId};
use crate::listen::stream::Stream;

/// Messages that a device may have in its hands at once.
const MAX_UNSETTLED: usize = 16;

/// What a link of a device is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeviceLink {
    /// Telemetry to the hub.
    Events,
    /// Messages to the device.
    Messages,
    /// What other modules send to a module: only IoT Edge has it, so that nothing comes.
    Inputs,
    /// Questions about the twin.
    TwinQuestions,
    /// Answers and changes of it.
    TwinAnswers,
    /// Results of methods.
    MethodResults,
    /// Calls of methods.
    MethodCalls,
}

impl DeviceLink {
    /// The link to or from a node; none where the node has no such direction.
    pub(super) fn of(node: &HubNode, incoming: bool) -> Option<Self> {
        match (node, incoming) {
            (HubNode::Events(_), true) => Some(Self::Events),
            (HubNode::Events(client), false) if client.is_module() => Some(Self::Inputs),
            (HubNode::DeviceBound(client), false) if !client.is_module() => Some(Self::Messages),
            (HubNode::Twin(_), true) => Some(Self::TwinQuestions),
            (HubNode::Twin(_), false) => Some(Self::TwinAnswers),
            (HubNode::Methods(_), true) => Some(Self::MethodResults),
            (HubNode::Methods(_), false) => Some(Self::MethodCalls),
            (HubNode::Events(_) | HubNode::DeviceBound(_), _)
            | (
                HubNode::Claims
                | HubNode::ServiceMessages
                | HubNode::Feedback
                | HubNode::Management
                | HubNode::Telemetry
                | HubNode::Partition { .. },
                _,
            ) => None,
        }
    }

    /// What the device listens to while it has the link.
    fn interest(self) -> Option<Interest> {
        match self {
            Self::Messages => Some(Interest::Messages),
            Self::MethodCalls => Some(Interest::Methods),
            _ => None,
        }
    }
}

/// A device that was let in.
pub(super) struct Member {
    session: DeviceSession,
    links: Vec<Attached>,
    /// Names and locks of messages that are in its hands.
    unsettled: Vec<(u64, Uuid)>,
    sent: u64,
    /// Where changes of desired properties go, once it has asked for them.
    desired: Option<LinkId>,
}

struct Attached {
    id: LinkId,
    link: DeviceLink,
    /// Is the same on both links of a pair.
    pair: Option<String>,
}

impl Member {
    /// Without links.
    pub(super) fn new(session: DeviceSession) -> Self {
        Self {
            session,
            links: Vec::new(),
            unsettled: Vec::new(),
            sent: 0,
            desired: None,
        }
    }

    /// It has proven itself anew.
    pub(super) fn renew(&mut self, device: AdmittedDevice) {
        self.session.renew(device);
    }

    /// It says what it is.
    pub(super) fn is_of_model(&self, model_id: &str) {
        // A device that was removed is told so by its session.
        let _ = self.session.device().is_of_model(model_id);
    }

    /// When its token runs out.
    pub(super) fn expiry(&self) -> Option<i64> {
        self.session.device().expiry()
    }

    /// Its links.
    pub(super) fn links(&self) -> impl Iterator<Item = LinkId> {
        self.links.iter().map(|attached| attached.id)
    }

    /// What one of its links is for.
    pub(super) fn link(&self, id: LinkId) -> Option<DeviceLink> {
        let mut links = self.links.iter();
        let found = links.find(|attached| attached.id == id)?;
        Some(found.link)
    }

    /// It has a link more.
    pub(super) fn attach(
        &mut self,
        conversation: &mut Conversation<impl Stream>,
        id: LinkId,
        link: DeviceLink,
        pair: Option<String>,
    ) {
        self.links.push(Attached { id, link, pair });
        if let Some(interest) = link.interest() {
            self.session.listen(interest, true, Timestamp::now());
        }
        if link == DeviceLink::Messages {
            self.deliver(conversation);
        }
    }

    /// It has a link less. Returns whether that was the last.
    pub(super) fn detach(&mut self, id: LinkId) -> bool {
        let now = Timestamp::now();
        let Some(place) = self.links.iter().position(|attached| attached.id == id) else {
            return self.links.is_empty();
        };
        let gone = self.links.swap_remove(place).link;
        if self.desired == Some(id) {
            self.desired = None;
            self.session.listen(Interest::Desired, false, now);
        }
        if let Some(interest) = gone.interest().filter(|_| self.first(gone).is_none()) {
            self.session.listen(interest, false, now);
        }
        if gone == DeviceLink::Messages {
            for (_, lock) in std::mem::take(&mut self.unsettled) {
                // A lock that is lost is given back already.
                let _ = self.session.device().settle(lock, Settlement::Abandon, now);
            }
        }
        self.links.is_empty()
    }

    /// It sends a message. Returns what answers it, and on which link.
    ///
    /// # Errors
    /// The message is rejected.
    pub(super) fn message(
        &mut self,
        id: LinkId,
        message: &Message,
    ) -> Result<Option<(LinkId, Message)>, HubRefusal> {
        let Some(attached) = self.links.iter().find(|attached| attached.id == id) else {
            return Ok(None);
        };
        let malformed =
            |error: fleetstorm_protocol::DecodeError| HubRefusal::Malformed(error.to_string());
        match attached.link {
            DeviceLink::Events => {
                let device = self.session.device();
                device.send(&telemetry(message), Timestamp::now())?;
                Ok(None)
            }
            DeviceLink::TwinQuestions => {
                let asked = TwinRequest::of(message).map_err(malformed)?;
                let answers = self.beside(attached, DeviceLink::TwinAnswers);
                let answers = answers.ok_or_else(|| {
                    HubRefusal::Malformed("no link for the answer is attached".into())
                })?;
                let answer = self.answer(asked, answers);
                Ok(Some((answers, answer.message())))
            }
            DeviceLink::MethodResults => {
                let result = MethodResult::of(message).map_err(malformed)?;
                let call = result.correlation_id.as_ref().and_then(call_of);
                let call = call.ok_or_else(|| {
                    HubRefusal::Malformed("correlation-id: is not that of a call".into())
                })?;
                let answer = MethodAnswer {
                    status: result.status,
                    payload: result.payload,
                };
                // An answer that came too late is nobody's.
                self.session.answer(call, answer);
                Ok(None)
            }
            DeviceLink::Messages
            | DeviceLink::Inputs
            | DeviceLink::TwinAnswers
            | DeviceLink::MethodCalls => Ok(None),
        }
    }

    fn answer(&mut self, asked: TwinRequest, answers: LinkId) -> TwinMessage {
        let (device, now) = (self.session.device(), Timestamp::now());
        let answer = match asked.operation {
            TwinOperation::Get => device.read_twin().map(|twin| (200, None, twin)),
            TwinOperation::PatchReported => device
                .patch_reported(&asked.body, now)
                .map(|version| (204, Some(version), Vec::new())),
            TwinOperation::SubscribeDesired => {
                self.desired = Some(answers);
                self.session.listen(Interest::Desired, true, now);
                Ok((200, None, Vec::new()))
            }
            TwinOperation::UnsubscribeDesired => {
                self.desired = None;
                self.session.listen(Interest::Desired, false, now);
                Ok((200, None, Vec::new()))
            }
        };
        let (status, version, body) =
            answer.unwrap_or_else(|refusal| (refusal.status(), None, refusal.body(now)));
        TwinMessage::Answer {
            correlation_id: asked.correlation_id,
            status,
            version,
            body: body.into(),
        }
    }

    /// What the hub has to say; why the session is over, if it is.
    pub(super) fn pass_on(
        &mut self,
        conversation: &mut Conversation<impl Stream>,
    ) -> Option<SessionEnd> {
        while let Some(event) = self.session.take() {
            match event {
                Downstream::Ended(end) => return Some(end),
                Downstream::MessagesWait => self.deliver(conversation),
                Downstream::Desired(change) => {
                    // It was on its way when the device gave up its link.
                    if let Some(id) = self.desired {
                        let change = TwinMessage::Desired {
                            version: change.version,
                            body: change.patch,
                        };
                        conversation.send(id, &change.message(), None);
                    }
                }
                Downstream::Method(request) => {
                    if let Some(id) = self.first(DeviceLink::MethodCalls) {
                        conversation.send(id, &call(request).message(), None);
                    }
                }
            }
        }
        None
    }

    /// Messages, as many as the device may have in its hands.
    fn deliver(&mut self, conversation: &mut Conversation<impl Stream>) {
        let Some(link) = self.first(DeviceLink::Messages) else {
            return;
        };
        while self.unsettled.len() < MAX_UNSETTLED {
            // A device that was removed is told so by its session.
            let Ok(Some(delivery)) = self.session.receive(Timestamp::now()) else {
                return;
            };
            self.sent += 1;
            let message = to_device(&delivery.message, delivery.sequence, delivery.enqueued);
            self.unsettled.push((self.sent, delivery.lock));
            conversation.send(link, &message, Some(self.sent));
        }
    }

    /// It says what becomes of a message.
    pub(super) fn settled(
        &mut self,
        conversation: &mut Conversation<impl Stream>,
        name: u64,
        state: Option<&DeliveryState>,
    ) {
        let Some(place) = self.unsettled.iter().position(|(sent, _)| *sent == name) else {
            return;
        };
        let (_, lock) = self.unsettled.swap_remove(place);
        let settlement = match state {
            Some(DeliveryState::Rejected(_)) => Settlement::Reject,
            Some(DeliveryState::Released(_) | DeliveryState::Modified(_)) => Settlement::Abandon,
            _ => Settlement::Complete,
        };
        let now = Timestamp::now();
        // A lock that is lost has nothing to settle.
        let _ = self.session.device().settle(lock, settlement, now);
        self.deliver(conversation);
    }

    fn first(&self, link: DeviceLink) -> Option<LinkId> {
        let mut links = self.links.iter();
        let found = links.find(|attached| attached.link == link)?;
        Some(found.id)
    }

    /// The other link of a pair: of the same correlation, or else any of its kind in the session.
    fn beside(&self, one: &Attached, link: DeviceLink) -> Option<LinkId> {
        let others = || self.links.iter().filter(move |other| other.link == link);
        let paired = others().find(|other| other.pair.is_some() && other.pair == one.pair);
        let other = paired.or_else(|| others().find(|other| other.id.is_beside(one.id)))?;
        Some(other.id)
    }
}

/// A call, named by a UUID: the C SDK takes nothing else.
fn call(request: MethodRequest) -> MethodCall {
    let name = Uuid::from_u64_pair(0, request.call);
    MethodCall {
        correlation_id: Some(MessageId::Uuid(name.into_bytes().into())),
        name: request.name.into(),
        payload: request.payload,
    }
}

/// The call that a result is for, however the device writes its UUID.
fn call_of(id: &MessageId) -> Option<u64> {
    let uuid = match id {
        MessageId::Uuid(uuid) => Uuid::from_slice(uuid.as_ref()).ok()?,
        MessageId::Binary(bytes) => Uuid::from_slice(bytes).ok()?,
        MessageId::String(text) => Uuid::parse_str(text).ok()?,
        MessageId::Ulong(_) => return None,
    };
    Some(uuid.as_u64_pair().1)
}
