//! fleetstorm: a load tester and device-fleet simulator for the Azure IoT Hub
//! Device Provisioning Service.
//!
//! ```text
//! cli -> command::run: plan -> preflight -> fleet (identities) -> bundled server or target
//!          scheduler (a thread a core) --Release--> device task
//!              device: identity, flow (pure), link (protocol over dialled TLS) -> Record
//!          recorder -> aggregator -> Snapshot -> tui | progress line
//!                                 -> Summary -> report folder, exit code
//! ```

pub mod bench;
pub mod bundled;
pub mod cli;
pub mod command;
pub mod conclusion;
pub mod console;
pub mod control;
pub mod device;
pub mod director;
pub mod failure;
pub mod fleet;
pub mod generator;
#[cfg(test)]
mod in_memory;
pub mod interrupt;
pub mod limits;
pub mod link;
pub mod loading;
pub mod machine;
pub mod observer;
pub mod oracle;
pub mod plan;
pub mod preflight;
pub mod private_file;
pub mod progress;
pub mod reconciliation;
pub mod report_folder;
pub mod run;
pub mod scheduler;
pub mod service_side;
pub mod start;
pub mod stopwatch;
pub mod target;
pub mod tui;
pub mod viewer;
