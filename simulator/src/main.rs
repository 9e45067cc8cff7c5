//! The `fleetstorm` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    fleetstorm::main()
}
