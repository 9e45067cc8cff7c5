//! A device that stays connected, and what is under way with it.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Notify, oneshot};

use super::HubRefusal;
use super::calls::{Calls, MethodAnswer};
use super::device::AdmittedDevice;
use super::identity::Proof;
use super::inbox::{Downstream, Inbox, SessionEnd};
use super::message_queue::{Delivery, MessageQueue};
use super::subscriptions::Subscriptions;

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
    proof: Proof,
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
    fn is_at(&self, number: u64) -> bool {
        let mut session = self.session.iter();
        session.any(|session| session.number == number)
    }

    /// What the session was opened by.
    pub(super) fn proof(&self) -> Option<&Proof> {
        self.session.as_ref().map(|session| &session.proof)
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
    pub(super) fn attach(&mut self, number: u64, proof: Proof, inbox: Arc<Inbox>) {
        self.tell(Downstream::Ended(SessionEnd::Superseded));
        if let Some(before) = self.session.take() {
            self.end_of(before.number);
        }
        self.session = Some(Attached {
            number,
            proof,
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

    fn listen(&mut self, number: u64, interest: Interest, listens: bool, now: Timestamp) {
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

/// A device's open session; at most one a device. Ends when dropped.
#[derive(Debug)]
pub struct DeviceSession {
    device: AdmittedDevice,
    number: u64,
    inbox: Arc<Inbox>,
}

impl DeviceSession {
    /// Opens one, and ends the one that was open. `wake` is notified when there is something to
    /// [`take`](Self::take); one may serve many sessions of one connection.
    ///
    /// # Errors
    /// The device was removed, disabled or replaced since it was let in.
    pub fn open(
        device: AdmittedDevice,
        wake: Arc<Notify>,
        now: Timestamp,
    ) -> Result<Self, HubRefusal> {
        let number = device.hubs().next_number();
        let inbox = Arc::new(Inbox::new(wake));
        device.with(|known| {
            known.seen(now);
            let (proof, inbox) = (device.proof().clone(), Arc::clone(&inbox));
            known.traffic_or_new().attach(number, proof, inbox);
        })?;
        Ok(Self {
            device,
            number,
            inbox,
        })
    }

    /// The device, to ask on its behalf.
    pub fn device(&self) -> &AdmittedDevice {
        &self.device
    }

    /// The device has proven itself anew, for longer.
    pub fn renew(&mut self, device: AdmittedDevice) {
        if device.id() != self.device.id() {
            return;
        }
        self.device = device;
        // A device that is not let in is told so by its inbox.
        let _ = self.device.with(|known| {
            let session = known.traffic().and_then(|traffic| traffic.session.as_mut());
            if let Some(session) = session.filter(|session| session.number == self.number) {
                session.proof = self.device.proof().clone();
            }
        });
    }

    /// What the device had subscribed to when it was last connected; none where nothing was kept. From
    /// now on it is kept again, or, with `is_clean`, no more.
    pub fn resume(&self, is_clean: bool) -> Option<Subscriptions> {
        let resumed = self.device.with(|known| {
            let kept = known.subscriptions.take().filter(|_| !is_clean);
            known.subscriptions = (!is_clean).then(|| kept.unwrap_or_default());
            kept
        });
        // A device that was removed is told so by its inbox.
        resumed.unwrap_or_default()
    }

    /// The device has subscribed to something, or given it up.
    pub fn subscribed(&self, subscriptions: Subscriptions) {
        let _ = self.device.with(|known| {
            let is_open = known
                .traffic()
                .is_some_and(|traffic| traffic.is_at(self.number));
            if let Some(kept) = known.subscriptions.as_mut().filter(|_| is_open) {
                *kept = subscriptions;
            }
        });
    }

    /// Begins or ceases to listen. What waits is told at once.
    pub fn listen(&self, interest: Interest, listens: bool, now: Timestamp) {
        // A device that was removed is told so by its inbox.
        let _ = self.device.with(|known| {
            known
                .traffic_or_new()
                .listen(self.number, interest, listens, now);
        });
    }

    /// What the hub has to say next; none until the next wake.
    pub fn take(&self) -> Option<Downstream> {
        self.inbox.take()
    }

    /// The next message, held until it is settled or the session ends.
    ///
    /// # Errors
    /// The device was removed.
    pub fn receive(&self, now: Timestamp) -> Result<Option<Delivery>, HubRefusal> {
        self.device.receive_for(Some(self.number), now)
    }

    /// The device has answered a call. Returns whether somebody waited for it.
    pub fn answer(&self, call: u64, answer: MethodAnswer) -> bool {
        let answered = self.device.with(|known| {
            known
                .traffic()
                .is_some_and(|traffic| traffic.calls.answer(call, answer))
        });
        answered.unwrap_or(false)
    }
}

impl Drop for DeviceSession {
    fn drop(&mut self) {
        self.device.leave(|known| {
            if let Some(traffic) = known.traffic() {
                traffic.detach(self.number);
            }
            known.tidy();
        });
    }
}

#[cfg(test)]
mod tests;
