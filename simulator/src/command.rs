//! One function a verb.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use fleetstorm_reports::render;
use fleetstorm_reports::verdict::exit_code;
use fleetstorm_scenarios::{self as scenarios, Overrides, Plan, tenant};

use crate::bench;
use crate::cli::{Cli, EnrollmentsArgs, ReportArgs, ValidateArgs, Verb};
use crate::compare;
use crate::console;
use crate::failure::Failure;
use crate::plan;
use crate::private_file::PrivateFile;
use crate::run;
use crate::run::loading;
use crate::run::preflight::{Has, Needs};
use crate::server::bundled;
use crate::view::outputs::{self, Ci};
use crate::view::report_folder;

/// Does what the command line says; returns the exit code.
///
/// # Errors
/// Why it can't.
pub fn execute(cli: Cli) -> Result<u8, Failure> {
    match cli.verb {
        Verb::Run(args) => run::run(&args),
        Verb::Serve(args) => bundled::serve(&args).map(|()| exit_code::PASS),
        Verb::Validate(args) => validate(&args),
        Verb::Plan(args) => plan::plan(&args).map(|()| exit_code::PASS),
        Verb::Schema => {
            let schema = scenarios::schema::schema();
            console::answer(|out| out.write_all(schema.as_bytes())).map(|()| exit_code::PASS)
        }
        Verb::Report(args) => report(&args),
        Verb::Compare(args) => compare::compare(&args),
        Verb::Enrollments(args) => enrollments(&args),
        Verb::Bench(args) => bench::bench(&args).map(|()| exit_code::PASS),
        Verb::BenchHeld(args) => bench::held::weigh(&args).map(|()| exit_code::PASS),
        Verb::BareResponder => bench::bare::respond().map(|()| exit_code::PASS),
        Verb::Completions { shell } => {
            // It panics where it can't write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "fleetstorm", &mut script);
            console::answer(|out| out.write_all(&script)).map(|()| exit_code::PASS)
        }
    }
}

/// What Cargo calls its manifest: TOML, and no scenario.
const CARGO_MANIFEST: &str = "Cargo.toml";

/// Reads every file, says what each one would do; all mistakes of all files.
fn validate(args: &ValidateArgs) -> Result<u8, Failure> {
    let mut mistakes = Vec::new();
    for path in &args.scenarios {
        // A shell's *.toml names it, too.
        if path.file_name().is_some_and(|name| name == CARGO_MANIFEST) {
            tell(path, "passed over, a manifest of Cargo")?;
            continue;
        }
        let plan = loading::scenario(path)
            .and_then(|scenario| loading::plan(scenario, path, &Overrides::default()));
        match plan {
            Ok(plan) => {
                tell(path, &outline(&plan))?;
                // It may be validated for another machine.
                if let Err(too_small) = Needs::of(&plan).check(&Has::look()) {
                    tell(path, &too_small.message)?;
                }
            }
            Err(mistake) => mistakes.push(mistake),
        }
    }
    let hint = mistakes.iter().find_map(|mistake| mistake.hint.clone());
    let messages: Vec<_> = mistakes
        .into_iter()
        .map(|mistake| mistake.message)
        .collect();
    if messages.is_empty() {
        return Ok(exit_code::PASS);
    }
    Err(Failure {
        hint,
        ..Failure::usage(messages.join("\n\n"))
    })
}

fn tell(path: &Path, words: &str) -> Result<(), Failure> {
    console::answer(|out| writeln!(out, "{}: {words}", path.display()))
}

/// The plan in one line.
fn outline(plan: &Plan) -> String {
    let scenario = plan.scenario();
    format!(
        "{} devices in {} cohorts, the last one released after {:.1} s, at most {} under way at once",
        plan.devices(),
        scenario.cohorts.len(),
        plan.last_release().as_secs_f64(),
        Needs::of(plan).in_flight,
    )
}

/// Shows a report folder's result again, and makes its files anew from the journal, if it has one.
fn report(args: &ReportArgs) -> Result<u8, Failure> {
    outputs::check(&args.output)?;
    let report = report_folder::reopen(&args.folder)?;
    let summary = &report.summary;
    let shown = console::answer(|out| render::text::render(summary, console::style(), out));
    if let Some(remark) = &report.remark {
        console::remark(remark);
    }
    let written = report.write(&outputs::in_folder(&args.output));
    let elsewhere = outputs::write(summary, &args.output, &Ci::from_env());
    written.and(elsewhere.map_err(|failure| Failure::unwritten(failure.message)))?;
    shown?;
    Ok(summary.exit_code)
}

/// Writes the enrollment list of an instance of a scenario as JSON lines, to load it into a real service.
fn enrollments(args: &EnrollmentsArgs) -> Result<u8, Failure> {
    let scenario = loading::scenario(&args.scenario)?;
    let overrides = Overrides {
        devices: args.devices,
        seed: args.seed,
        ..Overrides::default()
    };
    let tenant = match &args.tenant {
        None => tenant::OWN,
        Some(name) => {
            let mut tenants = (tenant::OWN + 1..).zip(&scenario.tenants);
            let found = tenants.find(|(_, tenant)| tenant.name == *name);
            let (index, _) = found
                .ok_or_else(|| Failure::usage(format!("the scenario has no tenant \"{name}\"")))?;
            index
        }
    };
    let plan = loading::plan(scenario, &args.scenario, &overrides)?;
    let fleet = run::prepare_fleet(&plan)?;
    match &args.out {
        None => console::answer(|mut out| fleet.write_enrollments(&mut out, tenant))?,
        Some(path) => {
            let failed = |error: io::Error| format!("{}: {error}", path.display());
            let mut out = PrivateFile::create(path).map_err(|e| Failure::usage(failed(e)))?;
            fleet
                .write_enrollments(&mut out, tenant)
                .and_then(|()| out.finish())
                .map_err(|e| Failure::unwritten(failed(e)))?;
        }
    }
    Ok(exit_code::PASS)
}
