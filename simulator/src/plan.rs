//! `fleetstorm plan`: what a run would be like, before a packet is sent.

mod comparison;
mod document;
mod json;
mod knife_edge;
mod planned_run;
mod plot;
mod text;

use std::time::Duration;

use fleetstorm_protocol::quota::Rates;
use fleetstorm_scenarios::Plan;
use fleetstorm_scenarios::forecast::{Budget, ForecastOptions, Machine, forecast};

use crate::bench::calibrate;
use crate::cli::PlanArgs;
use crate::console;
use crate::failure::Failure;
use crate::machine;
use crate::run::loading;
use crate::run::preflight::{Has, Needs};
use comparison::Measured;
use knife_edge::KnifeEdge;
use planned_run::PlannedRun;

/// What the real service tells devices to wait for an assignment.
const AZURE_RETRY_AFTER: Duration = Duration::from_secs(3);
/// Seconds of a minute at which a run may start, to see what difference it makes.
const STARTS: [u64; 4] = [0, 15, 30, 45];
/// How closely those are looked at.
const GLANCE: Budget = Budget {
    batches: 20_000,
    events: 2_000_000,
};

/// Plans; a machine that is too small for the run is told of, and no failure.
///
/// # Errors
/// The scenario is wrong, or the result can't be written.
pub fn plan(args: &PlanArgs) -> Result<(), Failure> {
    let mut scenario = loading::scenario(&args.scenario)?;
    scenario.target = args.target.over(scenario.target)?;
    let plan = loading::plan(scenario, &args.scenario, &args.over.overrides())?;
    let cores = u32::try_from(machine::cores()).unwrap_or(u32::MAX);
    let slowness = if args.calibrate {
        calibrate::slowness(&plan)?
    } else {
        1.0
    };
    let machine = (!args.ideal_machine).then(|| Machine {
        cores,
        runs_server: plan.scenario().target.is_none(),
        slowness,
    });
    let measured = args.compare.as_deref().map(Measured::read).transpose()?;
    let starts = args
        .starts_at
        .map(|second| Duration::from_secs(second.into()))
        .or(measured.as_ref().map(Measured::starts_in_minute));
    let mut planned = look(&plan, machine, Has::look(), starts);
    if let Some(measured) = measured {
        planned.comparison = measured.rows(&plan, &planned.forecast);
    }
    let shown = if args.json {
        let document = serde_json::to_string(&json::document(&planned));
        document.map_err(|e| Failure::bug(e.to_string()))? + "\n"
    } else {
        text::of(&planned)
    };
    console::answer(|out| out.write_all(shown.as_bytes()))
}

/// Looks ahead from a machine with these cores, or cores without end, and these limits.
fn look(
    plan: &Plan,
    machine: Option<Machine>,
    has: Has,
    starts: Option<Duration>,
) -> PlannedRun<'_> {
    let scenario = plan.scenario();
    let is_bundled = scenario.target.is_none();
    let options = ForecastOptions {
        rates: if is_bundled {
            scenario.server.throttle
        } else {
            Rates::AZURE
        },
        processing: scenario.server.processing,
        processing_factor: 1.0,
        retry_after: if is_bundled {
            scenario.server.retry_after
        } else {
            AZURE_RETRY_AFTER
        },
        starts_in_minute: starts.unwrap_or_default(),
        machine,
        budget: Budget::default(),
    };
    let ends = (starts.is_none() && options.rates != Rates::NONE).then(|| {
        let ends = STARTS.map(|second| {
            let options = ForecastOptions {
                starts_in_minute: Duration::from_secs(second),
                budget: GLANCE,
                ..options
            };
            forecast(plan, &options).last_end
        });
        ends.into_iter()
            .fold((Duration::MAX, Duration::ZERO), |(least, most), end| {
                (least.min(end), most.max(end))
            })
    });
    PlannedRun {
        plan,
        options,
        forecast: forecast(plan, &options),
        needs: Needs::of(plan),
        has,
        ends,
        knife_edge: KnifeEdge::of(plan, &options),
        comparison: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
