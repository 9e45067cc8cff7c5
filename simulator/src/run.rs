//! `fleetstorm run`: the whole data flow on one page.

mod director;
mod limits;
pub mod loading;
mod observer;
mod oracle;
pub mod preflight;
mod reconciliation;
mod scheduler;
mod start;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use fleetstorm_protocol::attestation::{AttestationKind, TransportKind};
use fleetstorm_reports::generator::LoopLag;
use fleetstorm_reports::rates::Arrivals;
use fleetstorm_reports::run::{Finished, RunInfo};
use fleetstorm_reports::verdict::exit_code;
use fleetstorm_reports::{Aggregator, Dimensions, recorder};
use fleetstorm_scenarios::{Flaw, Plan, Scenario};
use tokio::sync::watch;

use self::director::{Director, EventLog, Instance, Operator};
use self::limits::Limits;
use self::observer::Observer;
use self::oracle::Oracle;
use self::preflight::{Has, Needs};
use self::reconciliation::Reconciliation;
use self::scheduler::{Gauges, Share};
use self::start::Start;
use crate::cli::RunArgs;
use crate::console;
use crate::device::geography::Geography;
use crate::device::goodbyes::Goodbyes;
use crate::device::orders::Orders;
use crate::device::{CohortProfile, Conditions, Goal};
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::generator::health::HealthWatch;
use crate::interrupt::{self, Interrupts};
use crate::link::dial::Dialer;
use crate::link::region_link::RegionLinks;
use crate::machine;
use crate::server::bundled::{self, BundledServer};
use crate::server::target::{self, Target};
use crate::stopwatch::RunClock;
use crate::view::comparison;
use crate::view::conclusion::conclude;
use crate::view::outputs;
use crate::view::report_folder::{self, ReportFolder};
use crate::view::viewer;

/// Records that may wait for the fold.
const RECORD_QUEUE: usize = 1 << 16;

/// Runs a scenario; returns the exit code of its verdict.
///
/// # Errors
/// The run could not start, or its report could not be written.
pub fn run(args: &RunArgs) -> Result<u8, Failure> {
    let interrupts =
        interrupt::listen().map_err(|e| Failure::bug(format!("signals can't be heard: {e}")))?;
    // What fails because the run is called off is no failure of its own.
    run_heard(args, &interrupts).map_err(|failure| interrupt::check().err().unwrap_or(failure))
}

fn run_heard(args: &RunArgs, interrupts: &Interrupts) -> Result<u8, Failure> {
    let plan = Arc::new(plan_of(args)?);
    let scenario = plan.scenario();
    if let Some(target) = &scenario.target {
        target::consent(target, args.yes_load_test.as_deref())?;
    }
    let outputs = outputs::all(&args.output, &scenario.outputs);
    outputs::check(&outputs)?;
    let baselines = comparison::read(&args.baseline)?;
    let mut folder = ReportFolder::claim(args.out.as_deref(), &scenario.name, args.force)?;
    Needs::of(&plan).check(&Has::look())?;
    let mut fleet = prepare_fleet(&plan)?;
    let start = Start::of(&plan, jiff::Timestamp::now());
    if let Start::Appointed(at) = start {
        fleet.start_at(at, scenario);
    }
    let fleet = Arc::new(fleet);

    let server = match &scenario.target {
        Some(_) => None,
        None => Some(Arc::new(bundled::launch(scenario, &fleet, &folder.log())?)),
    };
    let target = match (&server, &scenario.target) {
        (Some(server), _) => server.target(),
        (None, Some(target)) => Target {
            hubs: args.target.hubs.clone(),
            ..Target::of_scenario(target, &scenario.tenants)?
        },
        (None, None) => return Err(Failure::bug("a run without a target")),
    };
    target.probe(&plan)?;

    let operator = server.as_ref().map(|server| {
        Ok(Operator {
            server: Arc::clone(server),
            control: server.control(),
            instances: Instance::of_all(&target.id_scopes, server.service_sides()?),
            hubs: server.hub_sides()?,
            fleet: Arc::clone(&fleet),
        })
    });
    let operator = operator.transpose()?;
    let around = (start, server, operator);
    let finished = drive(
        &plan,
        fleet,
        &target,
        around,
        (args, interrupts),
        &mut folder,
    )?;
    let candidate = comparison::named("this run", finished.summary.clone());
    let exit_code = conclude(finished, &folder, &outputs, interrupts)?;
    if baselines.is_empty() {
        return Ok(exit_code);
    }
    let compared = comparison::compare(&baselines, &[candidate], args.tolerance)?;
    comparison::show(&compared)?;
    // What is wrong with the run itself comes first.
    Ok(match exit_code {
        exit_code::PASS => compared.exit_code,
        other => other,
    })
}

/// Reads the scenario and applies the command line.
fn plan_of(args: &RunArgs) -> Result<Plan, Failure> {
    let mut scenario = loading::scenario(&args.scenario)?;
    scenario.target = args.target.over(scenario.target)?;
    director::refuse_elsewhere(&scenario)?;
    loading::plan(scenario, &args.scenario, &args.over.overrides())
}

/// Derives the fleet; finding primes takes a moment the first time, so it is said.
pub(crate) fn prepare_fleet(plan: &Plan) -> Result<Fleet, Failure> {
    let said = std::sync::Once::new();
    Fleet::prepare(plan, cache_folder().as_deref(), &|_, needed| {
        said.call_once(|| {
            console::remark(format_args!(
                "finding {needed} primes for the TPMs' keys (once for this seed)"
            ));
        });
    })
}

/// `$XDG_CACHE_HOME/fleetstorm`, by default `~/.cache/fleetstorm`.
fn cache_folder() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    base.or_else(home).map(|base| base.join("fleetstorm"))
}

/// Releases the fleet and watches it to its end.
fn drive(
    plan: &Arc<Plan>,
    fleet: Arc<Fleet>,
    target: &Target,
    (start, server, operator): (Start, Option<Arc<BundledServer>>, Option<Operator>),
    (args, interrupts): (&RunArgs, &Interrupts),
    folder: &mut ReportFolder,
) -> Result<Finished, Failure> {
    let (clock, started_at) = start.begin();

    let dimensions = dimensions(plan.scenario(), target);
    let hubs = dimensions.hubs.clone();
    let oracle = Oracle::new(
        plan,
        oracle::Setting {
            hubs: hubs.clone(),
            id_scopes: target.id_scopes.iter().map(ToString::to_string).collect(),
            started_at,
            server_born_us: server.as_ref().map(|server| {
                let (earliest, latest) = server.born();
                (
                    clock.offset_us(earliest.into()),
                    clock.offset_us(latest.into()),
                )
            }),
        },
    );
    let journal = args.journal.then(|| folder.journal()).transpose()?;
    let info = run_info(plan, target, dimensions, started_at);
    let aggregator = Aggregator::new(info, journal)
        .map_err(|e| Failure::bug(format!("the plan's thresholds can't be read: {e}")))?;
    if let Some(error) = aggregator.journal_failure() {
        return Err(report_folder::no_journal(error));
    }
    let (commands, asked) = watch::channel(None);
    interrupts.begin(commands.clone())?;
    folder.begin();

    let (recorder, records) = recorder(RECORD_QUEUE);
    let gauges = Arc::new(Gauges::new(hubs.len()));
    let events = EventLog::of(plan.scenario());
    let (orders, ordered) = watch::channel(Orders::default());
    let (under_way, over) = watch::channel(());
    let lines = RegionLinks::of(&plan.scenario().regions);
    let director = Director {
        plan: Arc::clone(plan),
        lines: lines.clone(),
        clock,
        start,
        operator,
        gauges: Arc::clone(&gauges),
        orders,
        log: events.clone(),
        commands: asked.clone(),
        over,
    };
    let shards = machine::cores();
    let lags: Vec<_> = (0..shards)
        .map(|_| Arc::new(Mutex::new(LoopLag::default())))
        .collect();
    let observer = Observer {
        health: HealthWatch::begin(lags.clone(), server.clone()),
        plan: Arc::clone(plan),
        clock,
        aggregator,
        gauges: Arc::clone(&gauges),
        oracle,
        fleet: Arc::clone(&fleet),
        reconciliation: Reconciliation::new(hubs, with_doubles(plan.scenario())),
        events,
        server,
        commands: commands.clone(),
    };

    let geography = Arc::new(Geography::of(plan.scenario(), &lines));
    let limits = Limits::of(plan);
    std::thread::scope(|scope| {
        let mut cores = Vec::with_capacity(shards);
        for (shard, lag) in lags.into_iter().enumerate() {
            let share = Share {
                lag,
                plan: Arc::clone(plan),
                shard,
                shards,
                conditions: Conditions {
                    device_counters: Arc::clone(&gauges.device_counters),
                    ..conditions(plan, &fleet, target, (clock, &geography))?
                },
                recorder: recorder.clone(),
                gauges: Arc::clone(&gauges),
                limits: limits.clone(),
                commands: asked.clone(),
                orders: ordered.clone(),
            };
            cores.push(scope.spawn(move || share.run()));
        }
        drop(recorder);
        let (sender, snapshots) = sync_channel(2);
        let directing = scope.spawn(move || director.run());
        let watching = scope.spawn(move || observer.watch(&records, sender));
        let asking = commands.clone();
        viewer::show(args.tui, &snapshots, move |command| {
            interrupt::ask(&asking, command);
        });
        let mut bugs: Vec<_> = cores
            .into_iter()
            .filter_map(|core| broken("a core", core))
            .collect();
        drop(under_way);
        bugs.extend(broken("the director", directing));
        let watched = watching.join();
        let mut finished = watched.map_err(|_| Failure::bug("the observer panicked"))?;
        if !bugs.is_empty() {
            // What the others know is told all the same.
            finished.summary.doubt(bugs);
            finished.summary.exit_code = exit_code::BUG;
        }
        Ok(finished)
    })
}

/// Why a thread of a run did not do its work to the end.
fn broken(whose: &str, thread: ScopedJoinHandle<'_, io::Result<()>>) -> Option<String> {
    match thread.join() {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{whose} could not begin: {error}")),
        Err(_) => Some(format!("{whose} panicked: a bug in fleetstorm")),
    }
}

/// Cohorts, by index, in which two devices have one name.
fn with_doubles(scenario: &Scenario) -> BTreeSet<u16> {
    let cohorts = (0..).zip(&scenario.cohorts);
    let with_doubles = cohorts.filter(|(_, cohort)| cohort.flaw == Some(Flaw::DuplicateEk));
    with_doubles.map(|(index, _)| index).collect()
}

/// What the devices of one core share.
pub(crate) fn conditions(
    plan: &Plan,
    fleet: &Arc<Fleet>,
    target: &Target,
    (clock, geography): (RunClock, &Arc<Geography>),
) -> Result<Conditions, Failure> {
    let scenario = plan.scenario();
    Ok(Conditions {
        clock,
        goal: Goal::Provisioned,
        fleet: Arc::clone(fleet),
        dialer: Dialer::new(&target.dial)?,
        goodbyes: Goodbyes::new(
            (scenario.max_in_flight as usize).div_ceil(machine::cores()),
            scenario.device_timeout,
        ),
        device_counters: Arc::default(),
        id_scopes: target.id_scopes.clone(),
        endpoint: target.endpoint.clone(),
        ports: target.ports,
        device_timeout: scenario.device_timeout,
        geography: Arc::clone(geography),
        cohorts: (0..)
            .zip(&scenario.cohorts)
            .map(|(index, cohort)| {
                let sale = scenario.sale_of(index);
                CohortProfile::new(cohort, scenario.seed, sale.and_then(|sale| sale.desired))
            })
            .collect(),
        hubs: (0..)
            .zip(&target.hubs)
            .map(|(index, hub)| (hub.clone(), index))
            .collect::<HashMap<_, u16>>(),
    })
}

fn dimensions(scenario: &Scenario, target: &Target) -> Dimensions {
    Dimensions {
        cohorts: scenario
            .cohorts
            .iter()
            .map(|cohort| cohort.name.clone())
            .collect(),
        transports: TransportKind::ALL.iter().map(ToString::to_string).collect(),
        attestations: AttestationKind::ALL
            .iter()
            .map(ToString::to_string)
            .collect(),
        regions: scenario
            .regions
            .iter()
            .map(|region| region.name.clone())
            .collect(),
        tenants: tenants(scenario, target),
        hubs: target.hubs.clone(),
    }
}

/// The instances' names, where there are several: the own one has none but its id scope.
fn tenants(scenario: &Scenario, target: &Target) -> Vec<String> {
    if scenario.tenants.is_empty() {
        return Vec::new();
    }
    let own = target.id_scopes.first().map(ToString::to_string);
    let names = scenario.tenants.iter().map(|tenant| tenant.name.clone());
    own.into_iter().chain(names).collect()
}

/// When devices come; none where a load is closed, so that nobody can say.
fn arrivals(plan: &Plan) -> Option<Arrivals> {
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let (first, until) = plan.arrivals()?;
    Some(Arrivals {
        first_us: us(first),
        last_us: us(plan.last_release()),
        until_us: us(until),
    })
}

fn run_info(
    plan: &Plan,
    target: &Target,
    dimensions: Dimensions,
    started_at: jiff::Timestamp,
) -> RunInfo {
    let scenario = plan.scenario();
    RunInfo {
        schema_version: fleetstorm_reports::journal::SCHEMA_VERSION,
        scenario: scenario.name.clone(),
        target: target.label.clone(),
        seed: scenario.seed,
        time_scale: plan.time_scale(),
        fleetstorm_version: env!("CARGO_PKG_VERSION").into(),
        started_at: started_at.to_string(),
        machine: machine::describe(),
        planned: plan.devices(),
        arrivals: arrivals(plan),
        max_dropped: scenario.max_dropped,
        dimensions,
        slos: scenario.slos.clone(),
        thresholds: scenario
            .thresholds
            .iter()
            .map(|threshold| threshold.written(plan.devices_in(threshold.cut())))
            .collect(),
    }
}
