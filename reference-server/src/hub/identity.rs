//! Identities as the service side reads and writes them.

use jiff::Timestamp;

use super::authentication::Authentication;
use super::device::Device;
use super::{HubRefusal, entity_tag};

/// An identity as the service reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// How the device proves itself.
    pub authentication: Authentication,
    /// Whether it is let in.
    pub enabled: bool,
    /// Why, in the service's words.
    pub status_reason: Option<String>,
    /// Changes with the identity.
    pub etag: String,
    /// When it was created.
    pub created: Timestamp,
    /// Whether a session is open.
    pub connected: bool,
    /// When it last connected, sent or reported.
    pub last_seen: Option<Timestamp>,
    /// Messages that wait for it.
    pub waiting_messages: usize,
    /// Whether it is an IoT Edge device.
    pub iot_edge: bool,
    /// Who looks after a module, in the service's words.
    pub managed_by: Option<String>,
}

/// An identity as the service wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedIdentity {
    /// How the device proves itself.
    pub authentication: Authentication,
    /// Whether it is let in.
    pub enabled: bool,
    /// Why, in the service's words.
    pub status_reason: Option<String>,
    /// Whether it is an IoT Edge device; as it was when nothing is said.
    pub iot_edge: Option<bool>,
    /// Who looks after a module, in the service's words.
    pub managed_by: Option<String>,
}

/// On what condition a change is made (`If-Match`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'a> {
    /// None is named: what is there may be changed, but an identity not overwritten.
    Unnamed,
    /// None: an identity is created or overwritten.
    Waived,
    /// It exists, whatever its entity tag (`*`).
    Exists,
    /// It has this entity tag.
    Is(&'a str),
}

impl Condition<'_> {
    /// Whether it holds for what has this entity tag.
    pub(super) fn holds(self, etag: &str) -> Result<(), HubRefusal> {
        match self {
            Self::Is(asked) if asked != etag => Err(HubRefusal::PreconditionFailed),
            _ => Ok(()),
        }
    }
}

impl Identity {
    /// Of a device.
    pub(super) fn of(device: &Device) -> Self {
        Self {
            authentication: device.authentication.clone(),
            enabled: device.enabled,
            status_reason: device.status_reason.as_deref().map(str::to_owned),
            etag: identity_tag(device),
            created: device.twin.created(),
            connected: device.is_connected(),
            last_seen: device.last_seen(),
            waiting_messages: device.waiting_messages(),
            iot_edge: device.iot_edge,
            managed_by: device.kin.as_ref().and_then(|kin| {
                let managed_by = kin.managed_by.as_deref()?;
                Some(managed_by.to_owned())
            }),
        }
    }
}

/// Changes with the identity.
pub(super) fn identity_tag(device: &Device) -> String {
    entity_tag(device.revision.into())
}
