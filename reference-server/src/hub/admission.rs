//! Who is let in to a hub, and to what.

use std::sync::Arc;

use fleetstorm_protocol::hub::sas_resource;
use fleetstorm_protocol::ids::ClientId;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;

use super::HubRefusal;
use super::admitted::AdmittedDevice;
use super::authentication::HubCredential;
use super::config::HubPermission;
use super::registry::Hub;

impl Hub {
    /// Lets a device in: by SAS token (`password`) or by its certificates, leaf first.
    ///
    /// # Errors
    /// Unknown device, a proof that does not hold, a disabled identity.
    pub fn authenticate(
        self: &Arc<Self>,
        device: &ClientId,
        password: Option<&str>,
        certificates: &[CertificateDer<'static>],
        now: Timestamp,
    ) -> Result<AdmittedDevice, HubRefusal> {
        let admitted = self.admit(device, password, certificates, now);
        if admitted.is_err() {
            self.tally.hub_refusals.add();
        }
        admitted
    }

    fn admit(
        self: &Arc<Self>,
        device: &ClientId,
        password: Option<&str>,
        certificates: &[CertificateDer<'static>],
        now: Timestamp,
    ) -> Result<AdmittedDevice, HubRefusal> {
        let devices = self.devices.of(device);
        let known = devices.get(device);
        let known = known.ok_or_else(|| HubRefusal::unknown(device))?;
        let shown = known
            .authentication
            .is_shown_by(&self.host_name, device, password, certificates, now)
            .or_else(|| {
                // A gateway may speak for a device with a policy of the hub.
                let token = password.filter(|_| known.authentication.is_by_key())?;
                let resource = sas_resource(&self.host_name, device);
                let permission = HubPermission::DeviceConnect;
                let admitted = self.policies.admits(token, &resource, permission, now);
                Some((HubCredential::Policy, Some(admitted?)))
            })
            .filter(|_| known.enabled)
            .ok_or(HubRefusal::Unauthorized)?;
        drop(devices);
        Ok(AdmittedDevice::new(Arc::clone(self), device.clone(), shown))
    }

    /// Whether the service side may ask for `resource` what needs `permission`: the hub's host name or
    /// something below it.
    ///
    /// # Errors
    /// No token, or one that does not open it.
    pub fn authorize_service(
        &self,
        resource: &str,
        token: Option<&str>,
        permission: HubPermission,
        now: Timestamp,
    ) -> Result<(), HubRefusal> {
        let names_hub = resource
            .get(..self.host_name.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(&self.host_name));
        let admitted = |token| self.policies.admits(token, resource, permission, now);
        if names_hub && token.and_then(admitted).is_some() {
            Ok(())
        } else {
            self.tally.hub_refusals.add();
            Err(HubRefusal::Unauthorized)
        }
    }

    /// Until when (Unix seconds) a token of one of its policies holds that opens something of it, to
    /// its service or to devices; what, [`Self::authorize_service`] and [`Self::authenticate`] say.
    ///
    /// # Errors
    /// A token that opens neither.
    pub fn authorize_policy(&self, token: &str, now: Timestamp) -> Result<i64, HubRefusal> {
        let until = self.policies.signed(token, &self.host_name, now);
        until.ok_or_else(|| {
            self.tally.hub_refusals.add();
            HubRefusal::Unauthorized
        })
    }
}
