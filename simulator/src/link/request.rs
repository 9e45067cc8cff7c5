//! A request of a device to DPS, who makes it, and the response.

use bytes::Bytes;
use fleetstorm_protocol::ids::{IdScope, OperationId, RegistrationId};

use super::error::LinkError;

/// A device that registers with a DPS instance.
#[derive(Debug, Clone, Copy)]
pub struct Registrant<'a> {
    /// The instance.
    pub id_scope: &'a IdScope,
    /// The device.
    pub registration_id: &'a RegistrationId,
}

/// What a device asks of DPS.
#[derive(Debug, Clone, Copy)]
pub enum Request<'a> {
    /// To be registered: the JSON body.
    Register(&'a [u8]),
    /// How a registration stands.
    OperationStatus(&'a OperationId),
}

/// What DPS answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status, also over MQTT.
    pub status: u16,
    /// Seconds to wait.
    pub retry_after: Option<u32>,
    /// JSON.
    pub body: Bytes,
}

/// How a device proves itself while a link is opened.
pub enum Proof<'a> {
    /// Not now: its certificate has done so, or each request will.
    None,
    /// By a SAS token.
    Sas(&'a str),
    /// By its TPM, where the protocol has a place for the challenge.
    Tpm(&'a mut dyn Tpm),
}

impl<'a> Proof<'a> {
    pub(super) fn sas(&self) -> Option<&'a str> {
        match self {
            Self::Sas(sas) => Some(sas),
            Self::None | Self::Tpm(_) => None,
        }
    }
}

/// A TPM that can be challenged while a link is opened.
pub trait Tpm {
    /// The challenge begins: shows the endorsement key and the storage root key, both TPM2B_PUBLIC.
    fn begin(&mut self) -> (Vec<u8>, Vec<u8>);

    /// The SAS token signed with the key in an activation blob.
    ///
    /// # Errors
    /// The blob is for another TPM.
    fn solve(&mut self, blob: &[u8]) -> Result<String, LinkError>;

    /// The server took the proof.
    fn proven(&mut self);
}
