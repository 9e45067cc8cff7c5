//! The AMQP port: security layer, open, then DPS or a hub, told apart by SNI and by the host name
//! in the open.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_protocol::amqp::frame;
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::types::definitions::{AmqpError, Error};
use fleetstorm_protocol::amqp::types::messaging::Rejected;
use fleetstorm_protocol::amqp::types::performatives::{Open, Performative};
use tokio::time::Instant;

use self::connection::{Connection, IDLE_TIMEOUT, MAX_FRAME};
use self::wire::{Gone, Wire};
use super::client::Client;
use super::host::Host;
use super::stream::Stream;
use super::{dps_amqp, hub_amqp};
use crate::limits::Limits;

pub(super) use self::connection::Allowance;
pub(super) use self::event::{Asked, Event, LinkId};
pub(super) use self::link::Delivery;
pub(super) use self::login::Login;

mod connection;
mod deliveries;
mod event;
mod link;
mod login;
mod session;
mod wire;

/// Twice what a peer is told of the silence that it may keep (part 2, 2.4.5).
const IDLE_LIMIT: Duration = Duration::from_millis(IDLE_TIMEOUT as u64 * 2);
/// Shortest idle time-out of a peer that is taken.
const SHORTEST_IDLE: Duration = Duration::from_secs(1);

/// Serves one connection to its end.
pub(crate) async fn serve(
    stream: impl Stream,
    client: Rc<Client>,
    host: Arc<Host>,
    stop: impl Future<Output = ()>,
) {
    let conversation = async {
        let mut wire = Wire::new(stream);
        let opened = open(&mut wire, &client, &host).await;
        match opened {
            Ok(Some((login, open))) => talk(wire, login, &open, &client, &host).await,
            Ok(None) => wire.close().await,
            Err(Gone::Lost | Gone::Silent) => {}
        }
    };
    tokio::select! {
        () = conversation => {}
        () = stop => {}
    }
}

/// Up to the peer's open. `None`: it is over.
async fn open(
    wire: &mut Wire<impl Stream>,
    client: &Client,
    host: &Host,
) -> Result<Option<(Login, Open)>, Gone> {
    let Some(login) = login::log_in(wire, client, host).await? else {
        return Ok(None);
    };
    let deadline = Instant::now() + host.limits.first_request;
    loop {
        match wire.waiting_frame(MAX_FRAME) {
            Ok(Some(frame)) => match frame.performative {
                Some(Performative::Open(open)) => return Ok(Some((login, open))),
                None => {}
                // Nothing was opened, so that nothing can be closed either.
                Some(_) => return Ok(None),
            },
            Ok(None) => wire.exchange(deadline).await?,
            Err(_) => return Ok(None),
        }
    }
}

async fn talk(
    mut wire: Wire<impl Stream>,
    login: Login,
    open: &Open,
    client: &Client,
    host: &Host,
) {
    let idle = open
        .idle_time_out
        .map(|millis| Duration::from_millis(millis.into()))
        .filter(|idle| !idle.is_zero());
    let hub = hub_of(open, client, host);
    let (name, allowance) = match hub {
        Some(hub) => (hub, hub_amqp::ALLOWANCE),
        None => (host.global_endpoint.as_str(), dps_amqp::ALLOWANCE),
    };
    let mut connection = Connection::new(allowance, name, open, &mut wire.output);
    if idle.is_some_and(|idle| idle < SHORTEST_IDLE) {
        let problem = "idle-time-out: is too short".to_owned();
        let error = Error::new(AmqpError::NotAllowed, problem, None);
        connection.close(Some(error), &mut wire.output);
    }
    let mut conversation = Conversation {
        wire,
        connection,
        patience: Patience::new(&host.limits),
        heartbeat: idle.map(|idle| Heartbeat {
            every: idle / 2,
            next: Instant::now() + idle / 2,
        }),
    };
    match hub {
        Some(hub) => {
            let served = hub_amqp::serve(&mut conversation, login, hub, client, host);
            host.while_up(hub, client, served).await;
        }
        None => dps_amqp::serve(&mut conversation, &login, client, host).await,
    }
    conversation.wire.close().await;
}

/// The hub that a client asked for, by SNI, or by the host name of its open.
fn hub_of<'a>(open: &Open, client: &Client, host: &'a Host) -> Option<&'a str> {
    host.hub_of(client).or_else(|| {
        let asked = open.hostname.as_deref()?;
        let name = asked.split_once(':').map_or(asked, |(name, _port)| name);
        host.hub_named(name)
    })
}

/// An open connection over its stream.
pub(super) struct Conversation<Carrier> {
    wire: Wire<Carrier>,
    connection: Connection,
    patience: Patience,
    heartbeat: Option<Heartbeat>,
}

/// How long the peer is waited for.
struct Patience {
    silence: Duration,
    frame: Duration,
    /// Until when a whole frame must have come.
    until: Instant,
    /// The same for the rest of one that has begun.
    rest_until: Option<Instant>,
}

impl Patience {
    fn new(limits: &Limits) -> Self {
        let silence = limits.silence.min(IDLE_LIMIT);
        Self {
            silence,
            frame: limits.packet,
            until: Instant::now() + silence,
            rest_until: None,
        }
    }

    /// A whole frame has come.
    fn renew(&mut self) {
        self.until = Instant::now() + self.silence;
        self.rest_until = None;
    }

    /// Until when to wait, for a frame or the rest of one.
    fn deadline(&mut self, has_begun: bool) -> Instant {
        if has_begun {
            let rest_until = self.rest_until.get_or_insert(Instant::now() + self.frame);
            self.until.min(*rest_until)
        } else {
            self.until
        }
    }
}

/// Frames that say nothing, so that the peer knows we live.
struct Heartbeat {
    every: Duration,
    next: Instant,
}

impl<Carrier: Stream> Conversation<Carrier> {
    /// The next thing that the peer does; `None` when there is nothing more. May be given up and asked again.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.connection.take_event() {
                return Some(event);
            }
            if self.connection.is_closed() {
                return None;
            }
            match self.wire.waiting_frame(MAX_FRAME) {
                Ok(Some(frame)) => {
                    self.patience.renew();
                    self.connection.receive(frame, &mut self.wire.output);
                }
                Ok(None) => match self.exchange().await {
                    Ok(()) => {}
                    Err(Gone::Lost) => return None,
                    Err(Gone::Silent) => self.too_slow(),
                },
                Err(error) => self.connection.broken(&error, &mut self.wire.output),
            }
        }
    }

    async fn exchange(&mut self) -> Result<(), Gone> {
        let deadline = self.patience.deadline(self.wire.has_begun());
        match &mut self.heartbeat {
            Some(heartbeat) if heartbeat.next < deadline => tokio::select! {
                exchanged = self.wire.exchange(deadline) => exchanged,
                () = tokio::time::sleep_until(heartbeat.next) => {
                    frame::write_heartbeat(&mut self.wire.output);
                    heartbeat.next = Instant::now() + heartbeat.every;
                    Ok(())
                }
            },
            _ => self.wire.exchange(deadline).await,
        }
    }

    /// Part 2, 2.4.5: who waits no longer says why.
    fn too_slow(&mut self) {
        let problem = if self.wire.has_begun() {
            "a frame began, and its end did not come"
        } else {
            "no frame came within the idle time-out"
        };
        let error = Error::new(AmqpError::ResourceLimitExceeded, problem.to_owned(), None);
        self.connection.close(Some(error), &mut self.wire.output);
    }

    /// Grants a link.
    pub(super) fn accept(&mut self, asked: Asked) {
        self.connection.accept(asked, &mut self.wire.output);
    }

    /// Refuses a link.
    pub(super) fn refuse(&mut self, asked: Asked, error: Error) {
        self.connection.refuse(asked, error, &mut self.wire.output);
    }

    /// Says what becomes of a message: accepted, or rejected for a reason.
    pub(super) fn settle(&mut self, id: LinkId, delivery: Delivery, rejected: Option<Rejected>) {
        let out = &mut self.wire.output;
        self.connection.settle(id, delivery, rejected, out);
    }

    /// Messages that a link to the peer takes now: [`Event::Credit`] tells when it takes more.
    pub(super) fn room(&mut self, id: LinkId) -> usize {
        self.connection.room(id)
    }

    /// Ends a link.
    pub(super) fn detach(&mut self, id: LinkId, error: Error) {
        self.connection.detach(id, error, &mut self.wire.output);
    }

    /// Sends a message; with a `name`, [`Event::Settled`] tells what became of it. A peer that lets too many wait is told, and loses its connection.
    pub(super) fn send(&mut self, id: LinkId, message: &Message, name: Option<u64>) {
        let out = &mut self.wire.output;
        if !self.connection.send(id, message, name, out) {
            let problem = "too many messages wait for credit".to_owned();
            let error = Error::new(AmqpError::ResourceLimitExceeded, problem, None);
            self.connection.close(Some(error), out);
        }
    }
}
