//! A device's MQTT connection to its hub, packet by packet.

use std::io::{ErrorKind, Read};

use rustls::ALL_VERSIONS;

use super::HUB;
use crate::dialect::Caller;
use crate::dialect::mqtt::{
    connect_with, keeping_session, packet, publish_to, receive, send, text,
};
use crate::instance::Instance;
use crate::tls::{Secured, dial};

/// A connection that is logged in.
pub struct Device {
    wire: Secured,
    packets: u16,
}

/// A message that the hub published.
#[derive(Debug, PartialEq, Eq)]
pub struct Published {
    pub qos: u8,
    pub packet_id: u16,
    pub topic: String,
    pub body: String,
}

impl Device {
    /// Logs in with its certificate.
    pub fn connect(instance: &Instance, caller: &Caller) -> Self {
        Self::connect_with_will(instance, caller, None)
    }

    /// Logs in with its certificate and a will.
    pub fn connect_with_will(
        instance: &Instance,
        caller: &Caller,
        will: Option<(&str, &str)>,
    ) -> Self {
        let name = caller.registration_id.as_str();
        let user = format!("{HUB}/{name}/?api-version=2021-04-12&DeviceClientType=wire");
        let log_in = connect_with(name, &user, caller.sas.as_deref(), will);
        let (device, present) = Self::log_in(instance, caller, &log_in);
        assert!(!present, "a clean session");
        device
    }

    /// Logs in and asks for the session that it had. Returns whether there is one.
    pub fn resume(instance: &Instance, caller: &Caller) -> (Self, bool) {
        let name = caller.registration_id.as_str();
        let user = format!("{HUB}/{name}/?api-version=2021-04-12");
        let log_in = connect_with(name, &user, caller.sas.as_deref(), None);
        Self::log_in(instance, caller, &keeping_session(log_in))
    }

    /// Logs in with a CONNECT. Returns whether a session is present.
    pub fn log_in(instance: &Instance, caller: &Caller, connect: &[u8]) -> (Self, bool) {
        let server = instance.server.announcement();
        let certificate = caller.certificate.as_ref();
        let mut wire = dial(server, server.mqtt, HUB, certificate, ALL_VERSIONS);
        send(&mut wire, connect);
        let (head, answer) = receive(&mut wire);
        assert_eq!((head, answer[1]), (0x20, 0), "CONNACK: accepted");
        (Self { wire, packets: 0 }, answer[0] == 1)
    }

    /// SUBSCRIBE. Returns the code of the SUBACK.
    pub fn subscribe(&mut self, filter: &str, qos: u8) -> u8 {
        let id = self.next_id();
        let body = [id.to_be_bytes().as_slice(), &text(filter), &[qos]].concat();
        self.send(&packet(0x82, &body));
        let (head, answer) = receive(&mut self.wire);
        assert_eq!(
            (head, &answer[..2]),
            (0x90, &id.to_be_bytes()[..]),
            "SUBACK"
        );
        answer[2]
    }

    /// UNSUBSCRIBE.
    pub fn unsubscribe(&mut self, filter: &str) {
        let id = self.next_id();
        let body = [id.to_be_bytes().as_slice(), &text(filter)].concat();
        self.send(&packet(0xa2, &body));
        assert_eq!(receive(&mut self.wire), (0xb0, id.to_be_bytes().to_vec()));
    }

    /// PUBLISH at QoS 1, and its PUBACK.
    pub fn publish(&mut self, topic: &str, body: &str) {
        self.send(&publish_to(topic, body.as_bytes()));
        assert_eq!(receive(&mut self.wire), (0x40, vec![0, 2]), "PUBACK");
    }

    /// PUBLISH at QoS 0.
    pub fn publish_unacknowledged(&mut self, topic: &str, body: &str) {
        let body = [text(topic).as_slice(), body.as_bytes()].concat();
        self.send(&packet(0x30, &body));
    }

    /// The next message of the hub.
    pub fn hear(&mut self) -> Published {
        let (head, body) = receive(&mut self.wire);
        assert_eq!(head & 0xf0, 0x30, "PUBLISH");
        let qos = (head >> 1) & 3;
        let (length, rest) = body.split_at(2);
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let (topic, mut rest) = rest.split_at(length);
        let mut packet_id = 0;
        if qos > 0 {
            packet_id = u16::from_be_bytes([rest[0], rest[1]]);
            rest = &rest[2..];
        }
        Published {
            qos,
            packet_id,
            topic: String::from_utf8(topic.to_vec()).expect("UTF-8"),
            // A fault may have corrupted it.
            body: String::from_utf8_lossy(rest).into_owned(),
        }
    }

    /// PUBACK.
    pub fn acknowledge(&mut self, packet_id: u16) {
        self.send(&packet(0x40, &packet_id.to_be_bytes()));
    }

    /// Asserts that the hub has said nothing: the answer to a ping is the next that comes.
    pub fn hears_nothing(&mut self) {
        self.send(&[0xc0, 0]);
        assert_eq!(receive(&mut self.wire), (0xd0, Vec::new()), "PINGRESP");
    }

    /// Asserts that the hub closes the connection.
    pub fn ends(mut self) {
        let mut rest = Vec::new();
        if let Err(error) = self.wire.read_to_end(&mut rest) {
            // A reset is an end as well; silence is none.
            assert!(
                !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                "the connection stays open"
            );
        }
        assert!(rest.is_empty(), "{rest:?}");
    }

    /// Sends a packet as it is.
    pub fn send(&mut self, packet: &[u8]) {
        send(&mut self.wire, packet);
    }

    fn next_id(&mut self) -> u16 {
        self.packets += 1;
        self.packets
    }
}
