//! AMQP 1.0: a dialogue by hand over the library's frames. [`dps`] speaks it to DPS and
//! [`super::hub`] to hubs.
//!
//! What needs no answer to be right is sent at once, as the C and Java SDKs do: header, open, begin
//! and all attaches are one write.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use fleetstorm_protocol::amqp::dps::refusal_of;
use fleetstorm_protocol::amqp::frame::{self, Frame, MIN_MAX_FRAME_SIZE};
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::types::definitions::{
    Error, Fields, Handle, ReceiverSettleMode, Role, SenderSettleMode,
};
use fleetstorm_protocol::amqp::types::messaging::{
    Accepted, DeliveryState, Rejected, Source, Target, TargetArchetype,
};
use fleetstorm_protocol::amqp::types::performatives::{
    Attach, Begin, ChannelMax, Close, Disposition, Flow, MaxFrameSize, Open, Performative, Transfer,
};
use fleetstorm_protocol::amqp::{
    AMQP_HEADER, API_VERSION_PROPERTY, CLIENT_VERSION_PROPERTY, Symbol, Value,
};
use fleetstorm_reports::{Breach, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::end::{CREDIT, End};
use super::carrier::Carrier;
use super::client::{CLIENT_VERSION, MAX_ANSWER};
use super::dial::fault_of;
use super::error::LinkError;

pub mod dps;

mod end;
mod receiving;
mod sasl;

/// First size of the buffers: an answer fits.
const BUFFER: usize = 2048;
/// Longest frame that is taken; also announced. As the C and C# SDKs.
const MAX_FRAME: usize = 64 * 1024;
/// Transfers that the peer may send before it hears of us again.
const WINDOW: u32 = 2048;
/// What a transfer takes in a frame, besides its payload.
const OVERHEAD: usize = 64;
/// The one channel.
const CHANNEL: u16 = 0;

/// A connection with one session, and links whose handles are their places in `ends`, to us.
pub struct AmqpLink {
    carrier: Carrier,
    input: BytesMut,
    output: BytesMut,
    opened: bool,
    peer_frame: usize,
    /// Transfers that the peer takes.
    window: u32,
    sent: u32,
    deliveries: u32,
    /// The peer's next transfer, once it has said where it begins.
    next_incoming: Option<u32>,
    ends: Vec<End>,
    /// How long the peer lasts without a sign of life, if it has said so.
    idle_timeout: Option<Duration>,
    /// Messages that came while something else was waited for; none are kept by a dialogue that
    /// does not listen.
    waiting: Option<VecDeque<Box<Message>>>,
}

/// A link to attach.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// The node.
    pub address: &'a str,
    /// Which way its messages go.
    pub sends: bool,
    /// Whether its messages need no outcome.
    pub settled: bool,
    /// Of the api.
    pub api_version: &'a str,
    /// Other properties.
    pub properties: &'a [(&'a str, &'a str)],
}

/// What came of a message.
#[derive(Debug)]
pub enum Received {
    /// It was answered.
    Answer(Box<Message>),
    /// It was rejected.
    Rejection(Rejected),
}

/// What a frame was about.
enum FrameEvent {
    Message(Box<Message>),
    Outcome(RangeInclusive<u32>, Option<Rejected>),
    Other,
}

impl AmqpLink {
    /// A dialogue that has not begun.
    pub fn new(carrier: Carrier) -> Self {
        Self {
            carrier,
            input: BytesMut::with_capacity(BUFFER),
            output: BytesMut::with_capacity(BUFFER),
            opened: false,
            peer_frame: MIN_MAX_FRAME_SIZE,
            window: 0,
            sent: 0,
            deliveries: 0,
            next_incoming: None,
            ends: Vec::with_capacity(4),
            idle_timeout: None,
            waiting: None,
        }
    }

    /// Writes the header, open and begin; sent with what follows.
    pub fn begin(&mut self, host: &str, container: &str) {
        self.output.extend_from_slice(&AMQP_HEADER);
        self.write(Performative::Open(Open {
            container_id: container.to_owned(),
            hostname: Some(host.to_owned()),
            max_frame_size: MaxFrameSize(MAX_FRAME as u32),
            channel_max: ChannelMax(CHANNEL),
            idle_time_out: None,
            outgoing_locales: None,
            incoming_locales: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        }));
        self.write(Performative::Begin(Begin {
            remote_channel: None,
            next_outgoing_id: 0,
            incoming_window: WINDOW,
            outgoing_window: WINDOW,
            handle_max: Handle(7),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        }));
    }

    /// Writes an attach, and credit for a link that receives; sent with what follows. Returns its handle.
    pub fn attach(&mut self, wanted: &Wanted<'_>) -> u32 {
        let handle = self.ends.len() as u32;
        let there = wanted.address.to_owned();
        let (source, target) = if wanted.sends {
            (None, Some(there))
        } else {
            (Some(there), None)
        };
        let mut properties = Fields::new();
        for (key, value) in [
            (API_VERSION_PROPERTY, wanted.api_version),
            (CLIENT_VERSION_PROPERTY, CLIENT_VERSION),
        ]
        .iter()
        .chain(wanted.properties)
        {
            properties.insert(Symbol::from(*key), Value::String((*value).to_owned()));
        }
        self.write(Performative::Attach(Attach {
            name: wanted.name.to_owned(),
            handle: Handle(handle),
            role: if wanted.sends {
                Role::Sender
            } else {
                Role::Receiver
            },
            snd_settle_mode: if wanted.settled {
                SenderSettleMode::Settled
            } else {
                SenderSettleMode::Mixed
            },
            rcv_settle_mode: ReceiverSettleMode::First,
            source: Some(Box::new(Source {
                address: source,
                ..Source::default()
            })),
            target: Some(Box::new(TargetArchetype::Target(Target {
                address: target,
                ..Target::default()
            }))),
            unsettled: None,
            incomplete_unsettled: false,
            initial_delivery_count: wanted.sends.then_some(0),
            max_message_size: Some(MAX_ANSWER as u64),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: Some(properties),
        }));
        self.ends.push(End::new(wanted.name, wanted.sends));
        if !wanted.sends {
            self.give_credit(handle);
        }
        handle
    }

    /// Sends what was written, and waits until everything is granted that was asked for.
    ///
    /// # Errors
    /// The connection broke, or the peer refused.
    pub async fn settle_in(&mut self) -> Result<(), LinkError> {
        if !self.opened {
            self.expect_header(AMQP_HEADER).await?;
        }
        while !self.opened || self.ends.iter().any(|end| !end.is_ready()) {
            self.wait_for_more().await?;
        }
        Ok(())
    }

    /// Sends a message by one link and waits for its rejection, or for the message on any other
    /// that `is_answer` knows.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn exchange(
        &mut self,
        handle: u32,
        message: &Message,
        settled: bool,
        is_answer: impl Fn(&Message) -> bool,
    ) -> Result<Received, LinkError> {
        let delivery = self.send(handle, message.to_bytes(), settled).await?;
        loop {
            match self.receive_frame().await? {
                FrameEvent::Message(message) if is_answer(&message) => {
                    return Ok(Received::Answer(message));
                }
                FrameEvent::Outcome(ids, Some(rejected)) if ids.contains(&delivery) => {
                    return Ok(Received::Rejection(rejected));
                }
                FrameEvent::Message(message) => self.keep(message),
                FrameEvent::Outcome(..) | FrameEvent::Other => {}
            }
        }
    }

    /// Sends a message by one link and waits until the peer has taken it. Returns why it did not.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn deliver(
        &mut self,
        handle: u32,
        message: &Message,
    ) -> Result<Option<Rejected>, LinkError> {
        let delivery = self.send(handle, message.to_bytes(), false).await?;
        loop {
            match self.receive_frame().await? {
                FrameEvent::Outcome(ids, rejected) if ids.contains(&delivery) => {
                    return Ok(rejected);
                }
                FrameEvent::Message(message) => self.keep(message),
                FrameEvent::Outcome(..) | FrameEvent::Other => {}
            }
        }
    }

    /// Closes the connection, and waits for the peer to close it as well (part 2, 2.4.3). The caller
    /// decides how long.
    pub async fn close(mut self) {
        self.write(Performative::Close(Close { error: None }));
        let mut is_open = self.flush().await.is_ok();
        // Nothing more may be said, and nothing needs to be that still comes.
        while is_open {
            is_open = match Frame::read(&mut self.input, MAX_FRAME) {
                Ok(Some(frame)) => !matches!(frame.performative, Some(Performative::Close(_))),
                Ok(None) => self.read_more().await.is_ok(),
                Err(_) => false,
            };
        }
        self.carrier.close().await;
    }

    /// Writes a message, in as many frames as it needs. Returns its delivery id.
    async fn send(
        &mut self,
        handle: u32,
        mut payload: Bytes,
        settled: bool,
    ) -> Result<u32, LinkError> {
        while !self.end(handle)?.may_send() {
            self.wait_for_more().await?;
        }
        self.end(handle)?.spend();
        let delivery = self.deliveries;
        self.deliveries = delivery.wrapping_add(1);
        let mut first = true;
        loop {
            while self.window == 0 {
                self.wait_for_more().await?;
            }
            let room = self.peer_frame - OVERHEAD;
            let part = payload.split_to(room.min(payload.len()));
            let named = frame::Part {
                handle,
                delivery,
                is_first: first,
                settled,
                more: !payload.is_empty(),
            };
            frame::write_part(&mut self.output, CHANNEL, named, &part);
            self.sent = self.sent.wrapping_add(1);
            self.window -= 1;
            first = false;
            if payload.is_empty() {
                return Ok(delivery);
            }
        }
    }

    /// Sends what was written, and reads one frame. Giving up the wait loses nothing.
    async fn receive_frame(&mut self) -> Result<FrameEvent, LinkError> {
        let frame = loop {
            match Frame::read(&mut self.input, MAX_FRAME) {
                Ok(Some(frame)) => break frame,
                Ok(None) => self.read_more().await?,
                Err(_) => return Err(Fault::Protocol(Breach::Unreadable).into()),
            }
        };
        let Some(performative) = frame.performative else {
            return Ok(FrameEvent::Other);
        };
        match performative {
            Performative::Open(open) => {
                self.opened = true;
                let idle = open.idle_time_out.filter(|idle| *idle > 0);
                self.idle_timeout = idle.map(|idle| Duration::from_millis(idle.into()));
                let limit = usize::try_from(open.max_frame_size.0).unwrap_or(MAX_FRAME);
                self.peer_frame = limit.clamp(MIN_MAX_FRAME_SIZE, MAX_FRAME);
            }
            Performative::Begin(begin) => {
                self.window = begin.incoming_window;
                self.next_incoming = Some(begin.next_outgoing_id);
            }
            Performative::Attach(attach) => {
                let mut ends = self.ends.iter_mut();
                let end = ends.find(|end| end.is_named(&attach.name));
                end.ok_or(Fault::Protocol(Breach::Unexpected))?
                    .attached(&attach);
            }
            Performative::Flow(flow) => self.flowed(&flow)?,
            Performative::Transfer(transfer) => return self.transferred(&transfer, &frame.payload),
            Performative::Disposition(disposition) => return Ok(outcome_of(disposition)),
            Performative::Detach(detach) => return Err(ended(detach.error.as_ref())),
            Performative::End(end) => return Err(ended(end.error.as_ref())),
            Performative::Close(close) => return Err(ended(close.error.as_ref())),
        }
        Ok(FrameEvent::Other)
    }

    fn flowed(&mut self, flow: &Flow) -> Result<(), LinkError> {
        let on_its_way = self.sent.wrapping_sub(flow.next_incoming_id.unwrap_or(0));
        self.window = flow.incoming_window.saturating_sub(on_its_way);
        if let Some(handle) = &flow.handle {
            let place = self.place(handle)?;
            self.ends[place].flowed(flow);
        }
        Ok(())
    }

    fn transferred(&mut self, transfer: &Transfer, part: &[u8]) -> Result<FrameEvent, LinkError> {
        self.next_incoming = self.next_incoming.map(|next| next.wrapping_add(1));
        let place = self.place(&transfer.handle)?;
        let end = &mut self.ends[place];
        let Some(taken) = end.take(transfer, part)? else {
            return Ok(FrameEvent::Other);
        };
        let is_short = end.is_short();
        if let Some(id) = taken.unsettled {
            self.write(Performative::Disposition(Disposition {
                role: Role::Receiver,
                first: id,
                last: None,
                settled: true,
                state: Some(DeliveryState::Accepted(Accepted {})),
                batchable: false,
            }));
        }
        if is_short {
            self.give_credit(place as u32);
        }
        let message =
            Message::read(taken.bytes).map_err(|_| Fault::Protocol(Breach::Unreadable))?;
        Ok(FrameEvent::Message(Box::new(message)))
    }

    fn give_credit(&mut self, handle: u32) {
        let Ok(end) = self.end(handle) else {
            return;
        };
        let delivery_count = end.give_credit();
        let flow = Flow {
            next_incoming_id: self.next_incoming,
            incoming_window: WINDOW,
            next_outgoing_id: self.sent,
            outgoing_window: WINDOW,
            handle: Some(Handle(handle)),
            delivery_count,
            link_credit: Some(CREDIT),
            available: None,
            drain: false,
            echo: false,
            properties: None,
        };
        self.write(Performative::Flow(flow));
    }

    fn end(&mut self, handle: u32) -> Result<&mut End, LinkError> {
        let place = usize::try_from(handle).unwrap_or(usize::MAX);
        self.ends
            .get_mut(place)
            .ok_or(Fault::Protocol(Breach::Unexpected).into())
    }

    /// The link that the peer means by a handle of its own.
    fn place(&self, handle: &Handle) -> Result<usize, LinkError> {
        let mut ends = self.ends.iter();
        let place = ends.position(|end| end.is_remotely(handle.0));
        place.ok_or(Fault::Protocol(Breach::Unexpected).into())
    }

    fn write(&mut self, performative: Performative) {
        frame::write(&mut self.output, CHANNEL, &performative, b"");
    }

    /// Sends what was written, and reads the peer's header.
    async fn expect_header(&mut self, header: [u8; 8]) -> Result<(), LinkError> {
        while self.input.len() < header.len() {
            self.read_more().await?;
        }
        if !self.input.starts_with(&header) {
            return Err(Fault::Protocol(Breach::Unexpected).into());
        }
        self.input.advance(header.len());
        Ok(())
    }

    async fn read_more(&mut self) -> Result<(), LinkError> {
        self.flush().await?;
        match self.carrier.read_buf(&mut self.input).await {
            Ok(0) => Err(Fault::ConnectionLost.into()),
            Ok(_) => Ok(()),
            Err(error) => Err(fault_of(&error).into()),
        }
    }

    async fn flush(&mut self) -> Result<(), LinkError> {
        if self.output.is_empty() {
            return Ok(());
        }
        let sending = async {
            self.carrier.write_all_buf(&mut self.output).await?;
            self.carrier.flush().await
        };
        sending.await.map_err(|error| fault_of(&error).into())
    }
}

fn outcome_of(disposition: Disposition) -> FrameEvent {
    if disposition.role == Role::Sender {
        return FrameEvent::Other;
    }
    let last = disposition.last.unwrap_or(disposition.first);
    let rejected = match disposition.state {
        Some(DeliveryState::Rejected(rejected)) => Some(rejected),
        _ => None,
    };
    FrameEvent::Outcome(disposition.first..=last, rejected)
}

/// The peer ended what it was not asked to end: for a reason, or just so.
fn ended(error: Option<&Error>) -> LinkError {
    match error {
        Some(error) => {
            let rejected = Rejected {
                error: Some(error.clone()),
            };
            let (status, _, _) = refusal_of(&rejected);
            LinkError::Refused { status }
        }
        None => Fault::ConnectionLost.into(),
    }
}

#[cfg(test)]
mod tests;
