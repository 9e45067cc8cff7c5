//! A connection with one session. What it sends is settled; its links have the handles of their devices.

use bytes::{Buf, BytesMut};
use fleetstorm_protocol::amqp::frame::{self, Frame, Part};
use fleetstorm_protocol::amqp::hub_node::HubNode;
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::sasl::{PLAIN, SaslFrame};
use fleetstorm_protocol::amqp::types::definitions::{Handle, Role};
use fleetstorm_protocol::amqp::types::messaging::{
    Accepted, DeliveryState, Rejected, TargetArchetype,
};
use fleetstorm_protocol::amqp::types::performatives::{
    Attach, Close, Disposition, Flow, Performative,
};
use fleetstorm_protocol::amqp::types::sasl::{SaslCode, SaslMechanisms, SaslOutcome};
use fleetstorm_protocol::amqp::{AMQP_HEADER, Array, SASL_HEADER, Symbol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::link::carrier::duplex::Duplex;

const MAX_FRAME: usize = 65_536;
const CHANNEL: u16 = 0;
/// More than any device sends.
const CREDIT: u32 = 100_000;
/// Milliseconds without a sign of life that it says it bears: as much as over MQTT.
const IDLE: u32 = 180_000;

/// A connection with one session.
pub(super) struct Session<Carrier> {
    carrier: Carrier,
    input: BytesMut,
    output: BytesMut,
    links: Vec<Link>,
    deliveries: u32,
}

struct Link {
    handle: u32,
    address: String,
    /// It leads to the device.
    is_to_device: bool,
}

/// A message of a device.
pub(super) struct Delivery {
    /// Where it was sent to.
    pub(super) address: String,
    pub(super) message: Message,
    /// Its id, if the device waits for its outcome.
    unsettled: Option<u32>,
}

/// What a device does.
pub(super) enum Received {
    Message(Box<Delivery>),
    /// A sign of life.
    Life,
    Close,
}

impl<Carrier: Duplex> Session<Carrier> {
    /// One that has not begun.
    pub(super) fn new(carrier: Carrier) -> Self {
        Self {
            carrier,
            input: BytesMut::new(),
            output: BytesMut::new(),
            links: Vec::new(),
            deliveries: 0,
        }
    }

    /// Headers, and whatever proof there is between them.
    pub(super) async fn log_in(&mut self) -> Option<()> {
        if self.header().await? == SASL_HEADER {
            self.output.extend_from_slice(&SASL_HEADER);
            let mechanisms = SaslFrame::Mechanisms(SaslMechanisms {
                sasl_server_mechanisms: Array(vec![Symbol::from(PLAIN)]),
            });
            mechanisms.write(&mut self.output);
            while SaslFrame::read(&mut self.input).ok()?.is_none() {
                self.read_more().await?;
            }
            let outcome = SaslFrame::Outcome(SaslOutcome {
                code: SaslCode::Ok,
                additional_data: None,
            });
            outcome.write(&mut self.output);
            self.header().await?;
        }
        self.output.extend_from_slice(&AMQP_HEADER);
        Some(())
    }

    /// Sends what was written, and reads until the device does something; `None` when it is gone. Who
    /// `is_deaf` grants nothing. May be given up and asked again.
    pub(super) async fn next(&mut self, is_deaf: bool) -> Option<Received> {
        loop {
            self.flush().await?;
            let Some(frame) = Frame::read(&mut self.input, MAX_FRAME).ok()? else {
                self.read_more().await?;
                continue;
            };
            let Some(performative) = frame.performative else {
                return Some(Received::Life);
            };
            match performative {
                Performative::Transfer(transfer) => {
                    let handle = transfer.handle.0;
                    let link = self.links.iter().find(|link| link.handle == handle)?;
                    let is_settled = transfer.settled.unwrap_or(false);
                    return Some(Received::Message(Box::new(Delivery {
                        address: link.address.clone(),
                        message: Message::read(frame.payload).ok()?,
                        unsettled: transfer.delivery_id.filter(|_| !is_settled),
                    })));
                }
                Performative::Close(_) => {
                    self.write(&Performative::Close(Close { error: None }));
                    self.flush().await?;
                    return Some(Received::Close);
                }
                other if !is_deaf => self.grant(other),
                _ => {}
            }
        }
    }

    fn grant(&mut self, asked: Performative) {
        match asked {
            Performative::Open(mut open) => {
                open.idle_time_out = Some(IDLE);
                self.write(&Performative::Open(open));
            }
            Performative::Begin(mut begin) => {
                begin.remote_channel = Some(CHANNEL);
                self.write(&Performative::Begin(begin));
            }
            Performative::Attach(attach) => self.attach(attach),
            _ => {}
        }
    }

    fn attach(&mut self, mut attach: Attach) {
        let is_to_device = attach.role == Role::Receiver;
        let handle = attach.handle.0;
        let address = address_of(&attach).expect("a node");
        self.links.push(Link {
            handle,
            address,
            is_to_device,
        });
        attach.role = if is_to_device {
            Role::Sender
        } else {
            Role::Receiver
        };
        attach.initial_delivery_count = is_to_device.then_some(0);
        self.write(&Performative::Attach(attach));
        if !is_to_device {
            self.write(&Performative::Flow(Flow {
                next_incoming_id: Some(0),
                incoming_window: CREDIT,
                next_outgoing_id: self.deliveries,
                outgoing_window: CREDIT,
                handle: Some(Handle(handle)),
                delivery_count: Some(0),
                link_credit: Some(CREDIT),
                available: None,
                drain: false,
                echo: false,
                properties: None,
            }));
        }
    }

    /// A message was taken, or rejected.
    pub(super) fn settle(&mut self, delivery: &Delivery, rejected: Option<Rejected>) {
        let Some(first) = delivery.unsettled else {
            return;
        };
        self.write(&Performative::Disposition(Disposition {
            role: Role::Receiver,
            first,
            last: None,
            settled: true,
            state: Some(match rejected {
                Some(rejected) => DeliveryState::Rejected(rejected),
                None => DeliveryState::Accepted(Accepted {}),
            }),
            batchable: false,
        }));
    }

    /// Where a device listens, of the nodes that are meant.
    pub(super) fn address(&self, is_meant: impl Fn(&HubNode) -> bool) -> String {
        let mut addresses = self.links.iter().map(|link| &link.address);
        let found = addresses.find(|text| HubNode::parse(text).is_ok_and(|node| is_meant(&node)));
        found.expect("a device that listens").clone()
    }

    /// Writes a message to the device; sent with what follows.
    pub(super) fn send(&mut self, address: &str, message: &Message) {
        let mut links = self.links.iter();
        let link = links.find(|link| link.is_to_device && link.address == address);
        let part = Part {
            handle: link.expect("a link to the device").handle,
            delivery: self.deliveries,
            is_first: true,
            settled: true,
            more: false,
        };
        self.deliveries += 1;
        frame::write_part(&mut self.output, CHANNEL, part, &message.to_bytes());
    }

    /// Sends what was written.
    pub(super) async fn flush(&mut self) -> Option<()> {
        if !self.output.is_empty() {
            self.carrier.write_all_buf(&mut self.output).await.ok()?;
        }
        self.carrier.flush().await.ok()
    }

    fn write(&mut self, performative: &Performative) {
        frame::write(&mut self.output, CHANNEL, performative, b"");
    }

    async fn header(&mut self) -> Option<[u8; 8]> {
        loop {
            if let Some(header) = self.input.first_chunk().copied() {
                self.input.advance(8);
                return Some(header);
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> Option<()> {
        self.flush().await?;
        let read = self.carrier.read_buf(&mut self.input).await.ok()?;
        (read > 0).then_some(())
    }
}

fn address_of(attach: &Attach) -> Option<String> {
    if attach.role == Role::Receiver {
        return attach.source.as_ref()?.address.clone();
    }
    let TargetArchetype::Target(target) = attach.target.as_deref()?;
    target.address.clone()
}
