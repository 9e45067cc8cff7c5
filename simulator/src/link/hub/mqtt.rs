//! A hub over MQTT.

use bytes::Bytes;
use fleetstorm_protocol::hub::{
    HubRequest, HubUserName, SystemProperties, TWIN_RESPONSE_FILTER, TwinResponse, property_bag,
};
use fleetstorm_protocol::ids::DeviceId;
use fleetstorm_protocol::twin::DeviceTwin;
use fleetstorm_reports::Fault;

use crate::link::carrier::Carrier;
use crate::link::mqtt::{LogIn, MqttLink};
use crate::link::{CLIENT_VERSION, LinkError};

/// A device's MQTT session with its hub.
pub struct HubMqtt {
    session: MqttLink,
    device: DeviceId,
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
        Ok(Self {
            session: MqttLink::connect(carrier, log_in).await?,
            device: device.clone(),
        })
    }

    /// Subscribes for twin answers, and reads the twin.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn read_twin(&mut self) -> Result<DeviceTwin, LinkError> {
        self.session.subscribe(TWIN_RESPONSE_FILTER).await?;
        let body = self.ask(|rid| HubRequest::TwinGet { rid }, b"").await?;
        Ok(serde_json::from_slice(&body).map_err(|_| Fault::Protocol)?)
    }

    /// Reports properties. Answers are heard once the twin was read.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn report(&mut self, patch: &[u8]) -> Result<(), LinkError> {
        let request = |rid| HubRequest::ReportedPatch { rid };
        self.ask(request, patch).await.map(drop)
    }

    /// Sends a message and waits for its acknowledgement.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), LinkError> {
        let request = HubRequest::Telemetry {
            device: self.device.clone(),
            bag: property_bag::format(&SystemProperties::of_json(), &[]),
        };
        self.session.publish(request.topic(), message).await
    }

    /// Asks something of the twin.
    async fn ask(
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
