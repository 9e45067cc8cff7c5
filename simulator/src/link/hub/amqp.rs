//! A hub over AMQP.

use std::time::Duration;

use bytes::Bytes;
use fleetstorm_protocol::amqp::CHANNEL_CORRELATION_PROPERTY;
use fleetstorm_protocol::amqp::cbs::{self, PutToken, PutTokenAnswer};
use fleetstorm_protocol::amqp::dps::refusal_of;
use fleetstorm_protocol::amqp::hub::{
    MethodCall, MethodResult, TwinMessage, TwinOperation, TwinRequest,
};
use fleetstorm_protocol::amqp::hub_message::from_device;
use fleetstorm_protocol::amqp::hub_node::HubNode;
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::types::messaging::MessageId;
use fleetstorm_protocol::hub::{self, API_VERSION, SystemProperties, sas_resource};
use fleetstorm_protocol::ids::{ClientId, DeviceId};
use fleetstorm_protocol::twin::DeviceTwin;
use fleetstorm_reports::{Breach, Fault};

use crate::link::amqp::{AmqpLink, Received, Wanted};
use crate::link::carrier::Carrier;
use crate::link::error::LinkError;
use crate::link::hub::event::{Call, HubEvent};

/// How long a device may say nothing to a hub that has not said for how long.
const KEEP_ALIVE: Duration = Duration::from_secs(120);
/// Shortest time between signs of life, whatever the hub asks for.
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_millis(500);

/// A device's AMQP connection with its hub.
pub struct HubAmqp {
    link: AmqpLink,
    device: ClientId,
    request_link: u32,
    /// The link of its messages, once it is prepared for them.
    events: Option<u32>,
    /// The link of results of methods, once it listens.
    results: Option<u32>,
    last_request: u64,
}

impl HubAmqp {
    /// Opens the twin's links: by the certificate of the TLS handshake, or after `sas` was put to
    /// `$cbs`.
    ///
    /// # Errors
    /// The connection broke, or the hub refused the device.
    pub async fn open(
        carrier: Carrier,
        host: &str,
        device: &DeviceId,
        sas: Option<String>,
    ) -> Result<Self, LinkError> {
        let mut link = AmqpLink::new(carrier);
        link.begin(host, device.as_str());
        if let Some(sas) = sas {
            put_token(&mut link, sas_resource(host, &device.into()), sas).await?;
        }
        let address = HubNode::Twin(device.into()).address();
        let channel = format!("twin:{device}");
        let properties = [(CHANNEL_CORRELATION_PROPERTY, channel.as_str())];
        let wanted = |name, sends| Wanted {
            name,
            address: &address,
            sends,
            settled: true,
            api_version: API_VERSION,
            properties: &properties,
        };
        link.attach(&wanted("twin_receiver_link", false));
        let request_link = link.attach(&wanted("twin_sender_link", true));
        link.settle_in().await?;
        Ok(Self {
            link,
            device: device.into(),
            request_link,
            events: None,
            results: None,
            last_request: 0,
        })
    }

    /// Reads the twin.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn read_twin(&mut self) -> Result<DeviceTwin, LinkError> {
        let body = self.request(TwinOperation::Get, b"").await?;
        Ok(serde_json::from_slice(&body).map_err(|_| Fault::Protocol(Breach::Answer))?)
    }

    /// Reports properties.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn report(&mut self, patch: &[u8]) -> Result<(), LinkError> {
        let requesting = self.request(TwinOperation::PatchReported, patch);
        requesting.await.map(drop)
    }

    /// Attaches the link of its messages, unless it is.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn prepare_for_messages(&mut self) -> Result<(), LinkError> {
        if self.events.is_some() {
            return Ok(());
        }
        let events = self.link.attach(&Wanted {
            name: "telemetry_sender_link",
            address: &HubNode::Events(self.device.clone()).address(),
            sends: true,
            settled: false,
            api_version: API_VERSION,
            properties: &[],
        });
        self.link.settle_in().await?;
        self.events = Some(events);
        Ok(())
    }

    /// Sends a message and waits until it is accepted.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), LinkError> {
        // Who has not prepared for it has no link.
        let events = self.events.ok_or(Fault::Protocol(Breach::Request))?;
        let message = from_device(&hub::Message {
            system: SystemProperties::of_json(),
            properties: Vec::new(),
            body: message.to_vec(),
        });
        match self.link.deliver(events, &message).await? {
            None => Ok(()),
            Some(rejected) => Err(LinkError::Refused {
                status: refusal_of(&rejected).0,
            }),
        }
    }

    /// Opens the methods' links, and asks for changes of desired properties.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn listen(&mut self) -> Result<(), LinkError> {
        self.link.keep_what_comes();
        let address = HubNode::Methods(self.device.clone()).address();
        let channel = format!("methods:{}", self.device);
        let properties = [(CHANNEL_CORRELATION_PROPERTY, channel.as_str())];
        let wanted = |name, sends| Wanted {
            name,
            address: &address,
            sends,
            settled: true,
            api_version: API_VERSION,
            properties: &properties,
        };
        self.link.attach(&wanted("methods_receiver_link", false));
        self.results = Some(self.link.attach(&wanted("methods_sender_link", true)));
        self.link.settle_in().await?;
        let requesting = self.request(TwinOperation::SubscribeDesired, b"");
        requesting.await.map(drop)
    }

    /// What the hub says next.
    ///
    /// # Errors
    /// The connection broke, or the hub ended it.
    pub async fn receive(&mut self) -> Result<HubEvent, LinkError> {
        let message = self.link.receive().await?;
        if let Ok(call) = MethodCall::of(&message) {
            let correlation_id = call.correlation_id;
            return Ok(HubEvent::Method(Call::Amqp { correlation_id }));
        }
        Ok(match TwinMessage::of(&message) {
            Ok(TwinMessage::Desired { .. }) => HubEvent::Desired,
            Ok(TwinMessage::Answer { .. }) | Err(_) => HubEvent::Other,
        })
    }

    /// Answers a method.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn answer(
        &mut self,
        correlation_id: Option<MessageId>,
        result: &[u8],
    ) -> Result<(), LinkError> {
        // Nobody calls a device that does not listen.
        let results = self.results.ok_or(Fault::Protocol(Breach::Request))?;
        let result = MethodResult {
            correlation_id,
            status: 200,
            payload: Bytes::copy_from_slice(result),
        };
        self.link.post(results, &result.message()).await
    }

    /// Half of the time that the hub waits for a sign of life.
    pub fn keep_alive(&self) -> Duration {
        let told = self.link.idle_timeout();
        told.map_or(KEEP_ALIVE, |told| (told / 2).max(SHORTEST_KEEP_ALIVE))
    }

    /// An empty frame.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn beat(&mut self) -> Result<(), LinkError> {
        self.link.beat().await
    }

    /// Asks something of the twin.
    async fn request(&mut self, operation: TwinOperation, body: &[u8]) -> Result<Bytes, LinkError> {
        self.last_request += 1;
        let correlation_id = Some(MessageId::String(self.last_request.to_string()));
        let request = TwinRequest {
            correlation_id: correlation_id.clone(),
            operation,
            body: Bytes::copy_from_slice(body),
        };
        let request = request.message();
        let is_answer = |message: &Message| message.properties.correlation_id == correlation_id;
        let requesting = self
            .link
            .exchange(self.request_link, &request, true, is_answer);
        let message = match requesting.await? {
            Received::Answer(message) => message,
            Received::Rejection(rejected) => {
                let (status, _, _) = refusal_of(&rejected);
                return Err(LinkError::Refused { status });
            }
        };
        match TwinMessage::of(&message) {
            Ok(TwinMessage::Answer { status, body, .. }) if (200..300).contains(&status) => {
                Ok(body)
            }
            Ok(TwinMessage::Answer { status, .. }) => Err(LinkError::Refused { status }),
            Ok(TwinMessage::Desired { .. }) | Err(_) => {
                Err(Fault::Protocol(Breach::Unexpected).into())
            }
        }
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.link.close().await;
    }
}

async fn put_token(link: &mut AmqpLink, name: String, token: String) -> Result<(), LinkError> {
    let wanted = |name, sends| Wanted {
        name,
        address: cbs::NODE,
        sends,
        settled: false,
        api_version: API_VERSION,
        properties: &[],
    };
    link.attach(&wanted("cbs_receiver_link", false));
    let request_link = link.attach(&wanted("cbs_sender_link", true));
    link.settle_in().await?;
    let message_id = Some(MessageId::String("put-token".into()));
    let put = PutToken {
        message_id: message_id.clone(),
        name,
        token,
    };
    let request = put.message();
    let answered = link.exchange(request_link, &request, false, |message| {
        message.properties.correlation_id == message_id
    });
    let status = match answered.await? {
        Received::Answer(message) => {
            let answer =
                PutTokenAnswer::of(&message).map_err(|_| Fault::Protocol(Breach::Answer))?;
            answer.status
        }
        Received::Rejection(rejected) => refusal_of(&rejected).0,
    };
    match status {
        200..300 => Ok(()),
        status => Err(LinkError::Refused { status }),
    }
}
