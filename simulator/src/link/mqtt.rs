//! MQTT 3.1.1: to DPS, and, by [`super::hub`], to hubs.

use std::collections::VecDeque;

use bytes::Bytes;
use fleetstorm_protocol::mqtt::{
    DpsOperation, DpsRequest, DpsResponse, DpsUserName, RESPONSE_FILTER,
};
use fleetstorm_reports::{Breach, Fault};
use futures_util::{SinkExt, StreamExt};
use rumqttc::mqttbytes::v4::{
    Codec, Connect, ConnectReturnCode, Login, Packet, PubAck, Publish, Subscribe,
    SubscribeReasonCode,
};
use rumqttc::mqttbytes::{self, QoS};
use tokio_util::codec::Framed;

use super::carrier::Carrier;
use super::client::{CLIENT_VERSION, MAX_ANSWER};
use super::dial::fault_of;
use super::error::LinkError;
use super::request::{Registrant, Request, Response};

/// First size of the read buffer: an answer fits.
const BUFFER: usize = 2048;
/// Seconds; as the Node SDK.
pub(super) const KEEP_ALIVE: u16 = 180;
/// Most messages that wait while something else is asked; beyond it the newest is lost, as from a
/// device that is too slow.
const MOST_WAITING: usize = 32;

/// An MQTT session with one subscription, over which one request follows another.
pub struct MqttLink {
    packets: Framed<Carrier, Codec>,
    last_packet_id: u16,
    /// Topics of messages that came while something else was waited for; none are kept by a
    /// session that does not listen.
    waiting: Option<VecDeque<String>>,
    /// Messages received and not acknowledged yet.
    owed: Vec<u16>,
    /// A PINGREQ is not answered.
    pinged: bool,
}

/// How to log in.
pub struct LogIn {
    /// Registration id at DPS, device id at a hub.
    pub client_id: String,
    /// In the form of DPS or hub.
    pub user_name: String,
    /// SAS token; empty when the certificate is the proof.
    pub password: String,
    /// Whether to begin anew. DPS keeps no sessions; a hub does, and every SDK asks for its own.
    pub clean_session: bool,
}

impl MqttLink {
    /// Opens a session with DPS. `sas` proves a device that has no certificate.
    ///
    /// # Errors
    /// The connection broke, or DPS refused it.
    pub async fn open_dps(
        carrier: Carrier,
        registrant: Registrant<'_>,
        sas: Option<&str>,
    ) -> Result<Self, LinkError> {
        let log_in = LogIn {
            client_id: registrant.registration_id.to_string(),
            user_name: DpsUserName::format(
                registrant.id_scope,
                registrant.registration_id,
                CLIENT_VERSION,
            ),
            password: sas.unwrap_or_default().to_owned(),
            clean_session: true,
        };
        let mut link = Self::connect(carrier, log_in).await?;
        link.subscribe(RESPONSE_FILTER).await?;
        Ok(link)
    }

    /// CONNECT, CONNACK.
    ///
    /// # Errors
    /// The connection broke, or the server refused it.
    pub async fn connect(carrier: Carrier, log_in: LogIn) -> Result<Self, LinkError> {
        let codec = Codec {
            max_incoming_size: MAX_ANSWER,
            max_outgoing_size: MAX_ANSWER,
        };
        let mut link = Self {
            packets: Framed::with_capacity(carrier, codec, BUFFER),
            last_packet_id: 0,
            waiting: None,
            owed: Vec::new(),
            pinged: false,
        };
        let mut connect = Connect::new(log_in.client_id);
        connect.keep_alive = KEEP_ALIVE;
        connect.clean_session = log_in.clean_session;
        connect.login = Some(Login::new(log_in.user_name, log_in.password));
        link.send(Packet::Connect(connect)).await?;
        match link.receive().await? {
            Packet::ConnAck(answer) => match answer.code {
                ConnectReturnCode::Success => Ok(link),
                code => Err(LinkError::Refused {
                    status: status_of(code),
                }),
            },
            _ => Err(Fault::Protocol(Breach::Unexpected).into()),
        }
    }

    /// SUBSCRIBE, SUBACK.
    ///
    /// # Errors
    /// The connection broke, or the filter was refused.
    pub async fn subscribe(&mut self, filter: &str) -> Result<(), LinkError> {
        let mut subscribe = Subscribe::new(filter, QoS::AtLeastOnce);
        subscribe.pkid = self.next_packet_id();
        let id = subscribe.pkid;
        self.send(Packet::Subscribe(subscribe)).await?;
        loop {
            match self.receive().await? {
                Packet::SubAck(answer) if answer.pkid == id => {
                    return match answer.return_codes.as_slice() {
                        [SubscribeReasonCode::Success(_)] => Ok(()),
                        _ => Err(LinkError::Refused { status: 403 }),
                    };
                }
                // What an earlier subscription brings.
                Packet::Publish(message) if self.waiting.is_some() => self.keep(message).await?,
                _ => return Err(Fault::Protocol(Breach::Unexpected).into()),
            }
        }
    }

    /// From now on keeps what comes of the server's own accord, for [`Self::receive_message`].
    pub fn keep_what_comes(&mut self) {
        self.waiting.get_or_insert_default();
    }

    /// Waits for the next message that was not asked for and tells its topic; `None` is a packet
    /// that tells nothing. Giving up the wait loses nothing.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn receive_message(&mut self) -> Result<Option<String>, LinkError> {
        if let Some(topic) = self.waiting.as_mut().and_then(VecDeque::pop_front) {
            return Ok(Some(topic));
        }
        // Nothing may be awaited once a packet is here.
        match self.receive().await? {
            Packet::Publish(message) => {
                if message.qos == QoS::AtLeastOnce {
                    self.owed.push(message.pkid);
                }
                Ok(Some(message.topic))
            }
            Packet::PubAck(_) | Packet::PingResp => Ok(None),
            _ => Err(Fault::Protocol(Breach::Unexpected).into()),
        }
    }

    /// Acknowledges what was received.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn settle(&mut self) -> Result<(), LinkError> {
        if self.owed.is_empty() {
            return Ok(());
        }
        for id in std::mem::take(&mut self.owed) {
            let acknowledgement = Packet::PubAck(PubAck::new(id));
            self.packets
                .feed(acknowledgement)
                .await
                .map_err(|e| fault(&e))?;
        }
        self.packets.flush().await.map_err(|e| fault(&e).into())
    }

    /// PINGREQ.
    ///
    /// # Errors
    /// The connection broke, or the last PINGREQ was not answered.
    pub async fn ping(&mut self) -> Result<(), LinkError> {
        if self.pinged {
            return Err(Fault::ConnectionLost.into());
        }
        self.pinged = true;
        self.send(Packet::PingReq).await
    }

    /// Publishes to `topic` and waits for the message that `is_answer` knows. The
    /// acknowledgement of the request may come before or behind it.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn exchange<Answer>(
        &mut self,
        topic: String,
        payload: &[u8],
        is_answer: impl Fn(&str) -> Option<Answer>,
    ) -> Result<(Answer, Bytes), LinkError> {
        let mut request = Publish::new(topic, QoS::AtLeastOnce, payload);
        request.pkid = self.next_packet_id();
        self.send(Packet::Publish(request)).await?;
        loop {
            match self.receive().await? {
                Packet::Publish(message) => match is_answer(&message.topic) {
                    Some(answer) => {
                        self.acknowledge(&message).await?;
                        return Ok((answer, message.payload));
                    }
                    None => self.keep(message).await?,
                },
                Packet::PubAck(_) | Packet::PingResp => {}
                _ => return Err(Fault::Protocol(Breach::Unexpected).into()),
            }
        }
    }

    /// Publishes to `topic` and waits for the acknowledgement.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn publish(&mut self, topic: String, payload: &[u8]) -> Result<(), LinkError> {
        let mut message = Publish::new(topic, QoS::AtLeastOnce, payload);
        message.pkid = self.next_packet_id();
        let id = message.pkid;
        self.send(Packet::Publish(message)).await?;
        loop {
            match self.receive().await? {
                Packet::PubAck(acknowledged) if acknowledged.pkid == id => return Ok(()),
                Packet::PubAck(_) | Packet::PingResp => {}
                // What the hub says of its own accord is not what is waited for.
                Packet::Publish(message) => self.keep(message).await?,
                _ => return Err(Fault::Protocol(Breach::Unexpected).into()),
            }
        }
    }

    /// Asks DPS.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn request_dps(&mut self, request: Request<'_>) -> Result<Response, LinkError> {
        let (operation, payload) = match request {
            Request::Register(body) => (DpsOperation::Register, body),
            // The SDKs send a space where there is nothing to say.
            Request::OperationStatus(id) => {
                (DpsOperation::OperationStatus(id.clone()), b" ".as_slice())
            }
        };
        let request = DpsRequest {
            rid: self.next_request_id(),
            operation,
        };
        let is_answer = |topic: &str| {
            DpsResponse::parse(topic)
                .ok()
                .filter(|answer| answer.rid == request.rid)
        };
        let (answer, body) = self.exchange(request.topic(), payload, is_answer).await?;
        Ok(Response {
            status: answer.status,
            retry_after: answer.retry_after,
            body,
        })
    }

    /// A `$rid` that this session has not used.
    pub fn next_request_id(&self) -> String {
        (u32::from(self.last_packet_id) + 1).to_string()
    }

    /// DISCONNECT, then closes the connection.
    pub async fn close(mut self) {
        // A peer that is gone already makes no difference.
        let _ = self.send(Packet::Disconnect).await;
        self.packets.into_inner().close().await;
    }

    /// Goes out with what is sent next.
    async fn acknowledge(&mut self, message: &Publish) -> Result<(), LinkError> {
        if message.qos == QoS::AtLeastOnce {
            let acknowledgement = Packet::PubAck(PubAck::new(message.pkid));
            self.packets
                .feed(acknowledgement)
                .await
                .map_err(|e| fault(&e))?;
        }
        Ok(())
    }

    /// Acknowledges what came of the server's own accord, and keeps it for who listens.
    async fn keep(&mut self, message: Publish) -> Result<(), LinkError> {
        self.acknowledge(&message).await?;
        if let Some(waiting) = &mut self.waiting
            && waiting.len() < MOST_WAITING
        {
            waiting.push_back(message.topic);
        }
        Ok(())
    }

    fn next_packet_id(&mut self) -> u16 {
        self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
        self.last_packet_id
    }

    async fn send(&mut self, packet: Packet) -> Result<(), LinkError> {
        self.packets
            .send(packet)
            .await
            .map_err(|error| fault(&error).into())
    }

    async fn receive(&mut self) -> Result<Packet, LinkError> {
        match self.packets.next().await {
            Some(Ok(packet)) => {
                self.pinged &= !matches!(packet, Packet::PingResp);
                Ok(packet)
            }
            Some(Err(error)) => Err(fault(&error).into()),
            None => Err(Fault::ConnectionLost.into()),
        }
    }
}

/// A CONNACK's return code in terms of HTTP.
fn status_of(code: ConnectReturnCode) -> u16 {
    match code {
        ConnectReturnCode::Success => 200,
        ConnectReturnCode::RefusedProtocolVersion | ConnectReturnCode::BadClientId => 400,
        ConnectReturnCode::ServiceUnavailable => 503,
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => 401,
    }
}

fn fault(error: &mqttbytes::Error) -> Fault {
    match error {
        mqttbytes::Error::Io(error) => fault_of(error),
        _ => Fault::Protocol(Breach::Unreadable),
    }
}
