//! What a held connection weighs: resident memory of each side, per device that stays with its hub.
//!
//! Each transport is weighed in processes of its own, because memory that an earlier
//! fleet gave back would be taken again without being seen.

use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_protocol::attestation::TransportKind;
use fleetstorm_scenarios::{Overrides, Plan, Release, Scenario};
use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use super::setup::Setup;
use crate::cli::HeldArgs;
use crate::console;
use crate::device::geography::Geography;
use crate::device::{self, Conditions};
use crate::failure::Failure;
use crate::generator::delay::Delay;
use crate::link::hub::HubLink;
use crate::link::region_link::RegionLinks;
use crate::machine::ProcessMeter;
use crate::run;
use crate::stopwatch::RunClock;

/// Devices that come and go before the first weighing.
const WARM_UP: u32 = 200;
/// Devices that stay.
const STAY: u32 = 2_000;
/// Devices under way at once. `join_all` gives each of more than thirty futures a place of its own,
/// which the waker in a held socket keeps: 14 KB a connection that no connection needs.
const BATCH: usize = 30;

/// Bytes of resident memory per held connection; the kernel's socket buffers are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Held {
    /// Of the simulator: TLS, the protocol's session, buffers.
    pub(super) simulator: u64,
    /// Of the server: the same, and the task that serves it.
    pub(super) server: u64,
}

/// Weighs a cell in a process of its own.
///
/// # Errors
/// The process failed: with its words.
pub(super) fn weigh_apart(cohort: u16, transport: TransportKind) -> Result<Held, Failure> {
    let failed = |problem: String| Failure::bug(format!("weighing {transport}: {problem}"));
    let program = std::env::current_exe().map_err(|e| failed(e.to_string()))?;
    let output = Command::new(program)
        .args(["bench-held", "--cohort", &cohort.to_string()])
        .args(["--transport", transport.name()])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| failed(e.to_string()))
}

/// `fleetstorm bench-held`: one cell, weighed in this process.
///
/// # Errors
/// The server did not start, or a device was not served.
pub fn weigh(args: &HeldArgs) -> Result<(), Failure> {
    let transport = TransportKind::ALL
        .into_iter()
        .find(|transport| transport.name() == args.transport)
        .ok_or_else(|| Failure::usage(format!("{}: no such transport", args.transport)))?;
    let setup = Setup::new(|scenario| only(scenario, args.cohort))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::bug(format!("the runtime could not start: {e}")))?;
    let held = LocalSet::new().block_on(&runtime, hold(&setup, transport))?;
    let line = serde_json::to_string(&held).map_err(|e| Failure::bug(e.to_string()))?;
    console::answer(|out| writeln!(out, "{line}"))
}

/// The scenario's cohort at `index` alone, as many devices as are weighed.
fn only(scenario: Scenario, index: u16) -> Result<Plan, Failure> {
    let cohort = scenario.cohorts.get(usize::from(index)).cloned();
    let cohort = cohort.ok_or_else(|| Failure::usage(format!("{index}: no such cohort")))?;
    let overrides = Overrides {
        devices: Some((WARM_UP + STAY).into()),
        ..Overrides::default()
    };
    let alone = Scenario {
        cohorts: vec![cohort],
        ..scenario
    };
    Plan::new(alone, &overrides).map_err(Failure::bug)
}

async fn hold(setup: &Setup, transport: TransportKind) -> Result<Held, Failure> {
    let clock = RunClock::starting_at(tokio::time::Instant::now());
    let geography = Geography::of(setup.plan.scenario(), &RegionLinks::of(&[]));
    let around = (clock, &Arc::new(geography));
    let conditions = run::conditions(&setup.plan, &setup.fleet, &setup.target, around)?;
    let conditions = Rc::new(conditions);
    for link in stay(0..WARM_UP, transport, &conditions).await? {
        link.close().await;
    }
    let mut meters = [ProcessMeter::own(), ProcessMeter::of(setup.server.pid())];
    let before = meters.each_mut().map(|meter| meter.read().rss_bytes);
    let links = stay(WARM_UP..WARM_UP + STAY, transport, &conditions).await?;
    let after = meters.each_mut().map(|meter| meter.read().rss_bytes);
    drop(links);
    let per_device = |side: usize| after[side].saturating_sub(before[side]) / u64::from(STAY);
    Ok(Held {
        simulator: per_device(0),
        server: per_device(1),
    })
}

/// Provisions `devices`; their sessions with the hub stay open.
async fn stay(
    devices: std::ops::Range<u32>,
    transport: TransportKind,
    conditions: &Rc<Conditions>,
) -> Result<Vec<HubLink>, Failure> {
    let all: Vec<u32> = devices.collect();
    let mut links = Vec::with_capacity(all.len());
    for batch in all.chunks(BATCH) {
        let provisioning = batch.iter().map(|device| {
            let release = Release {
                cohort: 0,
                device: *device,
                transport,
                region: None,
                intended_start: Duration::from_micros(conditions.clock.now_us()),
            };
            let conditions = Rc::clone(conditions);
            async move { device::provision(release, &conditions, Delay::default()).await }
        });
        for (record, settled) in join_all(provisioning).await {
            let refused = || {
                let outcome = record.outcome;
                Failure::unreachable(format!("a device was not served: {outcome}"))
            };
            links.push(
                settled
                    .map(|settled| settled.hub)
                    .filter(|_| record.outcome.is_provisioned())
                    .ok_or_else(refused)?,
            );
        }
    }
    Ok(links)
}
