//! The terminal UI: sees snapshots, sends commands.
//!
//! ```text
//! snapshots -> State (which view, which row, frozen or not) -> screen -> terminal
//! keys      -> State -> OperatorCommand
//! ```

use std::io;
use std::mem::ManuallyDrop;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use crossterm::event::{self, Event, KeyEventKind};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, enable_raw_mode};
use fleetstorm_reports::Snapshot;
use ratatui::backend::CrosstermBackend;
use ratatui::{DefaultTerminal, Terminal};

use crate::operator_command::OperatorCommand;
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
mod timeline;

/// How long a key may wait.
const KEY_WAIT: Duration = Duration::from_millis(40);

/// Shows snapshots until their sender is gone. Restores the terminal whatever happens.
///
/// # Errors
/// The terminal can't be used.
pub fn show(snapshots: &Receiver<Snapshot>, command: &dyn Fn(OperatorCommand)) -> io::Result<()> {
    let mut screen = Screen::open()?;
    watch(&mut screen.terminal, snapshots, command)
}

/// The terminal as long as it is ours. What ratatui has for this panics when the terminal is gone.
struct Screen {
    terminal: ManuallyDrop<DefaultTerminal>,
}

impl Screen {
    fn open() -> io::Result<Self> {
        // A panic is told on a terminal that is restored.
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let _ = ratatui::try_restore();
            tell(panic);
        }));
        enable_raw_mode()?;
        #[expect(clippy::disallowed_methods, reason = "a failed write ends the viewer")]
        let mut out = io::stdout();
        let opened = execute!(out, EnterAlternateScreen)
            .and_then(|()| Terminal::new(CrosstermBackend::new(out)));
        let terminal = opened.inspect_err(|_| drop(ratatui::try_restore()))?;
        Ok(Self {
            terminal: ManuallyDrop::new(terminal),
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.terminal.show_cursor();
        let _ = ratatui::try_restore();
    }
}

fn watch(
    terminal: &mut DefaultTerminal,
    snapshots: &Receiver<Snapshot>,
    command: &dyn Fn(OperatorCommand),
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
