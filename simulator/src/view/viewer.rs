//! Who watches a run: the terminal UI, or lines on standard error. A viewer that is lost, or stuck, holds
//! nothing up.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use fleetstorm_reports::Snapshot;

use crate::cli::TuiMode;
use crate::console;
use crate::operator_command::OperatorCommand;
use crate::view::lines;
use crate::view::tui;

/// Pictures that may wait for a viewer.
const WAITING: usize = 2;
/// How long a viewer may take over the end of a run.
const LAST_LOOK: Duration = Duration::from_secs(2);
/// Between two looks at a viewer that is behind.
const PAUSE: Duration = Duration::from_millis(10);

/// Shows the run until it is over, in the way that was asked for.
pub fn show(
    mode: TuiMode,
    snapshots: &Receiver<Snapshot>,
    ask: impl Fn(OperatorCommand) + Send + 'static,
) {
    let (pictures, shown) = sync_channel(WAITING);
    let (sees, gone) = sync_channel::<()>(0);
    // Not joined: it may hang in a terminal, or a pipe, that takes no more.
    let viewer = std::thread::Builder::new()
        .name("viewer".into())
        .spawn(move || {
            view(is_screen_wanted(mode), &shown, &ask);
            drop(sees);
        });
    if let Err(error) = viewer {
        unseen(&error);
    }
    let missed = pass_on(snapshots, &pictures);
    let until = Instant::now() + LAST_LOOK;
    show_last(missed, &pictures, until);
    drop(pictures);
    let _ = gone.recv_timeout(until.saturating_duration_since(Instant::now()));
}

fn is_screen_wanted(mode: TuiMode) -> bool {
    match mode {
        TuiMode::Always => true,
        TuiMode::Never => false,
        TuiMode::Auto => console::is_screen() && io::stdin().is_terminal(),
    }
}

/// As a terminal UI; as lines, where that is not wanted or not to be had any more; or not at all.
fn view(is_screen_wanted: bool, shown: &Receiver<Snapshot>, ask: &dyn Fn(OperatorCommand)) {
    if is_screen_wanted {
        match tui::show(shown, ask) {
            Ok(()) => return,
            Err(error) => {
                console::remark(format_args!("no terminal UI, but lines: {error}"));
            }
        }
    }
    if let Err(error) = lines::show(shown, &mut console::remarks()) {
        unseen(&error);
    }
}

fn unseen(error: &io::Error) {
    console::remark(format_args!("the run goes on unseen: {error}"));
}

/// Passes pictures on until the run is over; one that is behind misses some. The last one, if it was
/// missed.
fn pass_on(snapshots: &Receiver<Snapshot>, pictures: &SyncSender<Snapshot>) -> Option<Snapshot> {
    let mut missed = None;
    for snapshot in snapshots {
        missed = left(pictures.try_send(snapshot));
    }
    missed
}

fn show_last(mut missed: Option<Snapshot>, pictures: &SyncSender<Snapshot>, until: Instant) {
    while let Some(last) = missed
        && Instant::now() < until
    {
        std::thread::sleep(PAUSE);
        missed = left(pictures.try_send(last));
    }
}

fn left(sent: Result<(), TrySendError<Snapshot>>) -> Option<Snapshot> {
    match sent {
        Err(TrySendError::Full(snapshot)) => Some(snapshot),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_that_is_stuck_or_gone_holds_nothing_up() {
        let (pictures, shown) = sync_channel(WAITING);
        let (run, snapshots) = sync_channel(0);
        let running = std::thread::spawn(move || {
            for elapsed_us in 0..100 {
                let snapshot = Snapshot {
                    elapsed_us,
                    ..Snapshot::default()
                };
                run.send(snapshot).expect("somebody takes it");
            }
        });
        let missed = pass_on(&snapshots, &pictures);
        running.join().expect("it ends");
        assert_eq!(missed.as_ref().map(|last| last.elapsed_us), Some(99));
        show_last(missed.clone(), &pictures, Instant::now() + 3 * PAUSE);
        let seen: Vec<_> = shown.try_iter().map(|it| it.elapsed_us).collect();
        assert_eq!(seen, [0, 1], "the last one could not be seen in time");
        show_last(missed, &pictures, Instant::now() + LAST_LOOK);
        assert_eq!(shown.recv().map(|last| last.elapsed_us), Ok(99));
        drop(shown);
        assert!(left(pictures.try_send(Snapshot::default())).is_none());
    }
}
