//! How fast this machine is beside the one whose costs are written down: a short measurement of one cell.

use std::sync::atomic::AtomicU32;

use fleetstorm_protocol::attestation::{AttestationKind, TransportKind};
use fleetstorm_scenarios::forecast::cost::Cost;
use fleetstorm_scenarios::{Overrides, Plan};

use super::Setup;
use super::measure::{self, Flow};
use crate::device::Goal;
use crate::failure::Failure;
use crate::machine;

/// Devices of one sample; the first sample warms up.
const DEVICES: u32 = 400;
const SAMPLES: usize = 4;

/// Time that a device takes from all cores together, beside what its written-down CPU would take: 2 is half
/// as fast. Whatever else keeps the cores busy is part of it. Measured is what most devices of `plan` do.
///
/// # Errors
/// The server did not start, or a device was not served.
pub fn slowness(plan: &Plan) -> Result<f64, Failure> {
    let Some((attestation, transport)) = most_frequent(plan) else {
        return Err(Failure::usage("no device is left to measure for"));
    };
    let setup = Setup::new(|mut scenario| {
        scenario
            .cohorts
            .retain(|cohort| cohort.attestation == attestation);
        let overrides = Overrides {
            devices: Some((u64::from(DEVICES) * SAMPLES as u64).max(1)),
            ..Overrides::default()
        };
        Plan::new(scenario, &overrides).map_err(Failure::bug)
    })?;
    let flow = Flow {
        name: "calibration",
        cohort: 0,
        transport,
        goal: Goal::Provisioned,
    };
    let next = AtomicU32::new(0);
    let mut rates = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        rates.push(measure::measure(flow, &setup, &next, DEVICES)?.per_second);
    }
    let cost = Cost::measured(attestation, transport);
    let cpu_us = f64::from(cost.simulator_us + cost.server_us);
    let per_second = measure::median(rates.into_iter().skip(1));
    #[expect(clippy::cast_precision_loss, reason = "a number of cores")]
    let cores = machine::cores() as f64;
    Ok(cores * 1e6 / (per_second * cpu_us))
}

/// The attestation that most devices have, and what most of those speak.
fn most_frequent(plan: &Plan) -> Option<(AttestationKind, TransportKind)> {
    let cohorts = &plan.scenario().cohorts;
    let cohort = cohorts.iter().max_by_key(|cohort| cohort.devices)?;
    let (transport, _) = cohort.transports.iter().max_by_key(|(_, weight)| *weight)?;
    Some((cohort.attestation, *transport))
}
