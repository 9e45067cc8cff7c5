//! What is measured against.

use std::sync::Arc;

use fleetstorm_scenarios::{self as scenarios, Plan, Scenario};

use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::machine;
use crate::run;
use crate::server::bundled::{self, BundledServer};
use crate::server::target::Target;

/// A fleet, and a server of its own that knows it.
pub(super) struct Setup {
    pub plan: Plan,
    pub fleet: Arc<Fleet>,
    pub server: BundledServer,
    pub target: Target,
}

impl Setup {
    /// Starts the server with the fleet of what `choose` makes of `bench.toml`.
    pub fn new(choose: impl FnOnce(Scenario) -> Result<Plan, Failure>) -> Result<Self, Failure> {
        machine::raise_file_limit();
        let scenario = scenarios::parse(include_str!("bench.toml"), "bench.toml")
            .map_err(|e| Failure::bug(e.to_string()))?;
        let plan = choose(scenario)?;
        let fleet = Arc::new(run::prepare_fleet(&plan)?);
        let log = std::env::temp_dir().join(format!("fleetstorm-bench-{}.log", std::process::id()));
        let made = std::fs::File::create(&log);
        made.map_err(|e| bundled::unwritable(&format!("failed to write {}: {e}", log.display())))?;
        let server = bundled::launch(plan.scenario(), &fleet, &log)?;
        // The server keeps it open for as long as it lives.
        let _ = std::fs::remove_file(&log);
        let target = server.target();
        Ok(Self {
            plan,
            fleet,
            server,
            target,
        })
    }
}
