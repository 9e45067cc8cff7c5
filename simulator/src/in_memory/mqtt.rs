//! The service over MQTT.

use fleetstorm_protocol::hub::{HubRequest, TwinResponse};
use fleetstorm_protocol::mqtt::{DpsOperation, DpsRequest, DpsResponse};
use fleetstorm_protocol::twin::DeviceTwin;
use futures_util::{SinkExt, StreamExt};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    Codec, ConnAck, ConnectReturnCode, Packet, PubAck, Publish, SubAck, SubscribeReasonCode,
};
use tokio_util::codec::Framed;

use super::{RETRY_AFTER, Seen, Service, Told};
use crate::link::carrier::duplex::Duplex;

type Packets<Carrier> = Framed<Carrier, Codec>;

impl Service {
    /// Serves a connection to DPS, or to `hub`.
    pub(super) async fn serve_mqtt(&self, carrier: impl Duplex, hub: Option<&'static str>) {
        let codec = Codec {
            max_incoming_size: 65_536,
            max_outgoing_size: 65_536,
        };
        let mut packets = Framed::new(carrier, codec);
        let Some(Ok(Packet::Connect(_))) = packets.next().await else {
            return;
        };
        let is_stranger = hub.is_some_and(|hub| self.is_stranger_at(hub));
        let code = if is_stranger {
            ConnectReturnCode::NotAuthorized
        } else {
            ConnectReturnCode::Success
        };
        say(&mut packets, Packet::ConnAck(ConnAck::new(code, false))).await;
        match hub {
            Some(_) if is_stranger => self.see(Seen::NotLetIn),
            Some(hub) => self.serve_hub_mqtt(packets, hub).await,
            None => self.serve_dps_mqtt(packets).await,
        }
    }

    async fn serve_dps_mqtt(&self, mut packets: Packets<impl Duplex>) {
        while let Some(Ok(packet)) = packets.next().await {
            match packet {
                Packet::Subscribe(asked) => say(&mut packets, granted(asked.pkid)).await,
                Packet::Publish(asked) => {
                    say(&mut packets, Packet::PubAck(PubAck::new(asked.pkid))).await;
                    let request = DpsRequest::parse(&asked.topic).expect("a request");
                    say(&mut packets, self.answer_mqtt(request)).await;
                }
                _ => return,
            }
        }
    }

    fn answer_mqtt(&self, request: DpsRequest) -> Packet {
        let is_register = matches!(request.operation, DpsOperation::Register);
        let (status, body) = self.answer(is_register);
        let answer = DpsResponse {
            status,
            rid: request.rid,
            retry_after: Some(RETRY_AFTER),
        };
        publish(answer.topic(), body.as_bytes())
    }

    async fn serve_hub_mqtt(&self, mut packets: Packets<impl Duplex>, hub: &'static str) {
        self.see(Seen::Joins(hub));
        let mut told = self.tell.subscribe();
        loop {
            let packet = tokio::select! {
                told = told.recv() => match told {
                    Ok(Told::Publish(event)) => {
                        say(&mut packets, publish(event.topic(), b"{}")).await;
                        continue;
                    }
                    Ok(Told::Hangup) | Err(_) => return,
                },
                packet = packets.next() => packet,
            };
            let Some(Ok(packet)) = packet else {
                return self.see(Seen::Vanishes);
            };
            if self.state.borrow().is_deaf {
                continue;
            }
            match packet {
                Packet::Subscribe(asked) => say(&mut packets, granted(asked.pkid)).await,
                Packet::Publish(said) => {
                    say(&mut packets, Packet::PubAck(PubAck::new(said.pkid))).await;
                    if let Some(answer) = self.heard(&said) {
                        say(&mut packets, answer).await;
                    }
                }
                Packet::PingReq => {
                    self.see(Seen::Lives);
                    say(&mut packets, Packet::PingResp).await;
                }
                Packet::Disconnect => return self.see(Seen::Leaves),
                _ => {}
            }
        }
    }

    /// What a device says to its hub, and the answer, if it wants one.
    fn heard(&self, said: &Publish) -> Option<Packet> {
        let rid = match HubRequest::parse(&said.topic).expect("a request") {
            HubRequest::TwinGet { rid } | HubRequest::ReportedPatch { rid } => rid,
            HubRequest::MethodResponse { .. } => {
                self.see(Seen::Answers);
                return None;
            }
            HubRequest::Telemetry { .. } => {
                let text = String::from_utf8(said.payload.to_vec());
                self.see(Seen::Message(text.expect("text")));
                return None;
            }
        };
        let answer = TwinResponse {
            status: 200,
            rid,
            version: None,
        };
        let twin = serde_json::to_vec(&DeviceTwin::default()).expect("JSON");
        Some(publish(answer.topic(), &twin))
    }
}

/// A device that does not listen any more makes no difference.
async fn say(packets: &mut Packets<impl Duplex>, packet: Packet) {
    let _ = packets.send(packet).await;
}

fn granted(id: u16) -> Packet {
    let granted = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)];
    Packet::SubAck(SubAck::new(id, granted))
}

fn publish(topic: String, payload: &[u8]) -> Packet {
    Packet::Publish(Publish::new(topic, QoS::AtMostOnce, payload))
}
