//! Tokens of a hub's policies on one connection, and what they open together. Readers of telemetry
//! put one for each node.

use fleetstorm_protocol::amqp::hub::TELEMETRY;
use fleetstorm_protocol::ids::ClientId;
use jiff::Timestamp;

use super::back_end::event_hub;
use crate::hub::HubRefusal;
use crate::hub::admitted::AdmittedDevice;
use crate::hub::config::HubPermission;
use crate::listen::claim::PolicyToken;
use crate::listen::client::Client;
use crate::listen::host::Host;

/// Tokens that count at once.
const MAX_TOKENS: usize = 16;

/// Those of one connection with a hub.
pub(super) struct Policies<'a> {
    hub: &'a str,
    client: &'a Client,
    host: &'a Host,
    tokens: Vec<PolicyToken>,
}

impl<'a> Policies<'a> {
    /// None yet.
    pub(super) fn of(hub: &'a str, client: &'a Client, host: &'a Host) -> Self {
        Self {
            hub,
            client,
            host,
            tokens: Vec::new(),
        }
    }

    /// One more, or a newer one of the same policy for the same.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn hold(&mut self, token: PolicyToken) -> Result<(), HubRefusal> {
        if let Some(older) = self.tokens.iter_mut().find(|older| older.is_of(&token)) {
            *older = token;
        } else if self.tokens.len() < MAX_TOKENS {
            self.tokens.push(token);
        } else {
            return Err(HubRefusal::Throttled);
        }
        Ok(())
    }

    /// When the first runs out, in Unix seconds.
    pub(super) fn next_expiry(&self) -> Option<i64> {
        self.tokens.iter().map(|token| token.until).min()
    }

    /// Forgets those that have run out. Returns whether there were any.
    pub(super) fn expire(&mut self, now: i64) -> bool {
        let before = self.tokens.len();
        self.tokens.retain(|token| token.until > now);
        self.tokens.len() < before
    }

    /// Lets a device in: by its certificate, or by who speaks for devices.
    ///
    /// # Errors
    /// Neither does.
    pub(super) fn authenticate(
        &self,
        device: &ClientId,
        now: Timestamp,
    ) -> Result<AdmittedDevice, HubRefusal> {
        let (hubs, certificates) = (&self.host.hubs, &self.client.certificates);
        let by = |token| hubs.authenticate(self.hub, device, token, certificates, now);
        let mut tokens = self.tokens.iter();
        let spoken_for = tokens.find_map(|token| by(Some(&token.token)).ok());
        spoken_for.map_or_else(|| by(None), Ok)
    }

    /// Whether the service may have a link to what is at a path of the hub.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn authorize(&self, path: &str) -> Result<(), HubRefusal> {
        let resource = format!("{}/{path}", self.hub);
        let resource = resource.trim_end_matches('/');
        let (permission, now) = (HubPermission::ServiceConnect, Timestamp::now());
        let hubs = &self.host.hubs;
        let by = |token| hubs.authorize_service(self.hub, resource, token, permission, now);
        let mut tokens = self.tokens.iter();
        if tokens.any(|token| by(Some(&token.token)).is_ok()) {
            Ok(())
        } else {
            Err(HubRefusal::Unauthorized)
        }
    }

    /// The same for telemetry, by either of its names.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn authorize_telemetry(&self) -> Result<(), HubRefusal> {
        self.authorize(TELEMETRY)
            .or_else(|_| self.authorize(event_hub(self.hub)))
    }
}
