//! What a webhook chose.

use fleetstorm_protocol::twin::InitialTwin;
use serde_json::Value;

use crate::service::failure::Failure;

/// Where a registration with custom allocation stands.
#[derive(Debug)]
pub enum Custom {
    /// The webhook was asked.
    CertificateRequest {
        /// The call.
        number: u64,
        /// The links that it may choose from.
        offered: Box<[usize]>,
    },
    /// It has answered, or will not.
    Answered(Result<Allocated, Failure>),
}

/// A webhook's choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Allocated {
    /// HubAssignment of the hub's link.
    pub link: usize,
    /// Takes the enrollment's place.
    pub initial_twin: Option<InitialTwin>,
    /// For the device.
    pub payload: Option<Value>,
}
