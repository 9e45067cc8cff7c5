//! What a region's round trip adds to a device's way: how often each protocol goes there and back, as counted by
//! the phases of runs over a line of 200 ms, and through a proxy that delays bytes as much.
//!
//! | to DPS | connect | tls | open | attest | register | each poll |
//! |---|---|---|---|---|---|---|
//! | HTTPS | 1 | 1 | | | 1 | 1 |
//! | HTTPS, TPM | 1 | 1 | | 1 | 1 | 1 |
//! | MQTT | 1 | 1 | 2 | | 1 | 1 |
//! | AMQP, X.509 | 1 | 1 | 1 | | 1 | 1 |
//! | AMQP, SAS | 1 | 1 | 3 | | 1 | 1 |
//! | AMQP, TPM | 1 | 1 | 1 | 5 | 1 | 1 |
//!
//! | to the hub | hub-connect | twin |
//! |---|---|---|
//! | MQTT | 3 | 2 |
//! | AMQP, X.509 | 3 | 1 |
//! | AMQP, SAS | 5 | 1 |
//!
//! A WebSocket is one more at either. A good-bye is none: nobody waits for it.

use std::time::Duration;

use fleetstorm_protocol::attestation::{AttestationKind, Protocol, TransportKind};
use fleetstorm_protocol::enrollment::AllocationPolicy;

use crate::cohort::Cohort;
use crate::plan::Plan;
use crate::region::Region;
use crate::scenario::Scenario;

/// TCP and TLS 1.3.
const CONNECTING: f64 = 2.0;
const QUESTION: f64 = 1.0;

/// How far devices are from what they turn to.
#[derive(Debug)]
pub(super) struct Distances {
    /// By cohort, then region.
    cohorts: Vec<Vec<Distance>>,
}

/// Of one region's devices of one cohort: mean round trips, in microseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Distance {
    dps_us: f64,
    hub_us: f64,
}

/// What a device waits for the line, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Delays {
    /// From its start to the answer to its first question.
    pub(super) opening: u64,
    /// For any other question.
    pub(super) question: u64,
    /// From the answer that tells of its hub to its twin.
    pub(super) hub: u64,
}

impl Distances {
    pub(super) fn of(plan: &Plan) -> Self {
        let scenario = plan.scenario();
        let cohorts = scenario.cohorts.iter().map(|cohort| {
            let regions = scenario.regions.iter();
            let distance = |region| Distance::of(scenario, cohort, region);
            regions.map(distance).collect()
        });
        Self {
            cohorts: cohorts.collect(),
        }
    }

    /// Of a device in a region; none of one that is nowhere in particular.
    pub(super) fn delays(
        &self,
        index: u16,
        cohort: &Cohort,
        transport: TransportKind,
        region: Option<u8>,
    ) -> Delays {
        let distances = self.cohorts.get(usize::from(index));
        let found = region.and_then(|region| distances?.get(usize::from(region)));
        let Some(distance) = found else {
            return Delays::default();
        };
        let at_hub = cohort.hub_transport.unwrap_or_else(|| transport.at_hub());
        let to_hub = CONNECTING + hub_trips(cohort.attestation, at_hub) + QUESTION;
        let us = |trips: f64| Duration::from_secs_f64(trips.max(0.0) / 1e6);
        let micros = |trips| u64::try_from(us(trips).as_micros()).unwrap_or(u64::MAX);
        let opening = CONNECTING + dps_trips(cohort.attestation, transport) + QUESTION;
        Delays {
            opening: micros(opening * distance.dps_us),
            question: micros(QUESTION * distance.dps_us),
            hub: micros(to_hub * distance.hub_us),
        }
    }
}

impl Distances {
    /// The most that the line takes of a cohort's devices, with one poll.
    pub(super) fn longest(&self, index: u16, cohort: &Cohort) -> Duration {
        let regions = cohort.regions.iter().map(|(region, _)| *region);
        let ways = regions.flat_map(|region| {
            let transports = cohort.transports.iter();
            transports.map(move |(transport, _)| (region, *transport))
        });
        let taken = ways.map(|(region, transport)| {
            let delays = self.delays(index, cohort, transport, Some(region));
            delays.opening + delays.question + delays.hub
        });
        Duration::from_micros(taken.max().unwrap_or(0))
    }
}

impl Distance {
    fn of(scenario: &Scenario, cohort: &Cohort, region: &Region) -> Self {
        let round_trip = mean_us(region.link.round_trip) + mean_us(region.link.jitter) / 2.0;
        let linked = scenario.tenant(cohort.tenant).map(|tenant| &tenant.hubs);
        let is_allowed = |name: &String| {
            let by = |list: &Vec<String>| list.is_empty() || list.contains(name);
            by(&cohort.hubs) && linked.is_none_or(by)
        };
        let hubs = scenario.server.hubs.iter();
        let farther: Vec<f64> = hubs
            .filter(|hub| is_allowed(&hub.name))
            .map(|hub| {
                let latency = hub
                    .region
                    .as_ref()
                    .and_then(|there| region.latency.get(there));
                let is_here = hub.region.as_ref() == Some(&region.name);
                latency
                    .filter(|_| !is_here)
                    .map_or(0.0, |latency| mean_us(*latency))
            })
            .collect();
        let farther = if cohort.allocation == AllocationPolicy::GeoLatency {
            farther.iter().copied().fold(f64::INFINITY, f64::min)
        } else {
            farther.iter().sum::<f64>() / farther.len() as f64
        };
        Self {
            dps_us: round_trip,
            hub_us: round_trip + if farther.is_finite() { farther } else { 0.0 },
        }
    }
}

fn mean_us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// From the handshake to the first question at DPS.
fn dps_trips(attestation: AttestationKind, transport: TransportKind) -> f64 {
    let upgrade = upgrade(transport);
    let is_x509 = is_x509(attestation);
    upgrade
        + match transport.protocol() {
            // The challenge is the answer to a first question.
            Protocol::Http if attestation == AttestationKind::Tpm => 1.0,
            Protocol::Http => 0.0,
            Protocol::Mqtt => 2.0,
            Protocol::Amqp if attestation == AttestationKind::Tpm => 6.0,
            Protocol::Amqp if is_x509 => 1.0,
            Protocol::Amqp => 3.0,
        }
}

/// From the handshake to the question for the twin, at a hub.
fn hub_trips(attestation: AttestationKind, transport: TransportKind) -> f64 {
    upgrade(transport)
        + match transport.protocol() {
            Protocol::Http | Protocol::Mqtt => 2.0,
            Protocol::Amqp if is_x509(attestation) => 1.0,
            Protocol::Amqp => 3.0,
        }
}

fn upgrade(transport: TransportKind) -> f64 {
    match transport {
        TransportKind::MqttWs | TransportKind::AmqpWs => 1.0,
        TransportKind::Https | TransportKind::Mqtt | TransportKind::Amqp => 0.0,
    }
}

fn is_x509(attestation: AttestationKind) -> bool {
    matches!(
        attestation,
        AttestationKind::X509Group | AttestationKind::X509Individual
    )
}
