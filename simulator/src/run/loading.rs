//! From a file to a plan, the same way for every verb: what one of them refuses, all refuse, in the same words.

use std::path::Path;

use fleetstorm_scenarios::{self as scenarios, Overrides, Plan, Scenario};

use crate::failure::Failure;
use crate::server::bundled;
use crate::server::target::Target;

/// Reads a scenario.
///
/// # Errors
/// All its mistakes, with file, line, column and key.
pub fn scenario(path: &Path) -> Result<Scenario, Failure> {
    scenarios::load(path).map_err(|e| Failure::usage(e.to_string()))
}

/// Plans a scenario that came from `path`, and looks over where it is to run.
///
/// # Errors
/// An override that it can't bear, or a target or server that can't be set up.
pub fn plan(scenario: Scenario, path: &Path, overrides: &Overrides) -> Result<Plan, Failure> {
    let in_file = |failure: Failure| Failure {
        message: format!("{}: {}", path.display(), failure.message),
        ..failure
    };
    match &scenario.target {
        Some(target) => Target::of_scenario(target, &scenario.tenants).map(drop),
        None => bundled::check(&scenario),
    }
    .map_err(in_file)?;
    Plan::new(scenario, overrides).map_err(|problem| in_file(Failure::usage(problem)))
}
