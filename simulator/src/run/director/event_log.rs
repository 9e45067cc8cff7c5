//! What has happened to the fleet and its service, and what is still to come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleetstorm_reports::event::Happened;
use fleetstorm_scenarios::Scenario;

/// What has happened and what is still to come, as the observer sees it.
#[derive(Debug, Clone, Default)]
pub struct EventLog(Arc<Mutex<Log>>);

/// An event that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTimes {
    /// Index in the scenario.
    pub event: u16,
    /// When it began, before anybody could notice: microseconds since the start.
    pub began_us: u64,
    /// When it was done; `None` as long as it is not, and where it failed: nobody knows how far it came.
    pub done_us: Option<u64>,
}

#[derive(Debug, Default)]
struct Log {
    happened: Vec<Happened>,
    times: Vec<EventTimes>,
    /// By index in the scenario.
    pending: BTreeMap<u16, String>,
}

impl EventLog {
    /// Of a run that has not begun.
    pub fn of(scenario: &Scenario) -> Self {
        let events = (0..).zip(&scenario.events);
        let pending = events.map(|(index, event)| (index, scenario.in_words(&event.action)));
        Self(Arc::new(Mutex::new(Log {
            happened: Vec::new(),
            times: Vec::new(),
            pending: pending.collect(),
        })))
    }

    /// What has happened so far.
    pub fn read(&self) -> Vec<Happened> {
        self.log().happened.clone()
    }

    /// What has begun so far, in its order.
    pub fn so_far<T>(&self, look: impl FnOnce(&[EventTimes]) -> T) -> T {
        look(&self.log().times)
    }

    /// All events, at the end of the run: those that it did not reach are failures, too.
    pub fn close(&self, at_us: u64) -> Vec<Happened> {
        let log = self.log();
        let missed = log.pending.values().map(|what| Happened {
            at_us,
            what: what.clone(),
            problem: Some("it did not happen: the run was over before".into()),
            missed: true,
        });
        log.happened.iter().cloned().chain(missed).collect()
    }

    /// One of them begins, by its index in the scenario: nobody can have noticed yet.
    pub(super) fn begins(&self, event: u16, began_us: u64) {
        self.log().times.push(EventTimes {
            event,
            began_us,
            done_us: None,
        });
    }

    /// It has happened; `done_us` is none where it goes on.
    pub(super) fn happened(&self, index: u16, done_us: Option<u64>, problem: Option<String>) {
        let mut log = self.log();
        let mut times = log.times.iter_mut();
        let Some(times) = times.find(|times| times.event == index) else {
            return;
        };
        let at_us = times.began_us;
        times.done_us = done_us.filter(|_| problem.is_none());
        if let Some(what) = log.pending.remove(&index) {
            log.happened.push(Happened {
                at_us,
                what,
                problem,
                missed: false,
            });
        }
    }

    /// Something has come of one that went on; it is done unless there was a problem.
    pub(super) fn followed(&self, index: u16, at_us: u64, what: &str, problem: Option<String>) {
        let mut log = self.log();
        let mut times = log.times.iter_mut();
        if let Some(times) = times.find(|times| times.event == index) {
            times.done_us = problem.is_none().then_some(at_us);
        }
        log.happened.push(Happened {
            at_us,
            what: what.to_owned(),
            problem,
            missed: false,
        });
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_the_run_does_not_reach_is_told_as_missed() {
        let text = r#"
            name = "one"
            [[event]]
            at = "1s"
            do = "hub-down"
            hub = "hub-1"
            [[event]]
            at = "1h"
            do = "hub-up"
            [[cohort]]
            name = "a"
            devices = 1
            attestation = "tpm"
            transport = "https"
            arrival = { kind = "closed", concurrency = 1 }
        "#;
        let scenario = fleetstorm_scenarios::parse(text, "one.toml").expect("valid");
        let log = EventLog::of(&scenario);
        log.begins(0, 1_000_000);
        assert!(log.read().is_empty());
        log.happened(0, Some(1_200_000), None);
        assert_eq!(log.read()[0].at_us, 1_000_000);
        log.so_far(|times| assert_eq!(times[0].done_us, Some(1_200_000)));
        log.followed(0, 1_500_000, "it is back", None);
        log.so_far(|times| assert_eq!(times[0].done_us, Some(1_500_000)));
        let all = log.close(5_000_000);
        let told: Vec<_> = all
            .iter()
            .map(|event| (event.what.as_str(), event.problem.is_some() && event.missed))
            .collect();
        assert_eq!(
            told,
            [
                ("hub-down hub-1", false),
                ("it is back", false),
                ("hub-up, all hubs", true)
            ]
        );
    }
}
