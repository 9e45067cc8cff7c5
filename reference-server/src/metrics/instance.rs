//! What is counted for each DPS instance, with the dimensions of the real service's metrics
//! (DPS documentation, "Monitoring data reference").

use fleetstorm_protocol::attestation::Protocol;

use super::page::{Kind, Page};
use crate::counters::Count;
use crate::service::failure::Failure;
use crate::webhook::WebhookError;

/// Protocols in the order that they are shown in.
pub(crate) const PROTOCOLS: [Protocol; 3] = [Protocol::Http, Protocol::Mqtt, Protocol::Amqp];

/// The documentation's name of a protocol.
pub(crate) fn shown(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "Http",
        Protocol::Mqtt => "Mqtt",
        Protocol::Amqp => "Amqp",
    }
}

/// The same count for each protocol.
#[derive(Debug, Default)]
pub(crate) struct ByProtocol<Counted>([Counted; 3]);

impl<Counted> ByProtocol<Counted> {
    /// That of one.
    pub(crate) fn of(&self, protocol: Protocol) -> &Counted {
        let [http, mqtt, amqp] = &self.0;
        match protocol {
            Protocol::Http => http,
            Protocol::Mqtt => mqtt,
            Protocol::Amqp => amqp,
        }
    }
}

/// One instance's.
#[derive(Debug, Default)]
pub(crate) struct InstanceTally {
    /// Host name of its service endpoint.
    name: String,
    /// Devices that have proven themselves.
    pub(crate) attested: ByProtocol<Count>,
    /// Devices that have not. A challenge is neither.
    pub(crate) not_attested: ByProtocol<Count>,
    /// Requests of devices that came too often.
    pub(crate) throttled: ByProtocol<Count>,
    /// Registrations that were refused or failed.
    pub(crate) registrations_failed: Count,
    /// Certificates that devices asked for and got.
    pub(crate) certificates_issued: Count,
    /// Calls of custom allocation webhooks, in the order of [`Called::ALL`].
    called: [Count; Called::ALL.len()],
    /// Registrations that ended assigned, by the hub's place among the hubs of the server.
    assigned: Vec<Count>,
}

impl InstanceTally {
    /// All zero.
    pub(crate) fn new(name: &str, hubs: usize) -> Self {
        Self {
            name: name.to_owned(),
            assigned: std::iter::repeat_with(Count::default).take(hubs).collect(),
            ..Self::default()
        }
    }

    /// Whose it is.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Counts whether a device has proven itself.
    pub(crate) fn attested(&self, protocol: Protocol, proven: bool) {
        let counts = if proven {
            &self.attested
        } else {
            &self.not_attested
        };
        counts.of(protocol).add();
    }

    /// Counts an assignment.
    pub(crate) fn assigned(&self, hub: usize) {
        if let Some(count) = self.assigned.get(hub) {
            count.add();
        }
    }

    /// Counts a call of a webhook.
    pub(crate) fn called(&self, called: Called) {
        let counts = Called::ALL.iter().zip(&self.called);
        for (_, count) in counts.filter(|(one, _)| **one == called) {
            count.add();
        }
    }

    /// Assignments by hub, where there are any.
    fn assignments<'a>(&'a self, hubs: &'a [&str]) -> impl Iterator<Item = (&'a str, u64)> {
        let counts = self.assigned.iter().map(Count::get);
        let by_hub = hubs.iter().copied().zip(counts);
        by_hub.filter(|(_, count)| *count > 0)
    }
}

/// What a call of a custom allocation webhook came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Called {
    /// A hub.
    Allocated,
    /// A status that is no success.
    Refused,
    /// Nothing in time.
    TimedOut,
    /// No connection, or a broken one.
    Unreachable,
    /// An answer that names no hub, or none that it may.
    BadAnswer,
}

impl Called {
    /// Every one, with its label.
    const ALL: [Self; 5] = [
        Self::Allocated,
        Self::Refused,
        Self::TimedOut,
        Self::Unreachable,
        Self::BadAnswer,
    ];

    /// By the failure that it ended with, if it did.
    pub(crate) fn of(failure: Option<&Failure>) -> Self {
        match failure {
            None => Self::Allocated,
            Some(Failure::WebhookStatus(_)) => Self::Refused,
            Some(Failure::Webhook(WebhookError::TooSlow(_))) => Self::TimedOut,
            Some(Failure::Webhook(WebhookError::TooLong)) => Self::BadAnswer,
            Some(Failure::Webhook(_)) => Self::Unreachable,
            Some(_) => Self::BadAnswer,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Allocated => "Success",
            Self::Refused => "Refused",
            Self::TimedOut => "Timeout",
            Self::Unreachable => "Unreachable",
            Self::BadAnswer => "BadAnswer",
        }
    }
}

/// Writes the metrics of every instance; `hubs` are the host names of the server's.
pub(crate) fn write(page: &mut Page, instances: &[&InstanceTally], hubs: &[&str]) {
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
        for (called, count) in Called::ALL.iter().zip(&instance.called) {
            let labels = [(NAME, instance.name()), ("result", called.label())];
            page.sample(&labels, count.get());
        }
    }
}
