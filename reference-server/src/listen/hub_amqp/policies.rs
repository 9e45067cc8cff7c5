//! Tokens of a hub's policies on one connection, and what they open together. Readers of telemetry
//! put one for each node.

use std::sync::Arc;

use fleetstorm_protocol::amqp::hub_node::TELEMETRY;
use fleetstorm_protocol::ids::ClientId;
use jiff::Timestamp;

use super::back_end::event_hub;
use crate::hub::HubRefusal;
use crate::hub::admitted::AdmittedDevice;
use crate::hub::config::HubPermission;
use crate::hub::registry::Hub;
use crate::listen::claim::PolicyToken;
use crate::listen::client::Client;

/// Tokens that count at once.
const MAX_TOKENS: usize = 16;

/// Those of one connection with a hub.
pub(super) struct Policies<'a> {
    hub: &'a Arc<Hub>,
    client: &'a Client,
    tokens: Vec<PolicyToken>,
}

impl<'a> Policies<'a> {
    /// None yet.
    pub(super) fn of(hub: &'a Arc<Hub>, client: &'a Client) -> Self {
        Self {
            hub,
            client,
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
        let certificates = &self.client.certificates;
        let by = |token| self.hub.authenticate(device, token, certificates, now);
        let mut tokens = self.tokens.iter();
        let spoken_for = tokens.find_map(|token| by(Some(&token.token)).ok());
        spoken_for.map_or_else(|| by(None), Ok)
    }

    /// Whether the service may have a link to what is at a path of the hub.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn authorize(&self, path: &str) -> Result<(), HubRefusal> {
        let resource = format!("{}/{path}", self.hub.host_name());
        let resource = resource.trim_end_matches('/');
        let (permission, now) = (HubPermission::ServiceConnect, Timestamp::now());
        let by = |token| self.hub.authorize_service(resource, token, permission, now);
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
            .or_else(|_| self.authorize(event_hub(self.hub.host_name())))
    }
}
