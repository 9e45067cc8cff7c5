//! `fleetstorm bench`: what a device costs, as ratios to the bare ceiling, side by side in one run.
//!
//! Each round measures every flow once, the ceiling first; a ratio compares
//! flows of one round, and the median over the rounds is shown, so that a slow
//! moment of the machine does not decide.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fleetstorm_protocol::attestation::TransportKind;
use fleetstorm_reports::units;
use fleetstorm_scenarios::{self as scenarios, Overrides, Plan, Release};
use serde_json::{Map, Value, json};
use tokio::task::LocalSet;

use crate::bundled;
use crate::cli::BenchArgs;
use crate::device::{self, Conditions, Goal};
use crate::failure::Failure;
use crate::fleet::{Credential, Fleet};
use crate::link::dial::{DialOptions, Dialer};
use crate::machine::{self, ProcessMeter};
use crate::run;
use crate::stopwatch::RunClock;
use crate::target::Target;

pub mod bare;

/// Devices under way at once, on each core.
const CONCURRENCY: usize = 32;
/// How often each flow is measured.
const ROUNDS: u32 = 5;
/// Client identities that the ceiling uses, made beforehand.
const BARE_IDENTITIES: u32 = 64;
/// A TPM costs several times an X.509 device: measure fewer.
const TPM_SHARE: u32 = 5;

/// One thing that is measured.
#[derive(Debug, Clone, Copy)]
struct Flow {
    name: &'static str,
    cohort: u16,
    transport: TransportKind,
    goal: Goal,
}

const FLOWS: [Flow; 5] = [
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
        name: "tpm_https_provisioning",
        cohort: 1,
        transport: TransportKind::Https,
        goal: Goal::Provisioned,
    },
];
/// The cohort of TPM devices in `bench.toml`.
const TPM_COHORT: u16 = 1;

/// What one round found of one flow.
#[derive(Debug, Clone, Copy)]
struct Sample {
    per_second: f64,
    simulator_us: f64,
    server_us: f64,
}

/// Measures and prints.
///
/// # Errors
/// A server did not start, or a device was not served.
pub fn bench(args: &BenchArgs) -> Result<(), Failure> {
    machine::raise_file_limit();
    let scenario = scenarios::parse(include_str!("bench/bench.toml"), "bench.toml")
        .map_err(|e| Failure::bug(e.to_string()))?;
    let plan = Plan::new(scenario, &Overrides::default()).map_err(Failure::bug)?;
    let fleet = Arc::new(run::prepare_fleet(&plan)?);
    let log = std::env::temp_dir().join(format!("fleetstorm-bench-{}.log", std::process::id()));
    let server = bundled::launch(
        &plan.scenario().server,
        plan.scenario().seed,
        fleet.enrollments(),
        &log,
    )?;
    let responder = bare::Responder::launch()?;
    let target = server.target();

    let mut bare_samples = Vec::new();
    let mut samples = vec![Vec::new(); FLOWS.len()];
    let next = AtomicU32::new(0);
    let next_tpm = AtomicU32::new(0);
    for round in 1..=ROUNDS {
        if !args.json {
            eprintln!("round {round} of {ROUNDS}");
        }
        bare_samples.push(measure_bare(&responder, &fleet, args.devices)?);
        for (flow, samples) in FLOWS.iter().zip(&mut samples) {
            let (next, devices) = match flow.cohort {
                TPM_COHORT => (&next_tpm, (args.devices / TPM_SHARE).max(1)),
                _ => (&next, args.devices),
            };
            samples.push(measure(
                *flow,
                &plan,
                &fleet,
                &target,
                server.pid(),
                next,
                devices,
            )?);
        }
    }
    let _ = std::fs::remove_file(&log);
    let result = Results {
        bare: bare_samples,
        flows: samples,
    };
    let printed = if args.json {
        result.print_json()
    } else {
        result.print_table()
    };
    printed.map_err(|e| Failure::usage(format!("the figures could not be printed: {e}")))
}

/// Runs `devices` devices through `flow`, as fast as they go.
fn measure(
    flow: Flow,
    plan: &Plan,
    fleet: &Arc<Fleet>,
    target: &Target,
    server: u32,
    next: &AtomicU32,
    devices: u32,
) -> Result<Sample, Failure> {
    let clock = RunClock::starting_at(Instant::now());
    let last = next.load(Ordering::Relaxed) + devices;
    let work = |_core| -> Result<Conditions, Failure> {
        let mut conditions = run::conditions(plan, fleet, target, clock)?;
        conditions.goal = flow.goal;
        Ok(conditions)
    };
    let one = |conditions: Rc<Conditions>| async move {
        let device = next.fetch_add(1, Ordering::Relaxed);
        if device >= last {
            return Ok(false);
        }
        let release = Release {
            cohort: flow.cohort,
            device,
            transport: flow.transport,
            intended_start: Duration::from_micros(conditions.clock.now_us()),
        };
        let record = device::provision(release, &conditions).await;
        if record.outcome.reached(flow.goal == Goal::Provisioned) {
            return Ok(true);
        }
        Err(Failure::unreachable(format!(
            "{}: a device was not served: {}",
            flow.name, record.outcome
        )))
    };
    let sample = timed(server, devices, || on_all_cores(&work, &one))?;
    next.store(last, Ordering::Relaxed);
    Ok(sample)
}

/// Connect, mutual TLS, one exchange, close; with identities made beforehand.
fn measure_bare(
    responder: &bare::Responder,
    fleet: &Fleet,
    devices: u32,
) -> Result<Sample, Failure> {
    let keys: Vec<_> = (0..BARE_IDENTITIES)
        .filter_map(|device| match fleet.identity(0, device).credential {
            Credential::X509(key) => Some(key),
            Credential::Tpm(_) => None,
        })
        .collect();
    let announcement = &responder.announcement;
    let options = DialOptions {
        trust_pem: Some(announcement.ca_pem.clone()),
        connect_to: Some(announcement.address.ip()),
    };
    let left = AtomicU32::new(devices);
    let work = |_core| Dialer::new(&options);
    let one = |dialer: Rc<Dialer>| {
        let (left, keys) = (&left, &keys);
        async move {
            let before = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
            let Ok(before) = before else { return Ok(false) };
            let key = &keys[before as usize % keys.len()];
            let failed =
                |what: String| Failure::unreachable(format!("the bare exchange failed: {what}"));
            let mut stream = dialer
                .dial(bare::HOST, announcement.address.port(), Some(key))
                .await
                .map_err(|e| failed(format!("{e:?}")))?;
            bare::exchange(&mut stream)
                .await
                .map_err(|e| failed(e.to_string()))?;
            Ok(true)
        }
    };
    timed(responder.pid(), devices, || on_all_cores(&work, &one))
}

/// CPU of both sides and wall time of `work`, for each of `devices`.
fn timed(
    server: u32,
    devices: u32,
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<Sample, Failure> {
    let mut meters = [ProcessMeter::own(), ProcessMeter::of(server)];
    let before = meters.each_mut().map(|meter| meter.read().cpu_seconds);
    let start = Instant::now();
    work()?;
    let wall = start.elapsed().as_secs_f64();
    let after = meters.each_mut().map(|meter| meter.read().cpu_seconds);
    let devices = f64::from(devices);
    Ok(Sample {
        per_second: devices / wall,
        simulator_us: (after[0] - before[0]) * 1e6 / devices,
        server_us: (after[1] - before[1]) * 1e6 / devices,
    })
}

/// A closed loop of [`CONCURRENCY`] on every core: `one` is called until it says that no work is left.
fn on_all_cores<State, Work, One, Doing>(work: &Work, one: &One) -> Result<(), Failure>
where
    Work: Fn(usize) -> Result<State, Failure> + Sync,
    One: Fn(Rc<State>) -> Doing + Sync,
    Doing: Future<Output = Result<bool, Failure>>,
{
    std::thread::scope(|scope| {
        let cores: Vec<_> = (0..machine::cores())
            .map(|core| {
                scope.spawn(move || -> Result<(), Failure> {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .map_err(|e| Failure::bug(format!("a core could not start: {e}")))?;
                    let state = Rc::new(work(core)?);
                    let failed = Cell::new(None);
                    let loops = (0..CONCURRENCY).map(|_| async {
                        loop {
                            match one(Rc::clone(&state)).await {
                                Ok(true) => {}
                                Ok(false) => return,
                                Err(failure) => {
                                    failed.set(Some(failure));
                                    return;
                                }
                            }
                        }
                    });
                    LocalSet::new().block_on(&runtime, futures_util::future::join_all(loops));
                    failed.take().map_or(Ok(()), Err)
                })
            })
            .collect();
        for core in cores {
            core.join()
                .map_err(|_| Failure::bug("a core's thread panicked"))??;
        }
        Ok(())
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

    fn print_table(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
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

    fn print_json(&self) -> io::Result<()> {
        let mut ratios = Map::new();
        let mut rates = Map::new();
        let mut cpu = Map::new();
        for (name, samples, ratio) in self.rows() {
            rates.insert(
                name.into(),
                json!(median(samples.iter().map(|s| s.per_second))),
            );
            cpu.insert(
                name.into(),
                json!({
                    "simulator": median(samples.iter().map(|s| s.simulator_us)),
                    "server": median(samples.iter().map(|s| s.server_us)),
                }),
            );
            if let Some(ratio) = ratio {
                ratios.insert(name.into(), json!(ratio));
            }
        }
        let all: Value = json!({
            "schema_version": 1,
            "rounds": ROUNDS,
            "ratios": ratios,
            "per_second": rates,
            "cpu_us": cpu,
        });
        writeln!(io::stdout(), "{all:#}")
    }
}

/// The middle value; zero of none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        for (values, expected) in [
            (vec![], 0.0),
            (vec![3.0], 3.0),
            (vec![9.0, 1.0, 2.0], 2.0),
            (vec![1.0, 2.0, 3.0, 10.0], 2.5),
        ] {
            assert!((median(values.into_iter()) - expected).abs() < f64::EPSILON);
        }
    }
}
