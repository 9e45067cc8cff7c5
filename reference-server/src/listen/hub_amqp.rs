//! An AMQP connection with a hub (IoT Hub documentation, "Communicate using the AMQP protocol"):
//! one device or many, each let in by its certificate or by a token, each with links of its own; or
//! the service, let in by a token of the hub's policy. Tokens are put to `$cbs`, or shown in SASL.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetstorm_protocol::amqp::cbs::{PutToken, PutTokenAnswer};
use fleetstorm_protocol::amqp::dps::rejection;
use fleetstorm_protocol::amqp::hub_node::{HubNode, TELEMETRY};
use fleetstorm_protocol::amqp::message::{Body, Message};
use fleetstorm_protocol::amqp::types::definitions::{AmqpError, Error, ErrorCondition, LinkError};
use fleetstorm_protocol::amqp::{
    API_VERSION_PROPERTY, CHANNEL_CORRELATION_PROPERTY, MODEL_ID_PROPERTY,
};
use fleetstorm_protocol::hub::model_id;
use fleetstorm_protocol::ids::ClientId;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use self::device::{DeviceLink, Member};
use self::policies::Policies;
use super::amqp::login::Login;
use super::amqp::{Allowance, AttachRequest, Conversation, Delivery, Event, LinkId};
use super::claim::Claim;
use super::client::Client;
use super::server::Server;
use super::stream::Stream;
use crate::fault::answer::corrupt;
use crate::hub::HubRefusal;
use crate::hub::admitted::AdmittedDevice;
use crate::hub::feedback_receiver::FeedbackReceiver;
use crate::hub::inbox::SessionEnd;
use crate::hub::registry::Hub;
use crate::hub::session::DeviceSession;
use crate::hub::telemetry_reader::TelemetryReader;

mod back_end;
mod device;
mod expiry;
mod faults;
mod policies;
mod service;

/// Seven links a device: enough for 73 devices on one connection, which with the C# SDK have a
/// session each.
pub(super) const ALLOWANCE: Allowance = Allowance {
    sessions: 128,
    links: 512,
    message: (256 + 66) * 1024,
};
/// Devices that may have put a token without attaching a link.
const MAX_CLAIMS: usize = 256;

/// Serves it to its end.
pub(super) async fn serve(
    conversation: &mut Conversation<impl Stream>,
    login: Login,
    hub: &Arc<Hub>,
    client: &Client,
    server: &Server,
) {
    let mut gathering = Gathering {
        hub,
        client,
        server,
        wake: Arc::new(Notify::new()),
        links: BTreeMap::new(),
        claims: BTreeMap::new(),
        policies: Policies::of(hub, client),
        members: BTreeMap::new(),
    };
    if let Login::AtHub { hub: at, claim } = login
        && at == hub.host_name()
    {
        // There is room for the first.
        let _ = gathering.hold(claim);
    }
    let wake = Arc::clone(&gathering.wake);
    loop {
        let expiry = gathering.next_expiry();
        // What was answered is sent with the next turn.
        if server.store.settled().await.is_err() {
            client.line.reset_it();
            std::future::pending::<()>().await;
        }
        tokio::select! {
            event = conversation.next() => match event {
                Some(event) => {
                    if let Some((event, draw)) = gathering.spared(conversation, event).await {
                        gathering.happened(conversation, event, draw);
                    }
                }
                None => return,
            },
            () = wake.notified() => gathering.pass_on(conversation),
            () = sleep_until(expiry.unwrap_or_else(Instant::now)), if expiry.is_some() => {
                gathering.expire(conversation);
            }
        }
    }
}

/// The devices of one connection.
struct Gathering<'a> {
    hub: &'a Arc<Hub>,
    client: &'a Client,
    server: &'a Server,
    /// Any of them has something to pass on.
    wake: Arc<Notify>,
    links: BTreeMap<LinkId, Node>,
    /// Who has proven itself by a token, and has no link yet.
    claims: BTreeMap<ClientId, AdmittedDevice>,
    /// Boxed: a tree sets eleven places aside at once, and most connections have one device.
    members: BTreeMap<ClientId, Box<Member>>,
    /// For the service, and for who speaks for devices.
    policies: Policies<'a>,
}

/// What a link leads to.
enum Node {
    /// Tokens come in.
    Claims,
    /// Answers to tokens go out.
    ClaimAnswers,
    /// A device's.
    Device(ClientId),
    /// The service's messages come in.
    Service,
    /// Questions about telemetry come in.
    Questions,
    /// Answers to them go out.
    Answers,
    /// Telemetry goes out, from what is at this path.
    Telemetry(String, Box<TelemetryReader>),
    /// What became of the service's messages goes out.
    Feedback(Box<FeedbackReceiver>),
}

impl Gathering<'_> {
    /// With a `draw`, the answer is corrupted by it.
    fn happened(
        &mut self,
        conversation: &mut Conversation<impl Stream>,
        event: Event,
        draw: Option<u64>,
    ) {
        match event {
            Event::Attach(asked) => {
                if let Err((asked, error)) = self.attach(conversation, asked) {
                    conversation.refuse(*asked, error);
                }
            }
            Event::Message(id, delivery, message) => {
                self.message(conversation, (id, delivery), &message, draw);
            }
            Event::Settled(id, name, state) => {
                if let Some(Node::Feedback(receiver)) = self.links.get_mut(&id) {
                    back_end::settled(receiver, name, state.as_ref());
                    back_end::tell(conversation, id, self.hub.host_name(), receiver);
                } else if let Some(member) = self.member_of(id) {
                    member.settled(conversation, name, state.as_ref());
                }
            }
            Event::Credit(id) => match self.links.get_mut(&id) {
                Some(Node::Telemetry(_, reader)) => back_end::pass_on(conversation, id, reader),
                Some(Node::Feedback(receiver)) => {
                    back_end::tell(conversation, id, self.hub.host_name(), receiver);
                }
                _ => {}
            },
            Event::Detached(id) => self.detached(id),
        }
    }

    fn attach(
        &mut self,
        conversation: &mut Conversation<impl Stream>,
        asked: AttachRequest,
    ) -> Result<(), (Box<AttachRequest>, Error)> {
        let refused = |asked, condition: AmqpError, problem: &dyn ToString| {
            let error = Error::new(condition, problem.to_string(), None);
            Err((Box::new(asked), error))
        };
        let node = match HubNode::parse(asked.address().unwrap_or_default()) {
            Ok(node) => node,
            Err(error) => return refused(asked, AmqpError::NotFound, &error),
        };
        let id = asked.id;
        let incoming = asked.is_incoming();
        let Some(device) = node.client() else {
            match self.service_node(node, &asked) {
                Ok(node) => {
                    self.links.insert(id, node);
                    conversation.accept(asked);
                    return Ok(());
                }
                Err(error) => return Err((Box::new(asked), error)),
            }
        };
        let Some(link) = DeviceLink::of(&node, incoming) else {
            let problem = "the node has no such direction";
            return refused(asked, AmqpError::NotAllowed, &problem);
        };
        if let Err(refusal) = self.admit(device) {
            let condition = match refusal {
                HubRefusal::UnknownDevice | HubRefusal::UnknownModule => AmqpError::NotFound,
                _ => AmqpError::UnauthorizedAccess,
            };
            return refused(asked, condition, &refusal);
        }
        let version = asked.property(API_VERSION_PROPERTY);
        if version.is_some_and(|version| !self.server.hub_versions.serve(version)) {
            let problem = "its com.microsoft:api-version is none that is known";
            return refused(asked, AmqpError::InvalidField, &problem);
        }
        let model = asked.property(MODEL_ID_PROPERTY);
        let model = model.map(model_id).transpose();
        let model = match model {
            Ok(model) => model,
            Err(error) => return refused(asked, AmqpError::InvalidField, &error),
        };
        let pair = asked.property(CHANNEL_CORRELATION_PROPERTY);
        let pair = pair.map(str::to_owned);
        self.links.insert(id, Node::Device(device.clone()));
        conversation.accept(asked);
        if let Some(member) = self.members.get_mut(device) {
            if let Some(model) = model {
                member.is_of_model(&model);
            }
            member.attach(conversation, id, link, pair);
        }
        Ok(())
    }

    /// The node of a link that is no device's.
    fn service_node(&self, node: HubNode, asked: &AttachRequest) -> Result<Node, Error> {
        let refused = |refusal: HubRefusal| {
            let condition = match refusal {
                HubRefusal::Malformed(_) => AmqpError::NotFound,
                _ => AmqpError::UnauthorizedAccess,
            };
            Error::new(condition, refusal.to_string(), None)
        };
        let opens = |path: &str| self.policies.authorize(path).map_err(refused);
        match (&node, asked.is_incoming()) {
            (HubNode::Claims, true) => Ok(Node::Claims),
            (HubNode::Claims, false) => Ok(Node::ClaimAnswers),
            (HubNode::ServiceMessages, true) => opens("").map(|()| Node::Service),
            (HubNode::Feedback, false) => {
                opens("")?;
                let receiver = self.hub.read_feedback(Arc::clone(&self.wake));
                Ok(Node::Feedback(Box::new(receiver)))
            }
            (HubNode::Management, true) => self
                .policies
                .authorize_telemetry()
                .map(|()| Node::Questions)
                .map_err(refused),
            (HubNode::Management, false) => self
                .policies
                .authorize_telemetry()
                .map(|()| Node::Answers)
                .map_err(refused),
            (HubNode::Telemetry, false) => {
                opens(TELEMETRY)?;
                Err(back_end::redirect(self.hub.host_name()))
            }
            (
                HubNode::Partition {
                    entity, partition, ..
                },
                false,
            ) if back_end::is_telemetry(self.hub.host_name(), entity) => {
                // Readers sign for a partition of it.
                let path = node.address().trim_start_matches('/').to_owned();
                opens(&path)?;
                let reader = back_end::read(self.hub, partition, asked, &self.wake);
                Ok(Node::Telemetry(path, Box::new(reader.map_err(refused)?)))
            }
            (HubNode::Partition { entity, .. }, false) => {
                let problem = format!("\"{entity}\" is no event hub of this hub");
                Err(Error::new(AmqpError::NotFound, problem, None))
            }
            _ => {
                let problem = "the node has no such direction".to_owned();
                Err(Error::new(AmqpError::NotAllowed, problem, None))
            }
        }
    }

    /// Makes a device a member: it has put a token, or its certificate is its own.
    fn admit(&mut self, device: &ClientId) -> Result<(), HubRefusal> {
        if self.members.contains_key(device) {
            return Ok(());
        }
        let now = Timestamp::now();
        let admitted = match self.claims.remove(device) {
            Some(admitted) => admitted,
            None => self.policies.authenticate(device, now)?,
        };
        let session = DeviceSession::open(admitted, Arc::clone(&self.wake), now)?;
        let member = Box::new(Member::new(session));
        self.members.insert(device.clone(), member);
        Ok(())
    }

    fn message(
        &mut self,
        conversation: &mut Conversation<impl Stream>,
        (id, delivery): (LinkId, Delivery),
        message: &Message,
        draw: Option<u64>,
    ) {
        match self.links.get(&id) {
            Some(Node::Claims) => {
                conversation.settle(id, delivery, None);
                self.claim(conversation, id, message);
            }
            Some(Node::Device(device)) => {
                let Some(member) = self.members.get_mut(device) else {
                    return;
                };
                match member.message(id, message) {
                    Ok(answer) => {
                        conversation.settle(id, delivery, None);
                        if let Some((answers, mut answer)) = answer {
                            if let (Some(draw), Body::Data(body)) = (draw, &mut answer.body) {
                                let mut flipped = body.to_vec();
                                corrupt(&mut flipped, draw);
                                *body = flipped.into();
                            }
                            conversation.send(answers, &answer, None);
                        }
                    }
                    Err(refusal) => {
                        let problem = refusal.to_string();
                        let rejected = rejection(refusal.status(), None, problem.as_bytes());
                        conversation.settle(id, delivery, Some(rejected));
                    }
                }
            }
            Some(Node::Service) => {
                let rejected = service::send(self.hub, message).err();
                conversation.settle(id, delivery, rejected);
            }
            Some(Node::Questions) => {
                conversation.settle(id, delivery, None);
                let answer = back_end::answer(self.hub, message);
                let is_theirs = |node: &Node| matches!(node, Node::Answers);
                if let Some(answers) = self.beside(id, is_theirs) {
                    conversation.send(answers, &answer, None);
                }
            }
            Some(Node::ClaimAnswers | Node::Answers | Node::Telemetry(..) | Node::Feedback(_))
            | None => {}
        }
    }

    /// A token is put. The answer goes by the session's link from `$cbs`.
    fn claim(
        &mut self,
        conversation: &mut Conversation<impl Stream>,
        id: LinkId,
        message: &Message,
    ) {
        let (status, description) = match PutToken::of(message) {
            Ok(put) => match self.put(&put.token) {
                Ok(()) => (200, "OK".to_owned()),
                Err(refusal) if refusal.status() == 404 => (404, refusal.to_string()),
                Err(refusal) => (401, refusal.to_string()),
            },
            Err(error) => (400, error.to_string()),
        };
        let answer = PutTokenAnswer {
            correlation_id: message.properties.message_id.clone(),
            status,
            description,
        };
        if let Some(answers) = self.beside(id, |node| matches!(node, Node::ClaimAnswers)) {
            conversation.send(answers, &answer.message(), None);
        }
    }

    /// A link of a kind in the same session.
    fn beside(&self, id: LinkId, is_it: impl Fn(&Node) -> bool) -> Option<LinkId> {
        let mut links = self.links.iter();
        let found = links.find(|(link, node)| is_it(node) && link.is_beside(id))?;
        Some(*found.0)
    }

    fn put(&mut self, token: &str) -> Result<(), HubRefusal> {
        let claim = Claim::of_token(self.hub, token, Timestamp::now())?;
        self.hold(claim)
    }

    /// From now on who has proven itself may attach links.
    fn hold(&mut self, claim: Claim) -> Result<(), HubRefusal> {
        let admitted = match claim {
            Claim::Device(admitted) => admitted,
            Claim::Policy(policy) => return self.policies.hold(policy),
        };
        if let Some(member) = self.members.get_mut(admitted.id()) {
            member.renew(admitted);
        } else if self.claims.len() < MAX_CLAIMS || self.claims.contains_key(admitted.id()) {
            self.claims.insert(admitted.id().clone(), admitted);
        } else {
            return Err(HubRefusal::Throttled);
        }
        Ok(())
    }

    fn member_of(&mut self, id: LinkId) -> Option<&mut Member> {
        match self.links.get(&id)? {
            Node::Device(device) => self.members.get_mut(device).map(Box::as_mut),
            _ => None,
        }
    }

    /// A link is gone; with its last, so is the device.
    fn detached(&mut self, id: LinkId) {
        if let Some(Node::Device(device)) = self.links.remove(&id)
            && let Some(member) = self.members.get_mut(&device)
            && member.detach(id)
        {
            self.members.remove(&device);
        }
    }

    /// What the hub has to say, to any of them.
    fn pass_on(&mut self, conversation: &mut Conversation<impl Stream>) {
        for (id, node) in &mut self.links {
            match node {
                Node::Telemetry(_, reader) => back_end::pass_on(conversation, *id, reader),
                Node::Feedback(receiver) => {
                    back_end::tell(conversation, *id, self.hub.host_name(), receiver);
                }
                _ => {}
            }
        }
        let mut ended = Vec::new();
        for (device, member) in &mut self.members {
            if let Some(end) = member.pass_on(conversation) {
                ended.push((device.clone(), end));
            }
        }
        for (device, end) in ended {
            let condition: ErrorCondition = match end {
                SessionEnd::Superseded => LinkError::Stolen.into(),
                SessionEnd::Revoked => AmqpError::UnauthorizedAccess.into(),
                SessionEnd::TooSlow => AmqpError::ResourceLimitExceeded.into(),
            };
            self.dismiss(conversation, &device, &condition);
        }
    }
}
