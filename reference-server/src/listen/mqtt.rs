//! The MQTT port: log in, then DPS or a hub, told apart by SNI and user name.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_protocol::hub::HubUserName;
use fleetstorm_protocol::mqtt::DpsUserName;
use futures_util::{SinkExt, StreamExt};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    Codec, ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, SubAck,
    SubscribeReasonCode,
};
use tokio::time::Instant;
use tokio_util::codec::Framed;

use super::{Client, Host, Stream, dps_mqtt, hub_mqtt, packet};
use crate::limits::Limits;

/// Longest packet: 96 KB of message, its topic and header.
const MAX_PACKET: usize = 100 * 1024;
/// Buffers start small: most packets are.
const BUFFER: usize = 1024;

/// A client that has logged in.
pub(super) struct Session<Carrier> {
    packets: Framed<Carrier, Codec>,
    silence: Duration,
    /// Longest time for the rest of a packet.
    packet: Duration,
    /// When a packet began that is not whole yet.
    began: Option<Instant>,
    next_id: u16,
}

/// What a session is asked.
pub(super) enum Asked {
    /// A message.
    Published(Publish),
    /// Nothing more: the client is gone, silent or broke the protocol.
    Gone,
}

/// Serves one connection to its end.
pub(crate) async fn serve(
    stream: impl Stream,
    client: Rc<Client>,
    host: Arc<Host>,
    stop: impl Future<Output = ()>,
) {
    let codec = Codec {
        max_incoming_size: MAX_PACKET,
        max_outgoing_size: MAX_PACKET,
    };
    let mut packets = Framed::with_capacity(stream, codec, BUFFER);
    let session = async {
        let first = tokio::time::timeout(host.limits.first_request, packets.next()).await;
        let Ok(Some(Ok(Packet::Connect(connect)))) = first else {
            return;
        };
        let session = Session::new(packets, &connect, host.limits);
        let user_name = connect
            .login
            .as_ref()
            .map_or("", |login| login.username.as_str());
        let hub = host.hub_of(&client);
        if hub.is_none()
            && let Ok(user) = DpsUserName::parse(user_name)
        {
            dps_mqtt::serve(session, &user, &connect, &client, &host).await;
        } else if let Ok(user) = HubUserName::parse(user_name) {
            hub_mqtt::serve(session, &user, &connect, &client, &host, hub).await;
        } else {
            session.refuse(ConnectReturnCode::BadUserNamePassword).await;
        }
    };
    tokio::select! {
        () = session => {}
        () = stop => {}
    }
}

/// The password that a client gave, if any.
pub(super) fn password(connect: &Connect) -> Option<&str> {
    connect
        .login
        .as_ref()
        .map(|login| login.password.as_str())
        .filter(|password| !password.is_empty())
}

impl<Carrier: Stream> Session<Carrier> {
    fn new(packets: Framed<Carrier, Codec>, connect: &Connect, limits: Limits) -> Self {
        let silence = match connect.keep_alive {
            0 => limits.silence,
            // MQTT 3.1.1, 3.1.2.10: one and a half times the keep-alive.
            seconds => Duration::from_millis(u64::from(seconds) * 1500).min(limits.silence),
        };
        Self {
            packets,
            silence,
            packet: limits.packet,
            began: None,
            next_id: 0,
        }
    }

    /// Lets the client in. There are no persistent sessions.
    pub(super) async fn accept(&mut self) -> bool {
        self.packets
            .send(Packet::ConnAck(ConnAck::new(
                ConnectReturnCode::Success,
                false,
            )))
            .await
            .is_ok()
    }

    /// Keeps the client out.
    pub(super) async fn refuse(mut self, code: ConnectReturnCode) {
        let refusal = Packet::ConnAck(ConnAck::new(code, false));
        if self.packets.send(refusal).await.is_ok() {
            self.close().await;
        }
    }

    /// Ends the connection in order.
    pub(super) async fn close(mut self) {
        // A client that is gone already makes no difference.
        let _ = self.packets.close().await;
    }

    /// The next message. Subscriptions to what `may_subscribe` allows and pings are answered on the
    /// way; a message is acknowledged before it is answered, and sent with its answer.
    pub(super) async fn next(&mut self, may_subscribe: fn(&str) -> bool) -> Asked {
        loop {
            let next = packet::next(&mut self.packets, &mut self.began, self.packet);
            let Ok(Some(packet)) = tokio::time::timeout(self.silence, next).await else {
                return Asked::Gone;
            };
            let reply = match packet {
                Packet::Publish(publish) => return self.published(publish).await,
                Packet::Subscribe(subscribe) => {
                    let granted = subscribe.filters.iter().map(|filter| {
                        if may_subscribe(&filter.path) {
                            SubscribeReasonCode::Success(at_most_once_acknowledged(filter.qos))
                        } else {
                            SubscribeReasonCode::Failure
                        }
                    });
                    Packet::SubAck(SubAck::new(subscribe.pkid, granted.collect()))
                }
                Packet::Unsubscribe(unsubscribe) => {
                    Packet::UnsubAck(rumqttc::mqttbytes::v4::UnsubAck::new(unsubscribe.pkid))
                }
                Packet::PingReq => Packet::PingResp,
                Packet::PubAck(_) => continue,
                _ => return Asked::Gone,
            };
            if self.packets.send(reply).await.is_err() {
                return Asked::Gone;
            }
        }
    }

    async fn published(&mut self, publish: Publish) -> Asked {
        let acknowledged = match publish.qos {
            QoS::AtMostOnce => Ok(()),
            QoS::AtLeastOnce => {
                self.packets
                    .feed(Packet::PubAck(PubAck::new(publish.pkid)))
                    .await
            }
            // Neither DPS nor IoT Hub takes QoS 2: they close the connection.
            QoS::ExactlyOnce => return Asked::Gone,
        };
        if acknowledged.is_ok() {
            Asked::Published(publish)
        } else {
            Asked::Gone
        }
    }

    /// Sends an answer, and the acknowledgement before it.
    pub(super) async fn answer(&mut self, topic: String, body: Vec<u8>) -> bool {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, body);
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        publish.pkid = self.next_id;
        self.packets.send(Packet::Publish(publish)).await.is_ok()
    }
}

/// QoS 2 is granted as 1.
fn at_most_once_acknowledged(asked: QoS) -> QoS {
    if asked == QoS::ExactlyOnce {
        QoS::AtLeastOnce
    } else {
        asked
    }
}
