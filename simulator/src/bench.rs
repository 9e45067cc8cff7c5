//! `fleetstorm bench`: what a device costs, as ratios to the bare ceiling, side by side in one run.
//!
//! Each round measures every flow once, the ceiling first; a ratio compares
//! flows of one round, and the median over the rounds is shown, so that a slow
//! moment of the machine does not decide.

use std::io::{self, Write};
use std::sync::atomic::AtomicU32;

use fleetstorm_protocol::attestation::TransportKind;
use fleetstorm_reports::units;
use fleetstorm_scenarios::{Overrides, Plan};

use self::document::{BenchDocument, CpuDocument, SCHEMA_VERSION};
use crate::cli::BenchArgs;
use crate::console;
use crate::device::Goal;
use crate::failure::Failure;
use measure::{Flow, Sample, median};
use setup::Setup;

pub mod bare;
pub mod calibrate;
pub mod held;

mod cells;
mod document;
mod measure;
mod setup;

/// How often each flow is measured.
const ROUNDS: u32 = 5;
/// A TPM costs several times an X.509 device: measure fewer.
const TPM_SHARE: u32 = 5;

const FLOWS: [Flow; 7] = [
    Flow {
        name: "x509_https_registration",
        cohort: 0,
        transport: TransportKind::Https,
        goal: Goal::Registered,
    },
    Flow {
        name: "x509_mqtt_registration",
        cohort: 0,
        transport: TransportKind::Mqtt,
        goal: Goal::Registered,
    },
    Flow {
        name: "x509_amqp_registration",
        cohort: 0,
        transport: TransportKind::Amqp,
        goal: Goal::Registered,
    },
    Flow {
        name: "x509_https_provisioning",
        cohort: 0,
        transport: TransportKind::Https,
        goal: Goal::Provisioned,
    },
    Flow {
        name: "x509_mqtt_provisioning",
        cohort: 0,
        transport: TransportKind::Mqtt,
        goal: Goal::Provisioned,
    },
    Flow {
        name: "x509_amqp_provisioning",
        cohort: 0,
        transport: TransportKind::Amqp,
        goal: Goal::Provisioned,
    },
    Flow {
        name: "tpm_https_provisioning",
        cohort: 1,
        transport: TransportKind::Https,
        goal: Goal::Provisioned,
    },
];
/// The cohort of TPM devices in `bench.toml`.
const TPM_COHORT: u16 = 1;
/// The cohorts of these flows stand first in `bench.toml`.
const STANDARD_COHORTS: usize = 2;

/// Measures and prints.
///
/// # Errors
/// A server did not start, or a device was not served.
pub fn bench(args: &BenchArgs) -> Result<(), Failure> {
    let setup = Setup::new(|mut scenario| {
        if !args.cells {
            scenario.cohorts.truncate(STANDARD_COHORTS);
        }
        Plan::new(scenario, &Overrides::default()).map_err(Failure::bug)
    })?;
    if args.cells {
        return cells::bench(args, &setup);
    }
    let responder = bare::Responder::launch()?;
    let mut bare_samples = Vec::new();
    let mut samples = vec![Vec::new(); FLOWS.len()];
    let next = AtomicU32::new(0);
    let next_tpm = AtomicU32::new(0);
    for round in 1..=ROUNDS {
        if !args.json {
            console::remark(format_args!("round {round} of {ROUNDS}"));
        }
        bare_samples.push(measure::measure_bare(
            &responder,
            &setup.fleet,
            args.devices,
        )?);
        for (flow, samples) in FLOWS.iter().zip(&mut samples) {
            let (next, devices) = match flow.cohort {
                TPM_COHORT => (&next_tpm, (args.devices / TPM_SHARE).max(1)),
                _ => (&next, args.devices),
            };
            samples.push(measure::measure(*flow, &setup, next, devices)?);
        }
    }
    let result = Results {
        bare: bare_samples,
        flows: samples,
    };
    console::answer(|out| {
        if args.json {
            result.write_json(out)
        } else {
            result.write_table(out)
        }
    })
}

/// All samples of all rounds.
struct Results {
    bare: Vec<Sample>,
    flows: Vec<Vec<Sample>>,
}

impl Results {
    /// Median over the rounds of a flow's rate by the ceiling's of the same round.
    fn ratio(&self, flow: &[Sample]) -> f64 {
        median(
            flow.iter()
                .zip(&self.bare)
                .map(|(flow, bare)| flow.per_second / bare.per_second),
        )
    }

    fn rows(&self) -> impl Iterator<Item = (&'static str, &[Sample], Option<f64>)> {
        let ceiling = ("bare", self.bare.as_slice(), None);
        let flows = FLOWS.iter().zip(&self.flows);
        std::iter::once(ceiling).chain(
            flows.map(|(flow, samples)| (flow.name, samples.as_slice(), Some(self.ratio(samples)))),
        )
    }

    fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{:<26}{:>10}{:>9}{:>16}{:>13}",
            "flow", "rate", "ratio", "simulator µs", "server µs"
        )?;
        for (name, samples, ratio) in self.rows() {
            writeln!(
                out,
                "{:<26}{:>10}{:>9}{:>16.0}{:>13.0}",
                name,
                units::rate(median(samples.iter().map(|s| s.per_second))),
                ratio.map_or("1".into(), |ratio| format!("{ratio:.2}")),
                median(samples.iter().map(|s| s.simulator_us)),
                median(samples.iter().map(|s| s.server_us)),
            )?;
        }
        writeln!(
            out,
            "\nratio: rate by that of the bare ceiling (connect, mutual TLS, one exchange, close) in the same round"
        )?;
        writeln!(out, "µs: CPU time per device")
    }

    fn document(&self) -> BenchDocument {
        let of = |figure: fn(&Sample) -> f64| {
            let rows = self.rows();
            rows.map(move |(name, samples, _)| {
                (name.to_owned(), median(samples.iter().map(figure)))
            })
        };
        let cpu = of(|sample| sample.simulator_us).zip(of(|sample| sample.server_us));
        let ratios = self.rows();
        BenchDocument {
            schema_version: SCHEMA_VERSION,
            rounds: ROUNDS,
            ratios: ratios
                .filter_map(|(name, _, ratio)| Some((name.to_owned(), ratio?)))
                .collect(),
            per_second: of(|sample| sample.per_second).collect(),
            cpu_us: cpu
                .map(|((name, simulator), (_, server))| (name, CpuDocument { simulator, server }))
                .collect(),
        }
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, &self.document())?;
        writeln!(out)
    }
}
