//! The bundled server ends and starts again, while other events go on.

use std::sync::Arc;
use std::time::Duration;

use fleetstorm_scenarios::event::End;
use tokio::task::spawn_blocking;

use super::EventLog;
use crate::bundled::BundledServer;
use crate::stopwatch::RunClock;

/// How.
pub(super) struct Restart {
    /// Index of the event.
    pub(super) event: u16,
    pub(super) server: Arc<BundledServer>,
    pub(super) end: End,
    pub(super) off: Duration,
    pub(super) clock: RunClock,
    pub(super) log: EventLog,
}

impl Restart {
    /// Ends it, waits, starts it; the log hears when it is back, or why it is not.
    pub(super) async fn happen(self) {
        let (server, end) = (Arc::clone(&self.server), self.end);
        let ended = spawn_blocking(move || server.end(end).map_err(|e| e.to_string())).await;
        if let Some(problem) = problem_of(ended) {
            return self.tell("the server was to end", Some(problem));
        }
        tokio::time::sleep(self.off).await;
        let server = Arc::clone(&self.server);
        let started = spawn_blocking(move || server.start_again().map_err(|e| e.to_string()));
        self.tell("the server is back", problem_of(started.await));
    }

    fn tell(&self, what: &str, problem: Option<String>) {
        let at_us = self.clock.now_us();
        self.log.followed(self.event, at_us, what, problem);
    }
}

fn problem_of(done: Result<Result<(), String>, tokio::task::JoinError>) -> Option<String> {
    match done {
        Ok(done) => done.err(),
        Err(error) => Some(error.to_string()),
    }
}
