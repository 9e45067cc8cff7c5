//! MQTT packets: what a client logs in with, and the topics that it and its peer write to.
#![no_main]

use bytes::BytesMut;
use fleetstorm_protocol::hub::{HubEvent, HubRequest, HubUserName, TwinResponse};
use fleetstorm_protocol::mqtt::{DpsRequest, DpsResponse, DpsUserName};
use libfuzzer_sys::fuzz_target;
use rumqttc::mqttbytes::v4::Packet;

const MAX_PACKET: usize = 100 * 1024;

fuzz_target!(|bytes: &[u8]| {
    let mut stream = BytesMut::from(bytes);
    while let Ok(packet) = Packet::read(&mut stream, MAX_PACKET) {
        match packet {
            Packet::Connect(connect) => {
                let user_name = connect.login.map_or(String::new(), |login| login.username);
                let _ = DpsUserName::parse(&user_name);
                let _ = HubUserName::parse(&user_name);
            }
            Packet::Publish(publish) => topic(&publish.topic),
            _ => {}
        }
    }
});

/// What is read is written as it was read, as far as it is understood.
fn topic(topic: &str) {
    if let Ok(request) = DpsRequest::parse(topic) {
        assert_eq!(DpsRequest::parse(&request.topic()), Ok(request));
    }
    if let Ok(response) = DpsResponse::parse(topic) {
        assert_eq!(DpsResponse::parse(&response.topic()), Ok(response));
    }
    if let Ok(request) = HubRequest::parse(topic) {
        assert_eq!(HubRequest::parse(&request.topic()), Ok(request));
    }
    if let Ok(response) = TwinResponse::parse(topic) {
        assert_eq!(TwinResponse::parse(&response.topic()), Ok(response));
    }
    if let Ok(event) = HubEvent::parse(topic) {
        assert_eq!(HubEvent::parse(&event.topic()), Ok(event));
    }
}
