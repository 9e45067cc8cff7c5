//! MQTT 3.1.1 with a client that has logged in, whoever it talks to.

use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    Codec, ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, SubAck, SubscribeFilter,
    SubscribeReasonCode, UnsubAck,
};
use tokio::time::Instant;
use tokio_util::codec::Framed;

use super::packet;
use super::stream::Stream;
use crate::limits::Limits;

/// A client that has logged in.
pub(super) struct Session<Carrier> {
    packets: Framed<Carrier, Codec>,
    silence: Duration,
    /// Longest time for the rest of a packet.
    packet: Duration,
    /// When a packet began that is not whole yet.
    began: Option<Instant>,
    heard: Instant,
    end: Option<Instant>,
    next_id: u16,
}

/// What a packet of the client comes to, once it is acknowledged.
pub(super) enum ClientEvent {
    /// A message.
    Published(Publish),
    /// These filters were granted, with these qualities of service.
    Subscribed(Vec<(String, QoS)>),
    /// These filters are given up.
    Unsubscribed(Vec<String>),
    /// The message with this packet id has arrived.
    Acknowledged(u16),
    /// Nothing: a ping.
    Nothing,
    /// The client takes its leave.
    Left,
    /// Nothing more: the client is gone, silent or broke the protocol.
    Gone,
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
    /// Of a client that has said that it connects.
    pub(super) fn new(packets: Framed<Carrier, Codec>, connect: &Connect, limits: Limits) -> Self {
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
            heard: Instant::now(),
            end: None,
            next_id: 0,
        }
    }

    /// Takes packets up to this length.
    pub(super) fn take_up_to(&mut self, max: usize) {
        self.packets.codec_mut().max_incoming_size = max;
        self.packets.codec_mut().max_outgoing_size = max;
    }

    /// Lets the client in: to a session of its own that was kept, or to a new one.
    pub(super) async fn accept(&mut self, session_present: bool) -> bool {
        let code = ConnectReturnCode::Success;
        self.send(Packet::ConnAck(ConnAck::new(code, session_present)))
            .await
    }

    /// Keeps the client out.
    pub(super) async fn refuse(mut self, code: ConnectReturnCode) {
        let refusal = Packet::ConnAck(ConnAck::new(code, false));
        if self.send(refusal).await {
            self.close().await;
        }
    }

    /// Ends the connection in order. Acknowledgements that still wait stand for what was not done, and are
    /// not sent.
    pub(super) async fn close(mut self) {
        self.packets.write_buffer_mut().clear();
        // A client that is gone already makes no difference.
        let _ = self.packets.close().await;
    }

    /// Hears nothing more after a while.
    pub(super) fn end_after(&mut self, time: Duration) {
        self.end = Some(Instant::now() + time);
    }

    /// The next packet; none when the client is gone or too long silent. Giving up waiting
    /// loses nothing.
    pub(super) async fn receive(&mut self) -> Option<Packet> {
        let silent = self.heard + self.silence;
        let deadline = self.end.map_or(silent, |end| end.min(silent));
        let next = packet::next(&mut self.packets, &mut self.began, self.packet);
        let packet = tokio::time::timeout_at(deadline, next).await.ok()?;
        self.heard = Instant::now();
        packet
    }

    /// Acknowledges a packet. A ping is answered at once; the acknowledgement of a message or of a
    /// subscription is sent with what is sent next, so that what it stands for can be done before.
    pub(super) async fn acknowledge(
        &mut self,
        packet: Option<Packet>,
        may_subscribe: impl Fn(&str) -> bool,
    ) -> ClientEvent {
        let (reply, asked) = match packet {
            Some(Packet::Publish(publish)) => return self.published(publish).await,
            Some(Packet::Subscribe(subscribe)) => {
                let (codes, granted) = grant(subscribe.filters, may_subscribe);
                let reply = Packet::SubAck(SubAck::new(subscribe.pkid, codes));
                (reply, ClientEvent::Subscribed(granted))
            }
            Some(Packet::Unsubscribe(unsubscribe)) => {
                let reply = Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid));
                (reply, ClientEvent::Unsubscribed(unsubscribe.topics))
            }
            Some(Packet::PingReq) if self.send(Packet::PingResp).await => {
                return ClientEvent::Nothing;
            }
            Some(Packet::PubAck(acknowledged)) => {
                return ClientEvent::Acknowledged(acknowledged.pkid);
            }
            Some(Packet::Disconnect) => return ClientEvent::Left,
            _ => return ClientEvent::Gone,
        };
        self.wait_with(reply, asked).await
    }

    async fn published(&mut self, publish: Publish) -> ClientEvent {
        match publish.qos {
            QoS::AtMostOnce => ClientEvent::Published(publish),
            QoS::AtLeastOnce => {
                let acknowledgement = Packet::PubAck(PubAck::new(publish.pkid));
                self.wait_with(acknowledgement, ClientEvent::Published(publish))
                    .await
            }
            // Neither DPS nor IoT Hub takes QoS 2: they close the connection.
            QoS::ExactlyOnce => ClientEvent::Gone,
        }
    }

    /// Keeps an acknowledgement for what is sent next.
    async fn wait_with(&mut self, acknowledgement: Packet, asked: ClientEvent) -> ClientEvent {
        match self.packets.feed(acknowledgement).await {
            Ok(()) => asked,
            Err(_) => ClientEvent::Gone,
        }
    }

    /// Sends a message, and the acknowledgements before it. Returns its packet id, which is 0
    /// where it is not acknowledged.
    pub(super) async fn publish(&mut self, topic: String, qos: QoS, body: Bytes) -> Option<u16> {
        let mut publish = Publish::from_bytes(topic, qos, body);
        if qos != QoS::AtMostOnce {
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            publish.pkid = self.next_id;
        }
        let id = publish.pkid;
        self.send(Packet::Publish(publish)).await.then_some(id)
    }

    /// Sends the acknowledgements that wait.
    pub(super) async fn flush(&mut self) -> bool {
        self.packets.flush().await.is_ok()
    }

    async fn send(&mut self, packet: Packet) -> bool {
        self.packets.send(packet).await.is_ok()
    }
}

/// What a subscription is answered with, and what it comes to.
fn grant(
    filters: Vec<SubscribeFilter>,
    may_subscribe: impl Fn(&str) -> bool,
) -> (Vec<SubscribeReasonCode>, Vec<(String, QoS)>) {
    let mut granted = Vec::new();
    let codes = filters.into_iter().map(|filter| {
        if !may_subscribe(&filter.path) {
            return SubscribeReasonCode::Failure;
        }
        let qos = at_most_once_acknowledged(filter.qos);
        granted.push((filter.path, qos));
        SubscribeReasonCode::Success(qos)
    });
    (codes.collect(), granted)
}

/// QoS 2 is granted as 1.
fn at_most_once_acknowledged(asked: QoS) -> QoS {
    if asked == QoS::ExactlyOnce {
        QoS::AtLeastOnce
    } else {
        asked
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::mqttbytes::v4::Subscribe;
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    #[tokio::test]
    async fn what_was_not_done_is_not_acknowledged_at_the_end() {
        let (mut client, server) = duplex(64);
        let codec = Codec {
            max_incoming_size: 64,
            max_outgoing_size: 64,
        };
        let connect = Connect::new("pump-1");
        let mut session = Session::new(Framed::new(server, codec), &connect, Limits::default());
        let mut message = Publish::new("devices/pump-1/messages/events/", QoS::AtLeastOnce, "{}");
        message.pkid = 7;
        let asked = session.acknowledge(Some(Packet::Publish(message)), |_| true);
        assert!(matches!(asked.await, ClientEvent::Published(_)));
        session.close().await;
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.expect("an end");
        assert_eq!(heard, b"");
    }

    #[tokio::test]
    async fn a_subscription_holds_before_its_acknowledgement_is_on_the_wire() {
        let (mut client, server) = duplex(64);
        let codec = Codec {
            max_incoming_size: 64,
            max_outgoing_size: 64,
        };
        let connect = Connect::new("pump-1");
        let mut session = Session::new(Framed::new(server, codec), &connect, Limits::default());
        let mut subscribe = Subscribe::new("$iothub/twin/res/#", QoS::AtLeastOnce);
        subscribe.pkid = 7;

        let asked = session.acknowledge(Some(Packet::Subscribe(subscribe)), |_| true);
        assert!(matches!(asked.await, ClientEvent::Subscribed(granted) if granted.len() == 1));
        let mut heard = [0; 5];
        let early = tokio::time::timeout(Duration::from_millis(50), client.read(&mut heard));
        assert!(early.await.is_err(), "{heard:?}");

        assert!(session.flush().await);
        client.read_exact(&mut heard).await.expect("open");
        assert_eq!(heard, [0x90, 3, 0, 7, 1]);
    }
}
