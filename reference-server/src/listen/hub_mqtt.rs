//! A device's MQTT session with its hub (IoT Hub documentation, "Communicate using MQTT").

use std::sync::Arc;

use bytes::Bytes;
use fleetstorm_protocol::fault::{FaultOperation, FaultProtocol};
use fleetstorm_protocol::hub::{
    DESIRED_FILTER, HubEvent, HubRequest, HubUserName, METHODS_FILTER, Message,
    OWN_MESSAGES_FILTER, TWIN_RESPONSE_FILTER, TwinResponse, inputs_filters, messages_filter,
    property_bag,
};
use jiff::Timestamp;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, LastWill, Publish};
use tokio::sync::Notify;
use uuid::Uuid;

use super::ask::{FaultEffect, at_hub};
use super::client::Client;
use super::expiry::until;
use super::mqtt::{ClientEvent, Session, password};
use super::server::Server;
use super::stream::Stream;
use crate::fault::answer::corrupt;
use crate::hub::HubRefusal;
use crate::hub::calls::MethodAnswer;
use crate::hub::inbox::{Downstream, MethodRequest};
use crate::hub::message_queue::Settlement;
use crate::hub::registry::Hub;
use crate::hub::session::DeviceSession;
use crate::hub::subscriptions::{Quality, Subscriptions};
use crate::hub::traffic::Interest;

/// Longest packet: 256 KB of message, its topic and header.
const MAX_PACKET: usize = (256 + 66) * 1024;
/// Messages that a device may have in its hands at once.
const MAX_UNACKNOWLEDGED: usize = 16;
/// Property of a message that was a will.
const WILL: (&str, &str) = ("iothub-MessageType", "Will");
/// Property of a message that was to be retained: a hub retains none, and says so to the back end.
const RETAIN: (&str, &str) = ("mqtt-retain", "true");

/// Serves it to its end. `asked_for` is the hub named by SNI, which the user name must match.
pub(super) async fn serve<Carrier: Stream>(
    mut session: Session<Carrier>,
    user: &HubUserName,
    connect: Connect,
    client: &Client,
    server: &Server,
    asked_for: Option<&Arc<Hub>>,
) {
    let name = asked_for.map_or(user.host.as_str(), |hub| hub.host_name());
    let operation = FaultOperation::HubConnect;
    let occasion = at_hub(name, &user.client, FaultProtocol::Mqtt, operation);
    if server.fault_effect(client, occasion).await.is_some() {
        return session.refuse(ConnectReturnCode::ServiceUnavailable).await;
    }
    let Some(hub) = asked_for.or_else(|| server.hubs.named(name)) else {
        server.tally.hub_refusals.add();
        return session.refuse(ConnectReturnCode::NotAuthorized).await;
    };
    let version = user.api_version.as_deref();
    if version.is_some_and(|version| !server.hub_versions.serve(version)) {
        server.tally.hub_refusals.add();
        return session.refuse(ConnectReturnCode::BadUserNamePassword).await;
    }
    let now = Timestamp::now();
    let named_alike = user.host.eq_ignore_ascii_case(hub.host_name())
        && connect.client_id == user.client.as_str();
    let (password, certificates) = (password(&connect), &client.certificates);
    let admitted = hub.authenticate(&user.client, password, certificates, now);
    let wake = Arc::new(Notify::new());
    let opened = admitted
        .ok()
        .filter(|_| named_alike)
        .and_then(|device| DeviceSession::open(device, Arc::clone(&wake), now).ok());
    let Some(device) = opened else {
        return session.refuse(ConnectReturnCode::NotAuthorized).await;
    };
    if let Some(model_id) = &user.model_id {
        // A device that was removed meanwhile is told so by its session.
        let _ = device.device().is_of_model(model_id);
    }
    session.take_up_to(MAX_PACKET);
    let resumed = device.resume(connect.clean_session);
    if !session.accept(resumed.is_some()).await {
        return;
    }
    let mut conversation = Conversation {
        messages_filter: messages_filter(device.device().id()),
        inputs_filters: inputs_filters(device.device().id()),
        subscriptions: resumed.unwrap_or_default(),
        unacknowledged: Vec::new(),
        device,
        session,
        at: At {
            hub: hub.host_name(),
            client,
            server,
        },
    };
    conversation.listen();
    let left = conversation.hold(&wake).await;
    if !left && let Some(will) = connect.last_will {
        conversation.execute(will);
    }
    conversation.session.close().await;
}

/// A session on both sides: packets of the client, events of the hub.
struct Conversation<'a, Carrier> {
    at: At<'a>,
    session: Session<Carrier>,
    device: DeviceSession,
    messages_filter: String,
    /// Of a module: nothing comes by them, for only IoT Edge has that.
    inputs_filters: [String; 2],
    subscriptions: Subscriptions,
    /// Packet ids and locks of messages that the device has not acknowledged.
    unacknowledged: Vec<(u16, Uuid)>,
}

/// Where it is held, for the faults that it may meet there.
#[derive(Clone, Copy)]
struct At<'a> {
    hub: &'a str,
    client: &'a Client,
    server: &'a Server,
}

/// The connection has to end.
struct End;

impl<Carrier: Stream> Conversation<'_, Carrier> {
    /// Holds it to its end. Returns whether the client took its leave.
    async fn hold(&mut self, wake: &Notify) -> bool {
        if let Some(expiry) = self.device.device().expiry() {
            self.session.end_after(until(expiry, Timestamp::now()));
        }
        loop {
            let done = tokio::select! {
                packet = self.session.receive() => {
                    let is_module = self.device.device().id().is_module();
                    let may = |filter: &str| {
                        [
                            TWIN_RESPONSE_FILTER,
                            DESIRED_FILTER,
                            METHODS_FILTER,
                            OWN_MESSAGES_FILTER,
                            self.messages_filter.as_str(),
                        ]
                        .contains(&filter)
                            || is_module && self.inputs_filters.iter().any(|own| own == filter)
                    };
                    match self.session.acknowledge(packet, may).await {
                        ClientEvent::Left => return true,
                        asked => self.answer(asked).await,
                    }
                }
                () = wake.notified() => self.pass_on().await,
            };
            if done.is_err() {
                return false;
            }
        }
    }

    /// What the client asks.
    async fn answer(&mut self, asked: ClientEvent) -> Result<(), End> {
        match asked {
            ClientEvent::Published(publish) => self.published(publish).await,
            ClientEvent::Subscribed(granted) => {
                for (filter, qos) in granted {
                    self.subscribe(&filter, Some(qos));
                }
                // Only now: from its acknowledgement on, a device misses nothing.
                self.flush().await
            }
            ClientEvent::Unsubscribed(filters) => {
                for filter in filters {
                    self.subscribe(&filter, None);
                }
                self.flush().await
            }
            ClientEvent::Acknowledged(id) => self.acknowledged(id).await,
            ClientEvent::Nothing => Ok(()),
            ClientEvent::Left | ClientEvent::Gone => Err(End),
        }
    }

    fn subscribe(&mut self, filter: &str, qos: Option<QoS>) {
        let (subscription, interest) = match filter {
            TWIN_RESPONSE_FILTER => (&mut self.subscriptions.twin, None),
            DESIRED_FILTER => (&mut self.subscriptions.desired, Some(Interest::Desired)),
            METHODS_FILTER => (&mut self.subscriptions.methods, Some(Interest::Methods)),
            filter if filter == OWN_MESSAGES_FILTER || filter == self.messages_filter => {
                (&mut self.subscriptions.messages, Some(Interest::Messages))
            }
            _ => return,
        };
        *subscription = qos.map(|qos| match qos {
            QoS::AtMostOnce => Quality::AtMostOnce,
            QoS::AtLeastOnce | QoS::ExactlyOnce => Quality::AtLeastOnce,
        });
        self.device.subscribed(self.subscriptions);
        if let Some(interest) = interest {
            self.device
                .listen(interest, qos.is_some(), Timestamp::now());
        }
    }

    /// To all that was subscribed to before.
    fn listen(&self) {
        let Subscriptions {
            twin: _,
            desired,
            methods,
            messages,
        } = self.subscriptions;
        for (interest, subscribed) in [
            (Interest::Desired, desired),
            (Interest::Methods, methods),
            (Interest::Messages, messages),
        ] {
            if subscribed.is_some() {
                self.device.listen(interest, true, Timestamp::now());
            }
        }
    }

    async fn published(&mut self, publish: Publish) -> Result<(), End> {
        let now = Timestamp::now();
        // Any other topic ends the connection.
        let request = HubRequest::parse(&publish.topic).map_err(|_| End)?;
        let operation = match &request {
            HubRequest::TwinGet { .. } | HubRequest::ReportedPatch { .. } => {
                Some(FaultOperation::Twin)
            }
            HubRequest::Telemetry { .. } => Some(FaultOperation::Telemetry),
            HubRequest::MethodResponse { .. } => None,
        };
        let effect = match operation {
            Some(operation) => self.fault_effect(operation).await,
            None => None,
        };
        match request {
            // A message has no answer that could say no.
            HubRequest::Telemetry { .. } if effect.is_some() => Err(End),
            HubRequest::TwinGet { rid } => {
                let read = match effect {
                    Some(FaultEffect::Refused(_)) => Ok(Vec::new()),
                    _ => self.device.device().read_twin(),
                };
                let answer = read.map(|twin| (200, None, twin));
                self.twin_answer(rid, answer, effect, now).await
            }
            HubRequest::ReportedPatch { rid } => {
                let patched = match effect {
                    Some(FaultEffect::Refused(_)) => Ok(0),
                    _ => self.device.device().patch_reported(&publish.payload, now),
                };
                self.at.server.store.settled().await.map_err(|_| End)?;
                let answer = patched.map(|version| (204, Some(version), Vec::new()));
                self.twin_answer(rid, answer, effect, now).await
            }
            HubRequest::MethodResponse { status, rid } => {
                let call = u64::from_str_radix(&rid, 16).map_err(|_| End)?;
                let answer = MethodAnswer {
                    status,
                    payload: publish.payload,
                };
                // An answer that came too late is nobody's.
                self.device.answer(call, answer);
                self.flush().await
            }
            HubRequest::Telemetry { client, bag } => {
                if client != *self.device.device().id() {
                    return Err(End);
                }
                let mut message = property_bag::message(&bag, &publish.payload).map_err(|_| End)?;
                retained(&mut message, publish.retain);
                self.device.device().send(&message, now).map_err(|_| End)?;
                self.flush().await
            }
        }
    }

    /// A fault that the device meets with what it asks.
    async fn fault_effect(&self, operation: FaultOperation) -> Option<FaultEffect> {
        let At {
            hub,
            client,
            server,
        } = self.at;
        let device = self.device.device().id();
        let occasion = at_hub(hub, device, FaultProtocol::Mqtt, operation);
        server.fault_effect(client, occasion).await
    }

    /// Answers about the twin. A device that has not subscribed hears nothing.
    async fn twin_answer(
        &mut self,
        rid: String,
        answer: Result<(u16, Option<u64>, Vec<u8>), HubRefusal>,
        effect: Option<FaultEffect>,
        now: Timestamp,
    ) -> Result<(), End> {
        let Some(qos) = self.subscriptions.twin else {
            return self.flush().await;
        };
        let (mut status, mut version, mut body) =
            answer.unwrap_or_else(|refusal| (refusal.status(), None, refusal.body(now)));
        match effect {
            Some(FaultEffect::Refused(refused)) => {
                (status, version, body) = (refused.status, None, refused.body);
            }
            Some(FaultEffect::Corrupt(draw)) => corrupt(&mut body, draw),
            None => {}
        }
        let response = TwinResponse {
            status,
            rid,
            version,
        };
        self.publish(response.topic(), qos, body.into()).await?;
        Ok(())
    }

    /// What the hub has to say.
    async fn pass_on(&mut self) -> Result<(), End> {
        while let Some(event) = self.device.take() {
            match (event, &self.subscriptions) {
                (Downstream::Ended(_), _) => return Err(End),
                (Downstream::MessagesWait, _) => self.deliver().await?,
                (
                    Downstream::Desired(change),
                    Subscriptions {
                        desired: Some(qos), ..
                    },
                ) => {
                    let version = change.version;
                    let topic = HubEvent::Desired { version }.topic();
                    self.publish(topic, *qos, change.patch).await?;
                }
                (
                    Downstream::Method(request),
                    Subscriptions {
                        methods: Some(qos), ..
                    },
                ) => {
                    let MethodRequest {
                        call,
                        name,
                        payload,
                    } = request;
                    let (name, rid) = (name.into(), format!("{call:x}"));
                    let topic = HubEvent::Method { name, rid }.topic();
                    self.publish(topic, *qos, payload).await?;
                }
                // It was on its way when the device gave up its subscription.
                (Downstream::Desired(_) | Downstream::Method(_), _) => {}
            }
        }
        Ok(())
    }

    /// Messages, as many as the device may have in its hands.
    async fn deliver(&mut self) -> Result<(), End> {
        while self.unacknowledged.len() < MAX_UNACKNOWLEDGED
            && let Some(qos) = self.subscriptions.messages
        {
            let now = Timestamp::now();
            let Some(delivery) = self.device.receive(now).map_err(|_| End)? else {
                break;
            };
            let event = HubEvent::of_message(self.device.device().id(), &delivery.message);
            let body = Bytes::copy_from_slice(&delivery.message.body);
            match self.publish(event.topic(), qos, body).await? {
                // What is not acknowledged is settled once it is sent.
                0 => self.settle(delivery.lock, now)?,
                id => self.unacknowledged.push((id, delivery.lock)),
            }
        }
        Ok(())
    }

    async fn acknowledged(&mut self, id: u16) -> Result<(), End> {
        // Answers are acknowledged as well; nobody waits for that.
        let Some(place) = self.unacknowledged.iter().position(|(sent, _)| *sent == id) else {
            return Ok(());
        };
        let (_, lock) = self.unacknowledged.swap_remove(place);
        self.settle(lock, Timestamp::now())?;
        self.deliver().await
    }

    fn settle(&self, lock: Uuid, now: Timestamp) -> Result<(), End> {
        match self.device.device().settle(lock, Settlement::Complete, now) {
            Ok(()) | Err(HubRefusal::LockLost) => Ok(()),
            Err(_) => Err(End),
        }
    }

    /// The client is gone without a word: its will is sent in its name.
    fn execute(&self, will: LastWill) {
        let Ok(HubRequest::Telemetry { client, bag }) = HubRequest::parse(&will.topic) else {
            return;
        };
        if client != *self.device.device().id() {
            return;
        }
        if let Ok(mut message) = property_bag::message(&bag, &will.message) {
            message.properties.push((WILL.0.into(), WILL.1.into()));
            retained(&mut message, will.retain);
            // Nobody is there to be told that it is too large.
            let _ = self.device.device().send(&message, Timestamp::now());
        }
    }

    async fn publish(&mut self, topic: String, quality: Quality, body: Bytes) -> Result<u16, End> {
        let qos = match quality {
            Quality::AtMostOnce => QoS::AtMostOnce,
            Quality::AtLeastOnce => QoS::AtLeastOnce,
        };
        self.session.publish(topic, qos, body).await.ok_or(End)
    }

    async fn flush(&mut self) -> Result<(), End> {
        if self.session.flush().await {
            Ok(())
        } else {
            Err(End)
        }
    }
}

/// Tells of a message that it was to be retained.
fn retained(message: &mut Message, retain: bool) {
    if retain {
        message.properties.push((RETAIN.0.into(), RETAIN.1.into()));
    }
}
