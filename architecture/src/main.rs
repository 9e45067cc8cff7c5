//! `cargo run -p architecture`: how many files each crate has, and the circles among them; with the name of a
//! crate, what each of its files knows.

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
    let told = match std::env::args().nth(1) {
        Some(name) => tell_files(&mut io::stdout().lock(), &name),
        None => tell(&mut io::stdout().lock()),
    };
    match told {
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

fn tell_files(out: &mut impl Write, name: &str) -> Result<(), Box<dyn std::error::Error>> {
    let imports = Imports::of(&Sources::read(&folder_of(name), "lib.rs")?);
    for (file, known) in imports.names.iter().zip(&imports.known) {
        write!(out, "{file}:")?;
        for index in known {
            write!(out, " {}", imports.names[*index])?;
        }
        writeln!(out)?;
    }
    Ok(())
}
