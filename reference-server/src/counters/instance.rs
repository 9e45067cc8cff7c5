//! What is counted for each DPS instance, with the dimensions of the real service's metrics
//! (DPS documentation, "Monitoring data reference").

use fleetstorm_protocol::attestation::Protocol;

use super::count::Count;

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
pub(crate) struct LiveInstanceCounters {
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
    /// Calls of custom allocation webhooks, in the order of [`WebhookOutcome::ALL`].
    pub(crate) called: [Count; WebhookOutcome::ALL.len()],
    /// Registrations that ended assigned, by the hub's place among the hubs of the server.
    assigned: Vec<Count>,
}

impl LiveInstanceCounters {
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
    pub(crate) fn called(&self, called: WebhookOutcome) {
        let counts = WebhookOutcome::ALL.iter().zip(&self.called);
        for (_, count) in counts.filter(|(one, _)| **one == called) {
            count.add();
        }
    }

    /// Assignments by hub, where there are any.
    pub(crate) fn assignments<'a>(
        &'a self,
        hubs: &'a [&str],
    ) -> impl Iterator<Item = (&'a str, u64)> {
        let counts = self.assigned.iter().map(Count::get);
        let by_hub = hubs.iter().copied().zip(counts);
        by_hub.filter(|(_, count)| *count > 0)
    }
}

/// What a call of a custom allocation webhook came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WebhookOutcome {
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

impl WebhookOutcome {
    /// Every one, with its label.
    pub(crate) const ALL: [Self; 5] = [
        Self::Allocated,
        Self::Refused,
        Self::TimedOut,
        Self::Unreachable,
        Self::BadAnswer,
    ];

    /// As the metric names it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Allocated => "Success",
            Self::Refused => "Refused",
            Self::TimedOut => "Timeout",
            Self::Unreachable => "Unreachable",
            Self::BadAnswer => "BadAnswer",
        }
    }
}
