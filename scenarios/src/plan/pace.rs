//! A scenario whose time passes faster than it is written, or slower.
//!
//! What the scenario plans passes faster: arrivals, events, how long devices stay and how often they
//! send, windows of thresholds. What takes its time does not: the service, the way to it, and the
//! devices' patience and retry habits; nor do promises (`[[slo]]`).

use std::time::Duration;

use crate::event::When;
use crate::limits::SHORTEST_INTERVAL;
use crate::scenario::Scenario;

/// So many seconds of the scenario pass in one.
pub(super) fn quicken(scenario: &mut Scenario, times: f64) {
    for cohort in &mut scenario.cohorts {
        cohort.load.quicken(times);
        let after = &mut cohort.after;
        after.hold = after.hold.map(|hold| hold.div_f64(times));
        after.telemetry = after.telemetry.map(|every| interval(every, times));
        after.reprovision_every = after.reprovision_every.map(|every| interval(every, times));
    }
    for event in &mut scenario.events {
        if let When::At(at) = &mut event.when {
            *at = at.div_f64(times);
        }
        if let Some(lasts) = event.action.lasts() {
            *lasts = lasts.div_f64(times);
        }
    }
    for threshold in &mut scenario.thresholds {
        let terms = &mut threshold.terms;
        terms.window = terms.window.map(|window| interval(window, times));
        terms.between = terms
            .between
            .map(|(from, to)| (from.div_f64(times), to.div_f64(times)));
        terms.after = terms.after.map(|after| after.div_f64(times));
    }
}

fn interval(interval: Duration, times: f64) -> Duration {
    interval.div_f64(times).max(SHORTEST_INTERVAL)
}
