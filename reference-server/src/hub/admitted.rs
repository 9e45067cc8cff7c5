//! A device that its hub has let in, and all that it may ask, whatever it speaks.

use std::sync::Arc;

use fleetstorm_protocol::hub::{MAX_DEVICE_TO_CLOUD, Message};
use fleetstorm_protocol::ids::ClientId;
use jiff::Timestamp;
use uuid::Uuid;

use super::HubRefusal;
use super::authentication::HubCredential;
use super::device::Device;
use super::inbox::Downstream;
use super::message_queue::{Delivery, Settlement};
use super::registry::Hub;
use super::traffic::Interest;

/// Proof that a device was let in, made by [`Hub::authenticate`] only.
#[derive(Clone)]
pub struct AdmittedDevice {
    hub: Arc<Hub>,
    id: ClientId,
    credential: HubCredential,
    expiry: Option<i64>,
}

impl std::fmt::Debug for AdmittedDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdmittedDevice")
            .field("hub", &self.hub.host_name)
            .field("id", &self.id)
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}

impl AdmittedDevice {
    /// Let in to the hub for a proof, until its token's expiry.
    pub(super) fn new(
        hub: Arc<Hub>,
        id: ClientId,
        (credential, expiry): (HubCredential, Option<i64>),
    ) -> Self {
        Self {
            hub,
            id,
            credential,
            expiry,
        }
    }

    /// Its name.
    pub fn id(&self) -> &ClientId {
        &self.id
    }

    /// Whether it has proven itself, and nobody spoke for it.
    pub fn is_itself(&self) -> bool {
        self.credential != HubCredential::Policy
    }

    /// When its token runs out, in Unix seconds: the connection has to end then. A certificate
    /// does not run out.
    pub fn expiry(&self) -> Option<i64> {
        self.expiry
    }

    /// Its twin in JSON, without tags and `$metadata`.
    ///
    /// # Errors
    /// The device was removed, or is not let in any more.
    pub fn read_twin(&self) -> Result<Vec<u8>, HubRefusal> {
        let twin = self.with(|known| known.twin.view().to_vec())?;
        self.hub.counters.twins_read.add();
        Ok(twin)
    }

    /// It says what it is: a merge patch in JSON. Returns the new `$version`.
    ///
    /// # Errors
    /// The patch breaks a rule; or the device was removed, or is not let in
    /// any more.
    pub fn patch_reported(&self, patch: &[u8], now: Timestamp) -> Result<u64, HubRefusal> {
        let version = self.hub.change(&self.id, |known| {
            self.check(known)?;
            known.seen(now);
            known.twin.patch_reported(patch, now)
        })?;
        self.hub.counters.reported_patches.add();
        Ok(version)
    }

    /// It says what it is: the id of its model. A twin that is written is kept.
    ///
    /// # Errors
    /// The device was removed, or is not let in any more.
    pub fn is_of_model(&self, model_id: &str) -> Result<(), HubRefusal> {
        let is_known = self.with(|known| !known.twin.set_model(model_id))?;
        if is_known {
            return Ok(());
        }
        self.hub.change(&self.id, |_| Ok(()))
    }

    /// It sends telemetry.
    ///
    /// # Errors
    /// Over 256 KB; or the device was removed, or is not let in
    /// any more.
    pub fn send(&self, message: &Message, now: Timestamp) -> Result<(), HubRefusal> {
        let size = message.size();
        if size > MAX_DEVICE_TO_CLOUD {
            return Err(HubRefusal::TooLarge(format!(
                "message: {size} bytes, the limit is {MAX_DEVICE_TO_CLOUD}"
            )));
        }
        self.with(|known| known.seen(now))?;
        self.hub.telemetry.keep(&self.id, message, now);
        self.hub.counters.device_to_cloud_messages.add();
        Ok(())
    }

    /// The next message for it, held for a minute: for a device that does not stay connected.
    /// One that does asks its session.
    ///
    /// # Errors
    /// The device was removed, or is not let in any more.
    pub fn receive(&self, now: Timestamp) -> Result<Option<Delivery>, HubRefusal> {
        self.receive_for(None, now)
    }

    /// Says what becomes of a message that it has received.
    ///
    /// # Errors
    /// The message is no longer held under that lock; or the device was removed, or is not let in
    /// any more.
    pub fn settle(
        &self,
        lock: Uuid,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), HubRefusal> {
        self.with(|known| {
            let traffic = known.traffic().ok_or(HubRefusal::LockLost)?;
            if traffic.messages.settle(lock, settlement, now)? {
                traffic.tell_if(Interest::Messages, Downstream::MessagesWait);
            }
            known.tidy();
            Ok(())
        })??;
        if settlement == Settlement::Complete {
            self.hub.counters.cloud_to_device_completed.add();
        }
        Ok(())
    }

    pub(super) fn receive_for(
        &self,
        session: Option<u64>,
        now: Timestamp,
    ) -> Result<Option<Delivery>, HubRefusal> {
        self.with(|known| {
            let traffic = known.traffic()?;
            // What a session takes that is over, nobody would release.
            let is_open = session.is_none_or(|number| traffic.is_at(number));
            is_open.then(|| traffic.messages.take(session, now))?
        })
    }

    pub(super) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// What it has proven itself by.
    pub(super) fn credential(&self) -> &HubCredential {
        &self.credential
    }

    /// Does something with what the hub knows of it, as long as it would let the device in.
    pub(super) fn with<Done>(
        &self,
        act: impl FnOnce(&mut Device) -> Done,
    ) -> Result<Done, HubRefusal> {
        self.hub.with(&self.id, |known| {
            self.check(known)?;
            Ok(act(known))
        })?
    }

    /// Does something though the device may not be let in any more.
    pub(super) fn leave(&self, act: impl FnOnce(&mut Device)) {
        // A device that was removed has left already.
        let _ = self.hub.with(&self.id, act);
    }

    /// Another may have its name since it was let in.
    fn check(&self, known: &Device) -> Result<(), HubRefusal> {
        if known.admits(&self.credential) {
            Ok(())
        } else {
            Err(HubRefusal::Unauthorized)
        }
    }
}
