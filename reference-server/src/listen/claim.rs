//! Whom a token lets in to a hub over AMQP: put to `$cbs`, or shown as the password of SASL `PLAIN`.

use std::sync::Arc;

use fleetstorm_protocol::amqp::hub_user::{HubUser, Who};
use fleetstorm_protocol::ids::ClientId;
use fleetstorm_protocol::sas::SasToken;
use jiff::Timestamp;

use crate::hub::HubRefusal;
use crate::hub::admitted::AdmittedDevice;
use crate::hub::registry::Hub;

/// A token that holds.
#[derive(Debug, Clone)]
pub(super) enum Claim {
    /// A device's.
    Device(AdmittedDevice),
    /// Of a hub's shared access policy. What it opens is looked at where it is used.
    Policy(PolicyToken),
}

/// A policy's token, for the whole hub or something of it.
#[derive(Debug, Clone)]
pub(super) struct PolicyToken {
    pub(super) token: String,
    /// What it is for, and by whom.
    resource: String,
    policy: String,
    /// When it runs out, in Unix seconds.
    pub(super) until: i64,
}

impl PolicyToken {
    /// Whether both are of one policy, for the same.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.resource == other.resource && self.policy == other.policy
    }
}

impl Claim {
    /// What a token says itself: it is for a device, or for the hub.
    ///
    /// # Errors
    /// It is none, or does not hold.
    pub(super) fn of_token(
        hub: &Arc<Hub>,
        token: &str,
        now: Timestamp,
    ) -> Result<Self, HubRefusal> {
        let malformed =
            |error: fleetstorm_protocol::DecodeError| HubRefusal::Malformed(error.to_string());
        let parsed = SasToken::parse(token).map_err(malformed)?;
        match parsed.resource().split_once("/devices/") {
            Some((_, path)) => {
                let device = ClientId::of_path(path).map_err(malformed)?;
                let admitted = hub.authenticate(&device, Some(token), &[], now)?;
                Ok(Self::Device(admitted))
            }
            None => Ok(Self::Policy(PolicyToken {
                token: token.to_owned(),
                resource: parsed.resource().to_owned(),
                policy: parsed.key_name().unwrap_or_default().to_owned(),
                until: hub.authorize_policy(token, now)?,
            })),
        }
    }

    /// What a user name and its token say.
    ///
    /// # Errors
    /// The token does not hold for that user.
    pub(super) fn of_user(
        hub: &Arc<Hub>,
        user: &HubUser,
        token: &str,
        now: Timestamp,
    ) -> Result<Self, HubRefusal> {
        match &user.who {
            Who::Device(device) => {
                let admitted = hub.authenticate(device, Some(token), &[], now)?;
                Ok(Self::Device(admitted))
            }
            Who::Policy(name) => {
                let signed = SasToken::parse(token);
                if signed.is_ok_and(|token| token.key_name() == Some(name)) {
                    Self::of_token(hub, token, now)
                } else {
                    Err(HubRefusal::Unauthorized)
                }
            }
        }
    }
}
