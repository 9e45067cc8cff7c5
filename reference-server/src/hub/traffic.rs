//! What is under way with a device.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::HubRefusal;
use super::authentication::HubCredential;
use super::calls::Calls;
use super::inbox::{Downstream, Inbox, SessionEnd};
use super::message_queue::MessageQueue;

/// Most callers that may wait for one device to connect.
const MAX_AWAITING: usize = 16;

/// What a device may listen to: with MQTT by subscribing, with AMQP by attaching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Changes of desired properties.
    Desired,
    /// Direct methods.
    Methods,
    /// Cloud-to-device messages.
    Messages,
}

/// Everything that is under way with one device.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) messages: MessageQueue,
    pub(super) calls: Calls,
    session: Option<Attached>,
    awaiting: Vec<oneshot::Sender<()>>,
}

/// The session that is open.
#[derive(Debug)]
struct Attached {
    number: u64,
    credential: HubCredential,
    inbox: Arc<Inbox>,
    desired: bool,
    methods: bool,
    messages: bool,
}

impl Attached {
    fn interest(&mut self, interest: Interest) -> &mut bool {
        match interest {
            Interest::Desired => &mut self.desired,
            Interest::Methods => &mut self.methods,
            Interest::Messages => &mut self.messages,
        }
    }
}

impl Traffic {
    /// Whether there is nothing to remember.
    pub(super) fn is_over(&self) -> bool {
        self.session.is_none()
            && self.messages.len() == 0
            && self.calls.is_empty()
            && self.awaiting.iter().all(oneshot::Sender::is_closed)
    }

    /// Whether a session is open.
    pub(super) fn is_connected(&self) -> bool {
        self.session.is_some()
    }

    /// Whether this is the session that is open.
    pub(super) fn is_at(&self, number: u64) -> bool {
        let mut session = self.session.iter();
        session.any(|session| session.number == number)
    }

    /// What the session was opened by.
    pub(super) fn credential(&self) -> Option<&HubCredential> {
        self.session.as_ref().map(|session| &session.credential)
    }

    /// Tells the session, whatever it listens to.
    pub(super) fn tell(&mut self, event: Downstream) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.inbox.put(event))
    }

    /// Tells the session if it listens. Returns whether it does.
    pub(super) fn tell_if(&mut self, interest: Interest, event: Downstream) -> bool {
        let listens = self
            .session
            .as_mut()
            .is_some_and(|session| *session.interest(interest));
        listens && self.tell(event)
    }

    /// Resolves when the device listens to calls.
    ///
    /// # Errors
    /// Too many wait for it.
    pub(super) fn arrival(&mut self) -> Result<oneshot::Receiver<()>, HubRefusal> {
        self.awaiting.retain(|caller| !caller.is_closed());
        if self.awaiting.len() >= MAX_AWAITING {
            return Err(HubRefusal::Throttled);
        }
        let (arrived, arrival) = oneshot::channel();
        // It may have begun to since it was called in vain.
        if self.session.as_ref().is_some_and(|session| session.methods) {
            let _ = arrived.send(());
        } else {
            self.awaiting.push(arrived);
        }
        Ok(arrival)
    }

    /// A newer session takes the place of the one that is open.
    pub(super) fn attach(&mut self, number: u64, credential: HubCredential, inbox: Arc<Inbox>) {
        self.tell(Downstream::Ended(SessionEnd::Superseded));
        if let Some(before) = self.session.take() {
            self.end_of(before.number);
        }
        self.session = Some(Attached {
            number,
            credential,
            inbox,
            desired: false,
            methods: false,
            messages: false,
        });
    }

    /// A session is over. One that was superseded before leaves the newer one alone.
    pub(super) fn detach(&mut self, number: u64) {
        if self
            .session
            .take_if(|session| session.number == number)
            .is_some()
        {
            self.end_of(number);
        }
    }

    /// The session has proven itself anew.
    pub(super) fn renew(&mut self, number: u64, credential: HubCredential) {
        let session = self.session.as_mut();
        if let Some(session) = session.filter(|session| session.number == number) {
            session.credential = credential;
        }
    }

    /// The session begins or ceases to listen. What waits is told at once.
    pub(super) fn listen(
        &mut self,
        number: u64,
        interest: Interest,
        listens: bool,
        now: Timestamp,
    ) {
        let session = self.session.as_mut();
        let Some(session) = session.filter(|session| session.number == number) else {
            return;
        };
        *session.interest(interest) = listens;
        match interest {
            Interest::Messages if listens && self.messages.has_ready(now) => {
                self.tell(Downstream::MessagesWait);
            }
            Interest::Methods if listens => {
                for caller in self.awaiting.drain(..) {
                    // A caller that has left is not called.
                    let _ = caller.send(());
                }
            }
            _ => {}
        }
    }

    fn end_of(&mut self, number: u64) {
        self.messages.release(number);
        self.calls.clear();
    }
}
