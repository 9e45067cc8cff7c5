//! How long requests of devices take, by what they ask and what they speak.

use std::time::Duration;

use fleetstorm_protocol::attestation::Protocol;
use fleetstorm_protocol::http::DeviceOperation;

use super::histogram::Histogram;
use super::instance::ByProtocol;

/// From a whole request to its answer; reading the one and writing the other is not in it.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) register: ByProtocol<Histogram>,
    pub(crate) operation_status: ByProtocol<Histogram>,
    pub(crate) registration_status: ByProtocol<Histogram>,
}

impl Requests {
    /// One more.
    pub(crate) fn add(&self, operation: &DeviceOperation, protocol: Protocol, duration: Duration) {
        let durations = match operation {
            DeviceOperation::Register => &self.register,
            DeviceOperation::OperationStatus(_) => &self.operation_status,
            DeviceOperation::RegistrationStatus => &self.registration_status,
        };
        durations.of(protocol).add(duration);
    }
}
