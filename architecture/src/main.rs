//! `cargo run -p architecture`: how many files each crate has, the circles among them, its floors from
//! the highest down, and what does not fit those; with the name of a
//! crate, what each of its files knows.

use std::io::{self, Write};
use std::process::ExitCode;

use architecture::circles::circles;
use architecture::floors::table;
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
    let table = table()?;
    for name in CRATES {
        let sources = Sources::read(&folder_of(name), "lib.rs")?;
        let imports = Imports::of(&sources);
        let circles = circles(&imports);
        let (files, number) = (sources.files.len(), circles.len());
        writeln!(out, "{name}: {files} files, {number} circles")?;
        for circle in circles {
            writeln!(out, "  {}: {}", circle.len(), circle.join(" "))?;
        }
        let Some(floors) = table.get(name) else {
            continue;
        };
        for floor in floors.floors.iter().rev() {
            writeln!(out, "  | {:<12} {}", floor.name, floor.rooms.join(" "))?;
        }
        for problem in floors.problems(&imports) {
            writeln!(out, "  ! {problem}")?;
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
