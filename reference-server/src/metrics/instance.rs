//! The metrics of each DPS instance, named as the real service's
//! (DPS documentation, "Monitoring data reference").

use super::page::{Kind, Page};
use crate::counters::instance::{LiveInstanceCounters, PROTOCOLS, WebhookOutcome, shown};

/// Writes the metrics of every instance; `hubs` are the host names of the server's.
pub(crate) fn write(page: &mut Page, instances: &[&LiveInstanceCounters], hubs: &[&str]) {
    const NAME: &str = "provisioning_service_name";
    page.family(
        "dps_registration_attempts_total",
        Kind::Counter,
        "RegistrationAttempts: registrations that ended, well or not.",
    );
    for instance in instances {
        for (hub, count) in instance.assignments(hubs) {
            let labels = [
                (NAME, instance.name()),
                ("iot_hub_name", hub),
                ("status", "Success"),
            ];
            page.sample(&labels, count);
        }
        let labels = [
            (NAME, instance.name()),
            ("iot_hub_name", ""),
            ("status", "Failure"),
        ];
        page.sample(&labels, instance.registrations_failed.get());
    }
    page.family(
        "dps_device_assignments_total",
        Kind::Counter,
        "DeviceAssignments: devices assigned to a hub.",
    );
    for instance in instances {
        for (hub, count) in instance.assignments(hubs) {
            page.sample(&[(NAME, instance.name()), ("iot_hub_name", hub)], count);
        }
    }
    page.family(
        "dps_attestation_attempts_total",
        Kind::Counter,
        "AttestationAttempts: proofs looked at.",
    );
    for instance in instances {
        for protocol in PROTOCOLS {
            for (counts, status) in [
                (&instance.attested, "Success"),
                (&instance.not_attested, "Failure"),
            ] {
                let labels = [
                    (NAME, instance.name()),
                    ("status", status),
                    ("protocol", shown(protocol)),
                ];
                page.sample(&labels, counts.of(protocol).get());
            }
        }
    }
    page.family(
        "dps_throttled_requests_total",
        Kind::Counter,
        "Requests of devices that were answered with 429.",
    );
    for instance in instances {
        for protocol in PROTOCOLS {
            let labels = [(NAME, instance.name()), ("protocol", shown(protocol))];
            page.sample(&labels, instance.throttled.of(protocol).get());
        }
    }
    page.family(
        "dps_certificates_issued_total",
        Kind::Counter,
        "Certificates issued to devices that asked for one as they registered.",
    );
    for instance in instances {
        let labels = [(NAME, instance.name())];
        page.sample(&labels, instance.certificates_issued.get());
    }
    page.family(
        "dps_custom_allocation_calls_total",
        Kind::Counter,
        "Calls of custom allocation webhooks.",
    );
    for instance in instances {
        for (called, count) in WebhookOutcome::ALL.iter().zip(&instance.called) {
            let labels = [(NAME, instance.name()), ("result", called.label())];
            page.sample(&labels, count.get());
        }
    }
}
