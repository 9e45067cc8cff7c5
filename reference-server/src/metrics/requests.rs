//! How long requests of devices take.

use super::page::{Kind, Page};
use crate::counters::instance::{PROTOCOLS, shown};
use crate::counters::requests::Requests;

/// Writes the histograms.
pub(crate) fn write(page: &mut Page, requests: &Requests) {
    page.family(
        "dps_request_duration_seconds",
        Kind::Histogram,
        "Requests of devices, from request to answer.",
    );
    for (operation, durations) in [
        ("register", &requests.register),
        ("operation-status", &requests.operation_status),
        ("registration-status", &requests.registration_status),
    ] {
        for protocol in PROTOCOLS {
            let labels = [("operation", operation), ("protocol", shown(protocol))];
            page.histogram(&labels, durations.of(protocol));
        }
    }
}
