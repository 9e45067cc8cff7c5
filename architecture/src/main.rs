//! `cargo run -p architecture`: how many files each crate has, and the circles among them.

use std::io::{self, Write};
use std::process::ExitCode;

use architecture::circles::circles;
use architecture::imports::Imports;
use architecture::sources::Sources;
use architecture::{CRATES, folder_of};

#[expect(
    clippy::disallowed_methods,
    reason = "a failed write is told, and ends it"
)]
fn main() -> ExitCode {
    match tell(&mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Who does not listen any more does not hear this either.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tell(out: &mut impl Write) -> Result<(), Box<dyn std::error::Error>> {
    for name in CRATES {
        let sources = Sources::read(&folder_of(name), "lib.rs")?;
        let circles = circles(&Imports::of(&sources));
        let (files, number) = (sources.files.len(), circles.len());
        writeln!(out, "{name}: {files} files, {number} circles")?;
        for circle in circles {
            writeln!(out, "  {}: {}", circle.len(), circle.join(" "))?;
        }
    }
    Ok(())
}
