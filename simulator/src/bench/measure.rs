//! One sample: as many devices as asked for through one flow, as fast as they go, on all cores.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fleetstorm_protocol::attestation::TransportKind;
use fleetstorm_scenarios::Release;
use tokio::task::LocalSet;

use super::bare;
use super::setup::Setup;
use crate::device::geography::Geography;
use crate::device::{self, Conditions, Goal};
use crate::failure::Failure;
use crate::fleet::{Credential, Fleet};
use crate::link::dial::{DialOptions, Dialer, Way};
use crate::link::region_link::RegionLinks;
use crate::machine::{self, ProcessMeter};
use crate::run;
use crate::stopwatch::RunClock;

/// Devices under way at once, on each core.
const CONCURRENCY: usize = 32;
/// Client identities that the ceiling uses, made beforehand.
const BARE_IDENTITIES: u32 = 64;

/// One thing that is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    /// For people and JSON.
    pub(super) name: &'static str,
    /// Index in `bench.toml`.
    pub(super) cohort: u16,
    /// What its devices speak to DPS.
    pub(super) transport: TransportKind,
    /// How far they go.
    pub(super) goal: Goal,
}

/// What one round found of one flow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Devices a second.
    pub(super) per_second: f64,
    /// CPU per device, microseconds.
    pub(super) simulator_us: f64,
    /// CPU per device, microseconds.
    pub(super) server_us: f64,
}

/// Runs `devices` devices through `flow`, as fast as they go.
pub(super) fn measure(
    flow: Flow,
    setup: &Setup,
    next: &AtomicU32,
    devices: u32,
) -> Result<Sample, Failure> {
    let clock = RunClock::starting_at(tokio::time::Instant::now());
    let last = next.load(Ordering::Relaxed) + devices;
    let work = |_core| -> Result<Conditions, Failure> {
        let geography = Geography::of(setup.plan.scenario(), &RegionLinks::of(&[]));
        let around = (clock, &Arc::new(geography));
        let mut conditions = run::conditions(&setup.plan, &setup.fleet, &setup.target, around)?;
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
            region: None,
            intended_start: Duration::from_micros(conditions.clock.now_us()),
        };
        let record = device::provision_and_leave(release, &conditions).await;
        if record.outcome.reached(flow.goal == Goal::Provisioned) {
            return Ok(true);
        }
        Err(Failure::unreachable(format!(
            "{}: a device was not served: {}",
            flow.name, record.outcome
        )))
    };
    let sample = timed(setup.server.pid(), devices, || on_all_cores(&work, &one))?;
    next.store(last, Ordering::Relaxed);
    Ok(sample)
}

/// Connect, mutual TLS, one exchange, close; with identities made beforehand.
pub(super) fn measure_bare(
    responder: &bare::Responder,
    fleet: &Fleet,
    devices: u32,
) -> Result<Sample, Failure> {
    let keys: Vec<_> = (0..BARE_IDENTITIES)
        .filter_map(|device| match fleet.identity(0, device).credential {
            Credential::X509(key) => Some(key),
            Credential::SymmetricKey(_) | Credential::Tpm(_) => None,
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
                .dial(
                    bare::HOST,
                    announcement.address.port(),
                    Some(key),
                    Way::default(),
                )
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

/// The middle value; zero of none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
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
