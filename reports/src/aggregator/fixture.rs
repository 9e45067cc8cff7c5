//! A small run for tests of whatever reads a summary: four devices, one of them refused.

use std::time::Duration;

use super::{Aggregator, Ending, Live, RunInfo};
use crate::counters::{CounterRow, ServerCounters};
use crate::dimensions::Dimensions;
use crate::exact::Decimal;
use crate::journal::Journal;
use crate::machine::Machine;
use crate::oracle::{Contradiction, Oracle, OracleRow};
use crate::outcome::Outcome;
use crate::phase::Phase;
use crate::rates::Arrivals;
use crate::record::{Record, sample};
use crate::slo::{Aim, Slo};
use crate::snapshot::RunState;
use crate::summary::{ProcessResources, Resources, Summary};
use crate::threshold::Terms;
use crate::threshold::expression::Written;

/// What is known beforehand.
pub(crate) fn info() -> RunInfo {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let written = |name: &str, condition: &str, terms| Written {
        name: name.into(),
        condition: condition.into(),
        terms,
        planned: 4,
    };
    let window = Terms {
        window: Some(Duration::from_secs(1)),
        ..Terms::default()
    };
    RunInfo {
        schema_version: crate::journal::SCHEMA_VERSION,
        scenario: "nightly".into(),
        target: "global.fleetstorm.test (bundled server)".into(),
        seed: 7,
        time_scale: 60.0,
        fleetstorm_version: "0.1.0".into(),
        started_at: "2026-11-24T10:00:00Z".into(),
        machine: Machine {
            name: Some("lab-1".into()),
            cores: 2,
            cpu: Some("Virtual CPU".into()),
            memory_bytes: Some(8 << 30),
            kernel: Some("6.1.0".into()),
        },
        planned: 4,
        arrivals: Some(Arrivals {
            first_us: 0,
            last_us: 1_500_000,
            until_us: 2_000_000,
        }),
        max_dropped: crate::validity::MAX_DROPPED,
        dimensions: Dimensions {
            cohorts: names(&["gateways", "controllers"]),
            transports: names(&["https", "mqtt"]),
            attestations: names(&["x509-group", "tpm"]),
            tenants: Vec::new(),
            regions: Vec::new(),
            hubs: names(&["hub-1.fleetstorm.test", "hub-2.fleetstorm.test"]),
        },
        thresholds: vec![
            written("provisioned.ratio", "== 100%", Terms::default()),
            written(
                "registration.response.p99{transport:https}",
                "< 5s",
                Terms::default(),
            ),
            written("provisioned.ratio", ">= 50%", window),
        ],
        slos: vec![Slo {
            name: "registrations".into(),
            of: Aim::Registered,
            within_us: Some(2_000_000),
            cohort: None,
            objective: Decimal::parse("0.999").expect("a share"),
            window_s: 2_592_000,
            confidence: 0.95,
        }],
    }
}

/// Four devices: the last is refused.
pub(crate) fn records() -> Vec<Record> {
    let at = |device: u32| {
        let mut record = sample();
        let offset = u64::from(device) * 500_000;
        record.device = device;
        record.hub = Some(u16::try_from(device % 2).expect("0 or 1"));
        record.transport = u8::try_from(device % 2).expect("0 or 1");
        record.intended_start_us += offset;
        record.start_us += offset;
        record.registered_us = record.registered_us.map(|us| us + offset);
        record.end_us += offset;
        record
    };
    let mut refused = at(3);
    refused.outcome = Outcome::Refused {
        phase: Phase::Register,
        status: 401,
        code: 401_002,
    };
    refused.cohort = 1;
    refused.registered_us = None;
    refused.hub = None;
    refused.phases_us[Phase::Twin as usize] = crate::record::NOT_REACHED;
    vec![at(0), at(1), at(2), refused]
}

/// What is known afterwards.
pub(crate) fn ending() -> Ending {
    let row = |name: &str| CounterRow {
        name: name.into(),
        server: 3,
        simulator: 3,
        unheard: 0,
        displaced: 0,
        uncounted: 0,
        agrees: true,
    };
    Ending {
        elapsed_us: 1_505_000,
        released: 4,
        server_counters: Some(ServerCounters {
            rows: vec![row("registrations assigned")],
            agree: true,
            left_out: 0,
        }),
        resources: Resources {
            simulator: ProcessResources {
                cpu_seconds: 0.25,
                peak_rss_bytes: 20 << 20,
            },
            server: Some(ProcessResources {
                cpu_seconds: 0.5,
                peak_rss_bytes: 30 << 20,
            }),
        },
        ..Ending::default()
    }
}

/// As if the last device had had to be let in.
fn oracle() -> Oracle {
    let row = |cohort: &str, as_intended, contradictions| OracleRow {
        cohort: cohort.into(),
        intended: "provisioned at any hub".into(),
        planned: as_intended + contradictions,
        as_intended,
        contradictions,
        ..OracleRow::default()
    };
    Oracle {
        cohorts: vec![row("gateways", 3, 0), row("controllers", 0, 1)],
        left_out: 0,
        contradictions: 1,
        examples: vec![Contradiction {
            device: "controllers-0000000".into(),
            at_us: 1_505_000,
            intended: "provisioned at any hub".into(),
            came: "refused at register: 401 (401002)".into(),
        }],
        unrecorded: 0,
    }
}

/// The fold of it, before its end.
pub(crate) fn aggregator(journal: Option<Journal>) -> Aggregator {
    let mut aggregator = Aggregator::new(info(), journal).expect("a writable journal");
    for record in records() {
        aggregator.add(&record);
    }
    aggregator
}

/// A device every half second.
pub(crate) fn due_before(second: u64) -> u64 {
    (2 * second).min(4)
}

/// The moment after the last device.
pub(crate) fn live() -> Live {
    Live {
        elapsed_us: 1_600_000,
        state: RunState::Finished,
        due: 4,
        released: 4,
        ..Live::default()
    }
}

/// The result.
pub(crate) fn summary() -> Summary {
    let ending = Ending {
        oracle: Some(oracle()),
        ..ending()
    };
    aggregator(None).finish(ending).summary
}
