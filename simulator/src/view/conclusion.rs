//! The end of a run: its report is kept, then shown; whatever fails, as much of it as can be.

use std::io;
use std::path::PathBuf;

use fleetstorm_reports::render;
use fleetstorm_reports::run::Finished;
use fleetstorm_reports::verdict::exit_code;

use crate::console;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::output::Output;
use crate::view::outputs::{self, Ci};
use crate::view::report_folder::{ReportFolder, Unpublished};

/// Keeps and shows what a run came to; returns the exit code of its verdict.
///
/// # Errors
/// The report, or the journal, could not be written to its end.
pub fn conclude(
    finished: Finished,
    folder: &ReportFolder,
    outputs: &[Output],
    interrupts: &Interrupts,
) -> Result<u8, Failure> {
    let Finished { summary, journal } = finished;
    if journal.is_err() {
        folder.mark_journal_partial();
    }
    let published = folder.publish(&summary, &outputs::in_folder(outputs));
    let written = outputs::write(&summary, outputs, &Ci::from_env());
    interrupts.end(if journal.is_ok() && published.is_ok() && written.is_ok() {
        summary.exit_code
    } else {
        exit_code::UNWRITTEN
    });
    let place = match &published {
        Ok(place) => Some(place),
        Err(unpublished) => unpublished.elsewhere.as_ref(),
    };
    let shown = console::answer(|out| {
        render::text::render(&summary, console::style(), out)?;
        place.map_or(Ok(()), |place| {
            writeln!(out, "report: {}", place.join("report.html").display())
        })
    });
    // The report has it; the verdict does not hang on who reads along.
    if let Err(failure) = shown {
        console::remark(failure);
    }
    complaint(journal, published, written).map_or(Ok(summary.exit_code), Err)
}

/// What could not be written.
fn complaint(
    journal: io::Result<()>,
    published: Result<PathBuf, Unpublished>,
    outputs: Result<(), Failure>,
) -> Option<Failure> {
    let journal = journal
        .err()
        .map(|error| format!("the journal could not be written to its end: {error}"));
    let report = published.err().map(|unpublished| {
        let what = unpublished.failure.message;
        match unpublished.elsewhere {
            Some(place) => format!("{what}; the report is in {}", place.display()),
            None => format!("{what}; what is shown is all that there is"),
        }
    });
    let outputs = outputs.err().map(|failure| failure.message);
    let said: Vec<_> = [journal, report, outputs].into_iter().flatten().collect();
    if said.is_empty() {
        return None;
    }
    Some(Failure::unwritten(said.join("\n")).hint("free space, or name another folder with --out"))
}
