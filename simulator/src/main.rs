//! The `fleetstorm` command.

use std::panic;
use std::process::ExitCode;

use clap::Parser;
use fleetstorm::cli::Cli;
use fleetstorm::command;
use fleetstorm::console;
use fleetstorm::failure::Failure;

fn main() -> ExitCode {
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
