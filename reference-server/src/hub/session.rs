//! A device that stays connected.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::HubRefusal;
use super::admitted::AdmittedDevice;
use super::calls::MethodAnswer;
use super::inbox::{Downstream, Inbox};
use super::message_queue::Delivery;
use super::subscriptions::Subscriptions;
use super::traffic::Interest;

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
        let number = device.hub().next_number();
        let inbox = Arc::new(Inbox::new(wake));
        device.with(|known| {
            known.seen(now);
            let (credential, inbox) = (device.credential().clone(), Arc::clone(&inbox));
            known.traffic_or_new().attach(number, credential, inbox);
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
            if let Some(traffic) = known.traffic() {
                traffic.renew(self.number, self.device.credential().clone());
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

    /// The next message, held until it is settled or the session ends; none where it has ended already.
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
