//! Signals, and what they ask for at each point of a run.
//!
//! ```text
//! preparing   the command ends before anything has begun; asked twice, at once
//! running     once stops gently, twice leaves; the report is written either way
//! over        what is still being said gets a moment
//! ```
//!
//! SIGHUP means that whoever watched has gone: it asks as SIGTERM does, and never twice. A command that was
//! started with it ignored, as nohup does, goes on.

use std::future::pending;
use std::io;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fleetstorm_reports::verdict::exit_code;
use procfs::process::Process;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;
use crate::operator_command::OperatorCommand;

/// How long the end of a run may go on speaking once it is asked to stop.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Whether the command is to end before the run has begun. Signals are the process's, and so is this.
static IS_CALLED_OFF: AtomicBool = AtomicBool::new(false);

/// Where a run is.
#[derive(Debug)]
enum Point {
    Preparing,
    Running(watch::Sender<Option<OperatorCommand>>),
    /// With this exit code.
    Over(u8),
}

/// What hears the signals of this process.
#[derive(Debug, Clone)]
pub struct Interrupts {
    point: Arc<Mutex<Point>>,
    is_called_off: &'static AtomicBool,
}

/// What a signal leads to.
#[derive(Debug, PartialEq, Eq)]
enum SignalEffect {
    /// Others see to it.
    Passed,
    /// The process ends, so long from now.
    Exit(Duration, u8),
}

/// Hears SIGINT, SIGTERM and SIGHUP on a thread of its own for as long as the process lives. From now on,
/// too, a file at the limit of its size can't be written, and that is all.
///
/// # Errors
/// The handlers can't be installed.
pub fn listen() -> io::Result<Interrupts> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let interrupts = Interrupts::new(&IS_CALLED_OFF);
    let (mut interrupt, mut terminate, mut hangup) = {
        let _context = runtime.enter();
        drop(signal(SignalKind::from_raw(libc::SIGXFSZ))?);
        let hangup = is_hangup_heard().then(|| signal(SignalKind::hangup()));
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            hangup.transpose()?,
        )
    };
    let heard = interrupts.clone();
    let hear = async move {
        loop {
            let is_insistent = tokio::select! {
                _ = interrupt.recv() => true,
                _ = terminate.recv() => true,
                () = next(&mut hangup) => false,
            };
            if let SignalEffect::Exit(delay, code) = heard.hear(is_insistent) {
                tokio::time::sleep(delay).await;
                exit(code.into());
            }
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || runtime.block_on(hear))?;
    Ok(interrupts)
}

async fn next(signals: &mut Option<Signal>) {
    match signals {
        Some(signals) => drop(signals.recv().await),
        None => pending().await,
    }
}

/// Whether SIGHUP counts: not where whoever started this process had it ignored.
pub fn is_hangup_heard() -> bool {
    let status = Process::myself().and_then(|process| process.status());
    status.map_or(true, |status| status.sigign >> (libc::SIGHUP - 1) & 1 == 0)
}

/// To be asked where preparations take long.
///
/// # Errors
/// They are called off.
pub fn check() -> Result<(), Failure> {
    if IS_CALLED_OFF.load(Ordering::Relaxed) {
        Err(called_off())
    } else {
        Ok(())
    }
}

fn called_off() -> Failure {
    Failure {
        message: "interrupted before the run began".into(),
        hint: None,
        exit_code: exit_code::INTERRUPTED,
    }
}

/// Passes a command on; to stop twice is to leave.
pub fn ask(commands: &watch::Sender<Option<OperatorCommand>>, command: OperatorCommand) {
    commands.send_modify(|asked| {
        *asked = Some(if asked.is_some() {
            OperatorCommand::Leave
        } else {
            command
        });
    });
}

impl Interrupts {
    fn new(is_called_off: &'static AtomicBool) -> Self {
        Self {
            point: Arc::new(Mutex::new(Point::Preparing)),
            is_called_off,
        }
    }

    /// The run begins, and hears what is asked of it.
    ///
    /// # Errors
    /// It was called off before.
    pub fn begin(&self, commands: watch::Sender<Option<OperatorCommand>>) -> Result<(), Failure> {
        let mut point = self.point.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_called_off.load(Ordering::Relaxed) {
            return Err(called_off());
        }
        *point = Point::Running(commands);
        Ok(())
    }

    /// All of the run is kept: nothing but words is left of it.
    pub fn end(&self, exit_code: u8) {
        *self.point.lock().unwrap_or_else(PoisonError::into_inner) = Point::Over(exit_code);
    }

    fn hear(&self, is_insistent: bool) -> SignalEffect {
        let point = self.point.lock().unwrap_or_else(PoisonError::into_inner);
        match &*point {
            Point::Preparing => {
                let is_second = self.is_called_off.swap(true, Ordering::Relaxed);
                if is_second && is_insistent {
                    return SignalEffect::Exit(Duration::ZERO, exit_code::INTERRUPTED);
                }
            }
            Point::Running(commands) => {
                if is_insistent || commands.borrow().is_none() {
                    ask(commands, OperatorCommand::Stop);
                }
            }
            Point::Over(code) => return SignalEffect::Exit(LAST_WORDS, *code),
        }
        SignalEffect::Passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_twice_is_leaving_and_a_terminal_that_closes_asks_once() {
        static IS_CALLED_OFF: AtomicBool = AtomicBool::new(false);
        let interrupts = Interrupts::new(&IS_CALLED_OFF);
        let (commands, asked) = watch::channel(None);
        interrupts.begin(commands).expect("nobody called it off");
        for (is_insistent, asks) in [
            (false, OperatorCommand::Stop),
            (false, OperatorCommand::Stop),
            (true, OperatorCommand::Leave),
        ] {
            assert_eq!(interrupts.hear(is_insistent), SignalEffect::Passed);
            assert_eq!(*asked.borrow(), Some(asks));
        }
        interrupts.end(99);
        assert_eq!(interrupts.hear(false), SignalEffect::Exit(LAST_WORDS, 99));
    }

    #[test]
    fn a_run_that_is_called_off_does_not_begin() {
        static IS_CALLED_OFF: AtomicBool = AtomicBool::new(false);
        let interrupts = Interrupts::new(&IS_CALLED_OFF);
        for is_insistent in [true, false] {
            assert_eq!(interrupts.hear(is_insistent), SignalEffect::Passed);
        }
        let failure = interrupts.begin(watch::channel(None).0);
        assert_eq!(failure.expect_err("called off").exit_code, 130);
        let at_once = SignalEffect::Exit(Duration::ZERO, 130);
        assert_eq!(interrupts.hear(true), at_once);
    }
}
