//! What is known of a run at one moment, beside its records.

use crate::event::Happened;
use crate::generator::GeneratorHealth;
use crate::held::HeldDevices;
use crate::series::AttemptsSoFar;
use crate::snapshot::{ProcessUsage, RunState};

/// What the run knows at one moment and no record tells. Counts are since the start.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// Microseconds since the run started.
    pub elapsed_us: u64,
    /// The stage.
    pub state: RunState,
    /// Devices due by now.
    pub due: u64,
    /// Of them those of closed loads: due when another had ended.
    pub closed_due: u64,
    /// Devices released.
    pub released: u64,
    /// Devices that stay with their hubs.
    pub held: HeldDevices,
    /// What has happened to devices, ended or not.
    pub attempts: AttemptsSoFar,
    /// Events so far.
    pub events: Vec<Happened>,
    /// How the generator is.
    pub generator: GeneratorHealth,
    /// The simulator's use of the machine.
    pub simulator: ProcessUsage,
    /// The bundled server's.
    pub server: Option<ProcessUsage>,
    /// What makes the run doubtful.
    pub warnings: Vec<String>,
}
