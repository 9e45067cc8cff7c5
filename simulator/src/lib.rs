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

mod bench;
mod cli;
mod command;
mod compare;
mod console;
mod device;
mod failure;
mod fleet;
mod generator;
#[cfg(test)]
mod in_memory;
mod interrupt;
mod link;
mod machine;
mod operator_command;
mod output;
mod plan;
mod private_file;
mod run;
#[cfg(test)]
mod schema;
mod server;
mod stopwatch;
mod view;

use std::panic;
use std::process::ExitCode;

use clap::Parser;

use cli::Cli;
use failure::Failure;

/// The `fleetstorm` command: reads the process's arguments, and carries them out.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // A panic has told its own story by then.
    let executed = panic::catch_unwind(|| command::execute(cli)).unwrap_or_else(|_| {
        Err(Failure::bug("this is a bug in fleetstorm").hint("please report the lines above"))
    });
    match executed {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            console::remark(&failure);
            ExitCode::from(failure.exit_code)
        }
    }
}
