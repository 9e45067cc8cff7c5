//! What the service side may ask of a hub: identities, twins, calls and messages, whatever
//! carries the request.

use bytes::Bytes;
use fleetstorm_protocol::hub::{MAX_CLOUD_TO_DEVICE, Message};
use fleetstorm_protocol::ids::ClientId;
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::calls::{self, MethodAnswer};
use super::device::Device;
use super::identity::{Condition, Identity, WantedIdentity, identity_tag};
use super::inbox::{Downstream, MethodRequest};
use super::registry::Hub;
use super::traffic::Interest;
use super::twin::{TwinChange, TwinDocument, TwinPatch};
use super::{HubRefusal, modules};

/// A call that the device has been told of.
#[derive(Debug)]
pub struct PendingCall(oneshot::Receiver<MethodAnswer>);

impl PendingCall {
    /// The device's answer. The caller decides how long to wait; dropping this is an end, too.
    ///
    /// # Errors
    /// The device is gone.
    pub async fn answer(self) -> Result<MethodAnswer, HubRefusal> {
        self.0.await.map_err(|_| HubRefusal::NotOnline)
    }
}

impl Hub {
    /// Reads an identity.
    ///
    /// # Errors
    /// Unknown device.
    pub fn identity(&self, device: &ClientId) -> Result<Identity, HubRefusal> {
        self.with(device, |known| Identity::of(known))
    }

    /// Creates an identity, or changes it where the condition says so. Its twin stays. A module is let
    /// in as its device is.
    ///
    /// # Errors
    /// Unknown device, or device of a module; it exists already; there are too many modules; or the
    /// condition does not hold.
    pub fn put_identity(
        &self,
        device: &ClientId,
        wanted: WantedIdentity,
        condition: Condition<'_>,
        now: Timestamp,
    ) -> Result<Identity, HubRefusal> {
        let mut devices = self.devices.of(device);
        let enabled = match device.module_id() {
            None => wanted.enabled,
            Some(_) => modules::room_for(&devices, device)?,
        };
        let known = match (devices.get_mut(device), condition) {
            (Some(_), Condition::Unnamed) if device.is_module() => {
                return Err(HubRefusal::ModuleAlreadyExists);
            }
            (Some(_), Condition::Unnamed) => return Err(HubRefusal::AlreadyExists),
            (Some(known), condition) => {
                condition.holds(&identity_tag(known))?;
                known.revision = known.revision.saturating_add(1);
                known.authentication = wanted.authentication;
                known
            }
            (None, Condition::Unnamed | Condition::Waived) => devices
                .entry(device.clone())
                .or_insert_with(|| Device::new(wanted.authentication, None, &self.views, now)),
            (None, _) => return Err(HubRefusal::unknown(device)),
        };
        known.enabled = enabled;
        known.iot_edge = wanted.iot_edge.unwrap_or(known.iot_edge);
        known.status_reason = wanted.status_reason.map(Into::into);
        if let Some(managed_by) = wanted.managed_by {
            known.kin.get_or_insert_default().managed_by = Some(managed_by.into());
        }
        known.revoke_unless_proven();
        self.keep(device, known);
        let identity = Identity::of(known);
        match device.module_id() {
            None => modules::follow(self, &mut devices, device, now),
            Some(module) => {
                if let Some(parent) = devices.get_mut(&device.device()) {
                    parent.add_module(module);
                }
            }
        }
        Ok(identity)
    }

    /// Removes an identity with its twin, its messages and its modules, and ends its session.
    ///
    /// # Errors
    /// Unknown device; or the condition does not hold.
    pub fn remove_identity(
        &self,
        device: &ClientId,
        condition: Condition<'_>,
    ) -> Result<(), HubRefusal> {
        let mut devices = self.devices.of(device);
        let known = devices.get(device);
        let known = known.ok_or_else(|| HubRefusal::unknown(device))?;
        condition.holds(&identity_tag(known))?;
        modules::remove(self, &mut devices, device);
        if let Some(module) = device.module_id()
            && let Some(kin) = devices
                .get_mut(&device.device())
                .and_then(|known| known.kin.as_mut())
        {
            kin.modules.remove(module);
        }
        Ok(())
    }

    /// Reads a twin with all that only the service sees.
    ///
    /// # Errors
    /// Unknown device.
    pub fn twin(&self, device: &ClientId) -> Result<(Identity, TwinDocument), HubRefusal> {
        self.with(device, |known| (Identity::of(known), known.twin.document()))
    }

    /// Changes tags and desired properties; a device that listens is told.
    ///
    /// # Errors
    /// Unknown device; the condition does not hold; or something breaks a rule of twins.
    pub fn change_twin(
        &self,
        device: &ClientId,
        patch: TwinPatch,
        change: TwinChange,
        condition: Condition<'_>,
        now: Timestamp,
    ) -> Result<(Identity, TwinDocument), HubRefusal> {
        let (told, read) = self.with(device, |known| {
            condition.holds(&known.twin.etag())?;
            let mut told = false;
            let desired = known.twin.change(patch, change, now)?;
            self.keep(device, known);
            if let Some(desired) = desired
                && let Some(traffic) = known.traffic()
            {
                told = traffic.tell_if(Interest::Desired, Downstream::Desired(desired));
            }
            Ok((told, (Identity::of(known), known.twin.document())))
        })??;
        if told {
            self.counters.desired_changes_sent.add();
        }
        Ok(read)
    }

    /// Puts a message into the device's queue; a device that listens is told. Returns its
    /// place among all that the device was ever sent.
    ///
    /// # Errors
    /// Unknown device; over 64 KB; or fifty wait already.
    pub fn send_message(
        &self,
        device: &ClientId,
        mut message: Message,
        now: Timestamp,
    ) -> Result<u64, HubRefusal> {
        let size = message.size();
        if size > MAX_CLOUD_TO_DEVICE {
            return Err(HubRefusal::TooLarge(format!(
                "message: {size} bytes, the limit is {MAX_CLOUD_TO_DEVICE}"
            )));
        }
        let to = &mut message.system.to;
        to.get_or_insert_with(|| format!("/devices/{device}/messages/devicebound"));
        let sequence = self.with(device, |known| {
            let traffic = known.traffic_or_new();
            let sequence = traffic.messages.push(message, now)?;
            traffic.tell_if(Interest::Messages, Downstream::MessagesWait);
            Ok(sequence)
        })??;
        self.counters.cloud_to_device_messages.add();
        Ok(sequence)
    }

    /// Forgets all messages that wait for a device; returns how many there were.
    ///
    /// # Errors
    /// Unknown device.
    pub fn purge_messages(&self, device: &ClientId) -> Result<usize, HubRefusal> {
        self.with(device, |known| {
            let purged = known
                .traffic()
                .map_or(0, |traffic| traffic.messages.purge());
            known.tidy();
            purged
        })
    }

    /// Calls a method of a device that listens to calls.
    ///
    /// # Errors
    /// A name that no method has; unknown device; the device does not listen; or too many calls wait for it.
    pub fn call(
        &self,
        device: &ClientId,
        name: &str,
        payload: Bytes,
    ) -> Result<PendingCall, HubRefusal> {
        calls::check_name(name).map_err(HubRefusal::Malformed)?;
        let call = self.next_number();
        let pending = self.with(device, |known| {
            let traffic = known.traffic().ok_or(HubRefusal::NotOnline)?;
            let pending = traffic.calls.begin(call)?;
            let request = MethodRequest {
                call,
                name: name.into(),
                payload,
            };
            if traffic.tell_if(Interest::Methods, Downstream::Method(request)) {
                Ok(pending)
            } else {
                Err(HubRefusal::NotOnline)
            }
        })??;
        self.counters.methods_called.add();
        Ok(PendingCall(pending))
    }

    /// Resolves when the device begins to listen to calls; for who would rather wait than be
    /// told that it does not. The caller decides how long.
    ///
    /// # Errors
    /// Unknown device; or too many wait for it.
    pub fn arrival(&self, device: &ClientId) -> Result<oneshot::Receiver<()>, HubRefusal> {
        self.with(device, |known| known.traffic_or_new().arrival())?
    }
}
