//! What the control endpoint tells Prometheus: the metrics that the real service has, with their
//! dimensions, and what an operator of a server needs beside them. Every label has few values:
//! nothing is named after a device.

use crate::counters::{Counters, LiveCounters};
use page::{Kind, Page};

pub(crate) mod page;

mod instance;
mod machine;
mod requests;

/// The whole page: what is counted, how many diagnostic records were lost where there is a log, and how
/// often each fault rule has hit.
pub(crate) fn page(
    tally: &LiveCounters,
    lost_records: Option<u64>,
    fault_hits: impl IntoIterator<Item = (String, u64)>,
) -> String {
    let mut page = Page::default();
    let counters = tally.read();
    let hubs: Vec<&str> = tally.hub_names().collect();
    let instances: Vec<_> = tally.instances().collect();
    instance::write(&mut page, &instances, &hubs);
    requests::write(&mut page, &tally.requests);
    page.family(
        "dps_errors_total",
        Kind::Counter,
        "Requests of devices that were answered with an error, by its code.",
    );
    for (code, count) in &counters.refusals {
        page.sample(&[("code", &code.to_string())], count);
    }
    for (name, help, count) in [
        (
            "dps_registrations_accepted_total",
            "Registrations answered with 202.",
            counters.registrations_accepted,
        ),
        (
            "dps_tpm_challenges_total",
            "Challenges sent to TPMs.",
            counters.tpm_challenges,
        ),
        (
            "iothub_refused_connections_total",
            "Devices that a hub did not let in.",
            counters.hub_refusals,
        ),
        (
            "fleetstorm_connections_total",
            "Connections accepted.",
            counters.connections,
        ),
        (
            "fleetstorm_connections_refused_total",
            "Connections closed at accept, because there were too many.",
            counters.connections_refused,
        ),
        (
            "fleetstorm_tls_failures_total",
            "TLS handshakes that failed.",
            counters.tls_failures,
        ),
    ] {
        page.family(name, Kind::Counter, help);
        page.sample(&[], count);
    }
    let closed = tally.connections_closed.get();
    page.family(
        "fleetstorm_open_connections",
        Kind::Gauge,
        "Connections that are open.",
    );
    page.sample(&[], counters.connections.saturating_sub(closed));
    hub_families(&mut page, &counters);
    if let Some(lost) = lost_records {
        page.family(
            "fleetstorm_diagnostic_records_dropped_total",
            Kind::Counter,
            "Diagnostic records lost, because the disk was too slow or full.",
        );
        page.sample(&[], lost);
    }
    page.family(
        "fleetstorm_fault_hits_total",
        Kind::Counter,
        "Times that a fault rule has hit, by its name.",
    );
    for (rule, hits) in fault_hits {
        page.sample(&[("rule", &rule)], hits);
    }
    machine::write(&mut page);
    page.finish()
}

fn hub_families(page: &mut Page, counters: &Counters) {
    for (name, help, counts) in [
        (
            "iothub_twins_read_total",
            "Twins read by devices.",
            &counters.twins_read,
        ),
        (
            "iothub_device_to_cloud_messages_total",
            "Messages from devices.",
            &counters.device_to_cloud_messages,
        ),
        (
            "iothub_reported_patches_total",
            "Reported properties patched by devices.",
            &counters.reported_patches,
        ),
        (
            "iothub_desired_changes_sent_total",
            "Changes of desired properties passed on to devices.",
            &counters.desired_changes_sent,
        ),
        (
            "iothub_methods_called_total",
            "Direct methods called of devices.",
            &counters.methods_called,
        ),
        (
            "iothub_cloud_to_device_messages_total",
            "Messages to devices that a hub took.",
            &counters.cloud_to_device_messages,
        ),
        (
            "iothub_cloud_to_device_completed_total",
            "Messages that devices completed.",
            &counters.cloud_to_device_completed,
        ),
    ] {
        page.family(name, Kind::Counter, help);
        for (hub, count) in counts {
            page.sample(&[("iot_hub_name", hub)], count);
        }
    }
}
