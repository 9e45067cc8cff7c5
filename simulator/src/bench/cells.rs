//! `fleetstorm bench --cells`: every attestation over every transport that DPS offers it on.

use std::io::{self, Write};
use std::sync::atomic::AtomicU32;

use fleetstorm_protocol::attestation::{AttestationKind, TransportKind};
use fleetstorm_reports::units;

use super::document::{CellDocument, CellsDocument, CpuDocument, SCHEMA_VERSION};
use super::held::{self, Held};
use super::measure::{self, Flow, Sample, median};
use super::setup::Setup;
use crate::cli::BenchArgs;
use crate::console;
use crate::device::Goal;
use crate::failure::Failure;

/// How often each cell is measured.
const ROUNDS: u32 = 3;
/// Most devices for one sample: 15 samples of one cohort must fit its enrollments.
const MOST: u32 = 1_000;
/// A TPM costs several times another device: measure fewer.
const TPM_SHARE: u32 = 5;

/// One attestation over one transport.
struct Cell {
    attestation: AttestationKind,
    transport: TransportKind,
    cohort: u16,
    samples: Vec<Sample>,
}

/// Measures and prints.
///
/// # Errors
/// A server did not start, or a device was not served.
pub(super) fn bench(args: &BenchArgs, setup: &Setup) -> Result<(), Failure> {
    let mut cells: Vec<Cell> = (0..)
        .zip(&setup.plan.scenario().cohorts)
        .flat_map(|(cohort, described)| {
            let attestation = described.attestation;
            let offered = TransportKind::ALL
                .into_iter()
                .filter(move |transport| attestation.works_over(*transport));
            offered.map(move |transport| Cell {
                attestation,
                transport,
                cohort,
                samples: Vec::new(),
            })
        })
        .collect();
    let next: Vec<AtomicU32> = (setup.plan.scenario().cohorts.iter())
        .map(|_| AtomicU32::new(0))
        .collect();
    for round in 1..=ROUNDS {
        for cell in &mut cells {
            if !args.json {
                console::remark(format_args!(
                    "round {round} of {ROUNDS}: {} over {}",
                    cell.attestation, cell.transport
                ));
            }
            let flow = Flow {
                name: cell.attestation.name(),
                cohort: cell.cohort,
                transport: cell.transport,
                goal: Goal::Provisioned,
            };
            let devices = match cell.attestation {
                AttestationKind::Tpm => args.devices.min(MOST) / TPM_SHARE,
                _ => args.devices.min(MOST),
            };
            let next = &next[usize::from(cell.cohort)];
            cell.samples
                .push(measure::measure(flow, setup, next, devices)?);
        }
    }
    let mut weighed = Vec::with_capacity(cells.len());
    for cell in &cells {
        if !args.json {
            console::remark(format_args!(
                "holding: {} over {}",
                cell.attestation, cell.transport
            ));
        }
        weighed.push(held::weigh_apart(cell.cohort, cell.transport)?);
    }
    console::answer(|out| {
        if args.json {
            write_json(&cells, &weighed, out)
        } else {
            write_table(&cells, &weighed, out)
        }
    })
}

impl Cell {
    fn median(&self, figure: fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(figure))
    }

    /// Both sides' CPU by that of the same attestation over MQTT (over HTTPS where MQTT is not
    /// offered), round by round.
    fn to_mqtt(&self, cells: &[Cell]) -> f64 {
        let of = |transport| {
            cells
                .iter()
                .find(|cell| cell.attestation == self.attestation && cell.transport == transport)
        };
        let reference = of(TransportKind::Mqtt).or_else(|| of(TransportKind::Https));
        let cpu = |sample: &Sample| sample.simulator_us + sample.server_us;
        reference.map_or(1.0, |reference| {
            let pairs = self.samples.iter().zip(&reference.samples);
            median(pairs.map(|(own, mqtt)| cpu(own) / cpu(mqtt)))
        })
    }
}

fn write_table(cells: &[Cell], weighed: &[Held], out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<26}{:<9}{:>10}{:>14}{:>11}{:>9}{:>15}{:>13}",
        "attestation",
        "over",
        "rate",
        "simulator µs",
        "server µs",
        "by MQTT",
        "simulator held",
        "server held"
    )?;
    for (cell, held) in cells.iter().zip(weighed) {
        writeln!(
            out,
            "{:<26}{:<9}{:>10}{:>14.0}{:>11.0}{:>9.2}{:>15}{:>13}",
            cell.attestation.name(),
            cell.transport.name(),
            units::rate(cell.median(|sample| sample.per_second)),
            cell.median(|sample| sample.simulator_us),
            cell.median(|sample| sample.server_us),
            cell.to_mqtt(cells),
            units::bytes(held.simulator),
            units::bytes(held.server),
        )?;
    }
    writeln!(
        out,
        "\nµs: CPU time per provisioned device; by MQTT: both sides' CPU by that of the same attestation over MQTT\n(a TPM's: over HTTPS) in the same round; held: resident memory per connection held with the hub"
    )
}

fn write_json(cells: &[Cell], weighed: &[Held], out: &mut dyn Write) -> io::Result<()> {
    let rows = cells.iter().zip(weighed).map(|(cell, held)| CellDocument {
        attestation: cell.attestation.name().to_owned(),
        transport: cell.transport.name().to_owned(),
        per_second: cell.median(|sample| sample.per_second),
        cpu_us: CpuDocument {
            simulator: cell.median(|sample| sample.simulator_us),
            server: cell.median(|sample| sample.server_us),
        },
        cpu_by_mqtt: cell.to_mqtt(cells),
        held_bytes: *held,
    });
    let document = CellsDocument {
        schema_version: SCHEMA_VERSION,
        rounds: ROUNDS,
        cells: rows.collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}
