//! The terminal UI: sees snapshots, sends commands.
//!
//! ```text
//! snapshots -> State (which view, which row, frozen or not) -> screen -> terminal
//! keys      -> State -> Command
//! ```

use std::io;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use crossterm::event::{self, Event, KeyEventKind};
use fleetstorm_reports::Snapshot;
use ratatui::DefaultTerminal;

use crate::progress::Command;
use state::State;
use theme::Theme;

mod cells;
mod cuts;
mod help;
mod histogram;
mod large;
mod overview;
mod panels;
mod screen;
mod state;
mod theme;

/// How long a key may wait.
const KEY_WAIT: Duration = Duration::from_millis(40);

/// Shows snapshots until their sender is gone. Restores the terminal whatever happens.
///
/// # Errors
/// The terminal can't be used.
pub fn show(snapshots: &Receiver<Snapshot>, command: &dyn Fn(Command)) -> io::Result<()> {
    // Also makes a panic restore the terminal before it is told.
    let terminal = ratatui::try_init()?;
    let _restore = Restore;
    watch(terminal, snapshots, command)
}

struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn watch(
    mut terminal: DefaultTerminal,
    snapshots: &Receiver<Snapshot>,
    command: &dyn Fn(Command),
) -> io::Result<()> {
    let theme = Theme::from_environment();
    let mut state = State::default();
    let mut stale = true;
    loop {
        loop {
            match snapshots.try_recv() {
                Ok(snapshot) => {
                    state.update(snapshot);
                    stale = true;
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        }
        if stale {
            terminal.draw(|frame| screen::draw(frame, &state, theme))?;
            stale = false;
        }
        if event::poll(KEY_WAIT)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    if let Some(asked) = state.key(key) {
                        command(asked);
                    }
                    stale = true;
                }
                Event::Resize(..) => stale = true,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
