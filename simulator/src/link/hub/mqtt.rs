//! A hub over MQTT.

use std::time::Duration;

use bytes::Bytes;
use fleetstorm_protocol::hub::{
    self, DESIRED_FILTER, HubRequest, HubUserName, METHODS_FILTER, SystemProperties,
    TWIN_RESPONSE_FILTER, TwinResponse, property_bag,
};
use fleetstorm_protocol::ids::{ClientId, DeviceId};
use fleetstorm_protocol::twin::DeviceTwin;
use fleetstorm_reports::{Breach, Fault};

use crate::link::carrier::Carrier;
use crate::link::client::CLIENT_VERSION;
use crate::link::error::LinkError;
use crate::link::hub::event::{Call, HubEvent};
use crate::link::mqtt::{self, LogIn, MqttLink};

/// How long a device may say nothing: half of what it announces.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(mqtt::KEEP_ALIVE as u64 / 2);

/// A device's MQTT session with its hub.
pub struct HubMqtt {
    session: MqttLink,
    device: ClientId,
}

impl HubMqtt {
    /// CONNECT: by the certificate of the TLS handshake, or by `sas`.
    ///
    /// # Errors
    /// The connection broke, or the hub refused the device.
    pub async fn open(
        carrier: Carrier,
        host: &str,
        device: &DeviceId,
        sas: Option<String>,
    ) -> Result<Self, LinkError> {
        let log_in = LogIn {
            client_id: device.to_string(),
            user_name: HubUserName::format(host, device, CLIENT_VERSION),
            password: sas.unwrap_or_default(),
            clean_session: false,
        };
        let mut session = MqttLink::connect(carrier, log_in).await?;
        // Subscriptions of an earlier session hold at once.
        session.keep_what_comes();
        Ok(Self {
            session,
            device: device.into(),
        })
    }

    /// Subscribes for twin answers.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn prepare_for_twin(&mut self) -> Result<(), LinkError> {
        self.session.subscribe(TWIN_RESPONSE_FILTER).await
    }

    /// Reads the twin.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn read_twin(&mut self) -> Result<DeviceTwin, LinkError> {
        let body = self.request(|rid| HubRequest::TwinGet { rid }, b"").await?;
        Ok(serde_json::from_slice(&body).map_err(|_| Fault::Protocol(Breach::Answer))?)
    }

    /// Reports properties.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn report(&mut self, patch: &[u8]) -> Result<(), LinkError> {
        let request = |rid| HubRequest::ReportedPatch { rid };
        self.request(request, patch).await.map(drop)
    }

    /// Sends a message and waits for its acknowledgement.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), LinkError> {
        let request = HubRequest::Telemetry {
            client: self.device.clone(),
            bag: property_bag::format(&SystemProperties::of_json(), &[]),
        };
        self.session.publish(request.topic(), message).await
    }

    /// Subscribes for methods and for changes of desired properties.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn listen(&mut self) -> Result<(), LinkError> {
        self.session.subscribe(METHODS_FILTER).await?;
        self.session.subscribe(DESIRED_FILTER).await
    }

    /// What the hub says next.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn receive(&mut self) -> Result<HubEvent, LinkError> {
        let topic = self.session.receive_message().await?;
        Ok(match topic.map(|topic| hub::HubEvent::parse(&topic)) {
            Some(Ok(hub::HubEvent::Method { rid, .. })) => HubEvent::Method(Call::Mqtt { rid }),
            Some(Ok(hub::HubEvent::Desired { .. })) => HubEvent::Desired,
            Some(Ok(hub::HubEvent::Message { .. }) | Err(_)) | None => HubEvent::Other,
        })
    }

    /// Acknowledges what was received.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn settle(&mut self) -> Result<(), LinkError> {
        self.session.settle().await
    }

    /// Answers a method.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn answer(&mut self, rid: String, result: &[u8]) -> Result<(), LinkError> {
        let request = HubRequest::MethodResponse { status: 200, rid };
        self.session.publish(request.topic(), result).await
    }

    /// PINGREQ.
    ///
    /// # Errors
    /// The connection broke, or the last PINGREQ was not answered.
    pub async fn ping(&mut self) -> Result<(), LinkError> {
        self.session.ping().await
    }

    /// Asks something of the twin.
    async fn request(
        &mut self,
        request: impl FnOnce(String) -> HubRequest,
        body: &[u8],
    ) -> Result<Bytes, LinkError> {
        let rid = self.session.next_request_id();
        let is_answer = |topic: &str| {
            TwinResponse::parse(topic)
                .ok()
                .filter(|answer| answer.rid == rid)
        };
        let asked = request(rid.clone()).topic();
        let (answer, body) = self.session.exchange(asked, body, is_answer).await?;
        match answer.status {
            200..300 => Ok(body),
            status => Err(LinkError::Refused { status }),
        }
    }

    /// DISCONNECT, then closes the connection.
    pub async fn close(self) {
        self.session.close().await;
    }
}
