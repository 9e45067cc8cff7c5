//! A hub over MQTT.

use fleetstorm_protocol::hub::{HubRequest, HubUserName, TWIN_RESPONSE_FILTER, TwinResponse};
use fleetstorm_protocol::ids::DeviceId;
use fleetstorm_protocol::twin::DeviceTwin;
use fleetstorm_reports::Fault;

use crate::link::carrier::Carrier;
use crate::link::mqtt::{LogIn, MqttLink};
use crate::link::{CLIENT_VERSION, LinkError};

/// A device's MQTT session with its hub.
pub struct HubMqtt {
    session: MqttLink,
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
        };
        Ok(Self {
            session: MqttLink::connect(carrier, log_in).await?,
        })
    }

    /// Subscribes for twin answers, and reads the twin.
    ///
    /// # Errors
    /// The connection broke, or the hub refused.
    pub async fn read_twin(&mut self) -> Result<DeviceTwin, LinkError> {
        self.session.subscribe(TWIN_RESPONSE_FILTER).await?;
        let rid = self.session.next_request_id();
        let request = HubRequest::TwinGet { rid: rid.clone() };
        let is_answer = |topic: &str| {
            TwinResponse::parse(topic)
                .ok()
                .filter(|answer| answer.rid == rid)
        };
        let (answer, body) = self
            .session
            .exchange(request.topic(), b"", is_answer)
            .await?;
        match answer.status {
            200 => Ok(serde_json::from_slice(&body).map_err(|_| Fault::Protocol)?),
            status => Err(LinkError::Refused { status }),
        }
    }

    /// DISCONNECT, then closes the connection.
    pub async fn close(self) {
        self.session.close().await;
    }
}
