//! A call of a webhook, before it is made.

use fleetstorm_protocol::custom_allocation::AllocationRequest;
use tokio::sync::mpsc::Permit;

use crate::webhook::url::Webhook;

/// A webhook that is to be called.
#[derive(Debug)]
pub struct Call {
    /// The instance.
    pub id_scope: String,
    /// The device.
    pub registration_id: String,
    /// Tells its calls apart.
    pub number: u64,
    /// Which.
    pub webhook: Webhook,
    /// JSON.
    pub body: Vec<u8>,
}

/// A place for a call, and all that is known before it is clear where the device is now.
pub(in crate::service) struct Preparation<'a> {
    pub(in crate::service) place: Permit<'a, Call>,
    pub(in crate::service) webhook: Webhook,
    pub(in crate::service) request: AllocationRequest,
}
