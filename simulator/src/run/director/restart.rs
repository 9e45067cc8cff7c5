//! The bundled server ends and starts again, while other events go on.

use std::sync::Arc;
use std::time::Duration;

use fleetstorm_scenarios::event::{End, Restart};
use tokio::task::spawn_blocking;

use super::event_log::EventLog;
use crate::device::counters::DeviceCounters;
use crate::device::counters::deaths::Confirmed;
use crate::server::bundled::BundledServer;
use crate::stopwatch::RunClock;

/// How long devices may still hear of what a server did that was killed: what is in their sockets.
const LINGERS: Duration = Duration::from_secs(1);

/// A restart under way.
pub(super) struct Restarting {
    /// Index of the event.
    pub(super) event: u16,
    pub(super) server: Arc<BundledServer>,
    pub(super) restart: Restart,
    pub(super) clock: RunClock,
    pub(super) log: EventLog,
    /// What devices hear meanwhile.
    pub(super) device_counters: Arc<DeviceCounters>,
}

impl Restarting {
    /// Ends it, waits, starts it; the log hears when it is back, or why it is not.
    pub(super) async fn happen(self) {
        let before = self.device_counters.heard();
        let (server, end) = (Arc::clone(&self.server), self.restart.end);
        let ended = spawn_blocking(move || server.end(end).map_err(|e| e.to_string())).await;
        let is_told = match flat(ended) {
            Ok(is_told) => is_told,
            Err(problem) => return self.tell("the server was to end", Some(problem)),
        };
        let dies = end == End::Kill || !is_told;
        if dies {
            // Of a life without a last word nothing is known.
            let since = if is_told {
                before
            } else {
                Confirmed::default()
            };
            self.device_counters.deaths.begin(since);
        }
        tokio::time::sleep(self.restart.off).await;
        let server = Arc::clone(&self.server);
        let started = spawn_blocking(move || server.start_again().map_err(|e| e.to_string()));
        let problem = flat(started.await).err().or_else(|| {
            let is_silent = end == End::Stop && !is_told;
            is_silent.then(|| "before, it ended without telling its counters".into())
        });
        self.tell("the server is back", problem);
        if dies {
            tokio::time::sleep(LINGERS).await;
            self.device_counters
                .deaths
                .end(&self.device_counters.heard());
        }
    }

    fn tell(&self, what: &str, problem: Option<String>) {
        let at_us = self.clock.now_us();
        self.log.followed(self.event, at_us, what, problem);
    }
}

fn flat<Done>(done: Result<Result<Done, String>, tokio::task::JoinError>) -> Result<Done, String> {
    done.unwrap_or_else(|error| Err(error.to_string()))
}
