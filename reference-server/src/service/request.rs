//! Requests of devices and their responses, whatever carries them.

use std::net::IpAddr;

use fleetstorm_protocol::attestation::Protocol;
use fleetstorm_protocol::http::DeviceOperation;
use fleetstorm_protocol::ids::RegistrationId;
use fleetstorm_protocol::registration::TpmAttestation;
use rustls::pki_types::CertificateDer;

use crate::diagnostics::record::Outcome;

/// What a device asks, whatever it speaks.
#[derive(Debug, Clone)]
pub struct RegistrationRequest<'a> {
    /// The instance.
    pub id_scope: &'a str,
    /// The device, as it wrote its id.
    pub registration_id: &'a RegistrationId,
    /// What it wants.
    pub operation: DeviceOperation,
    /// Body of a register; ignored for status look-ups.
    pub body: &'a [u8],
    /// SAS token: Authorization header, MQTT password or that of SASL.
    pub sas: Option<&'a str>,
    /// Keys of a TPM, where they were shown before the request: over AMQP, in SASL.
    pub tpm: Option<&'a TpmAttestation>,
    /// api-version that it speaks, if it said.
    pub api_version: Option<&'a str>,
    /// Certificates that it presented in TLS, leaf first; proof of possession was checked there.
    pub certificates: &'a [CertificateDer<'static>],
    /// It presented some, whose key is of a kind that proves nothing: why. They are not above, then.
    pub unproven: Option<&'a str>,
    /// Where it came from, and by what.
    pub origin: Origin,
}

impl RegistrationRequest<'_> {
    /// Whether its device presented certificates, be they good for something or not.
    pub(super) fn shows_certificates(&self) -> bool {
        !self.certificates.is_empty() || self.unproven.is_some()
    }
}

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// What it was spoken in.
    pub protocol: Protocol,
    /// The address at the other end of the connection, where it has one.
    pub peer: Option<IpAddr>,
}

/// What the service answers, whatever carries it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceResponse {
    /// HTTP status: 200, 202, 4xx, 5xx; 401 also opens the TPM challenge.
    pub status: u16,
    /// Seconds to wait before the next poll or try.
    pub retry_after: Option<u32>,
    /// JSON.
    pub body: Vec<u8>,
    /// More of why than the body tells, for the diagnostic log: no device is told.
    pub detail: Option<Box<str>>,
}

impl ServiceResponse {
    /// For the diagnostic log.
    pub(crate) fn outcome(&self) -> Outcome<'_> {
        Outcome {
            status: self.status,
            body: &self.body,
            detail: self.detail.as_deref(),
        }
    }
}
