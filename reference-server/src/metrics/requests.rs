//! How long requests of devices take, by what they ask and what they speak.

use std::time::Duration;

use fleetstorm_protocol::attestation::Protocol;
use fleetstorm_protocol::http::DeviceOperation;

use super::histogram::Histogram;
use super::instance::{ByProtocol, PROTOCOLS, shown};
use super::page::{Kind, Page};

/// From a whole question to its answer; reading the one and writing the other is not in it.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    register: ByProtocol<Histogram>,
    operation_status: ByProtocol<Histogram>,
    registration_status: ByProtocol<Histogram>,
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

    /// Writes the histograms.
    pub(crate) fn write(&self, page: &mut Page) {
        page.family(
            "dps_request_duration_seconds",
            Kind::Histogram,
            "Requests of devices, from question to answer.",
        );
        for (operation, durations) in [
            ("register", &self.register),
            ("operation-status", &self.operation_status),
            ("registration-status", &self.registration_status),
        ] {
            for protocol in PROTOCOLS {
                let labels = [("operation", operation), ("protocol", shown(protocol))];
                page.histogram(&labels, durations.of(protocol));
            }
        }
    }
}
