//! A device that belongs to a hub.

use fleetstorm_protocol::tpm::IdentityKey;

use crate::device::flow::Assignment;

/// A device that belongs to a hub.
pub struct Member {
    pub(super) assignment: Assignment,
    /// The key that its TPM took in for the hub.
    pub(super) tpm_key: Option<IdentityKey>,
}

impl Member {
    /// Host name of its hub.
    pub fn hub(&self) -> &str {
        &self.assignment.hub
    }
}
