//! Ctrl-C: once to stop gently, twice to leave. The report is written either way.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::progress::Command;

/// Hears SIGINT and SIGTERM on a thread of its own for as long as the process lives.
///
/// # Errors
/// The handlers can't be installed.
pub fn listen(commands: watch::Sender<Option<Command>>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupts, mut terminations) = {
        let _context = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            runtime.block_on(async move {
                loop {
                    let heard = tokio::select! {
                        heard = interrupts.recv() => heard,
                        heard = terminations.recv() => heard,
                    };
                    if heard.is_none() {
                        return;
                    }
                    ask(&commands, Command::Stop);
                }
            });
        })?;
    Ok(())
}

/// Passes a command on; to stop twice is to leave.
pub fn ask(commands: &watch::Sender<Option<Command>>, command: Command) {
    commands.send_modify(|asked| {
        *asked = Some(if asked.is_some() {
            Command::Leave
        } else {
            command
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_twice_is_leaving() {
        let (commands, asked) = watch::channel(None);
        ask(&commands, Command::Stop);
        assert_eq!(*asked.borrow(), Some(Command::Stop));
        ask(&commands, Command::Stop);
        assert_eq!(*asked.borrow(), Some(Command::Leave));
    }
}
