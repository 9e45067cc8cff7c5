//! A scenario whose time passes faster than it is written, or slower.
//!
//! What the scenario plans passes faster: arrivals, events, how long devices stay and how often they
//! send, windows of thresholds. What takes its time does not: the service, the way to it, and the
//! devices' patience and retry habits; nor do promises (`[[slo]]`).

use std::time::Duration;

use crate::arrival::{Arrival, Stage};
use crate::event::When;
use crate::scenario::Scenario;

/// No interval becomes shorter, or it would be none.
const SHORTEST: Duration = Duration::from_millis(1);

/// So many seconds of the scenario pass in one.
pub(super) fn quicken(scenario: &mut Scenario, times: f64) {
    for cohort in &mut scenario.cohorts {
        cohort.arrival = arrival(&cohort.arrival, times);
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
    interval.div_f64(times).max(SHORTEST)
}

fn arrival(written: &Arrival, times: f64) -> Arrival {
    match written {
        Arrival::ConstantRate { rate } => Arrival::ConstantRate { rate: rate * times },
        Arrival::RampingRate { start_rate, stages } => Arrival::RampingRate {
            start_rate: start_rate * times,
            stages: stages
                .iter()
                .map(|stage| Stage {
                    to_rate: stage.to_rate * times,
                    over: stage.over.div_f64(times),
                })
                .collect(),
        },
        Arrival::Bursts { size, every } => Arrival::Bursts {
            size: *size,
            every: interval(*every, times),
        },
        Arrival::AllAtOnce | Arrival::Closed { .. } => written.clone(),
        Arrival::ByChance {
            scatter,
            arrival: of,
        } => Arrival::ByChance {
            scatter: scatter.clone(),
            arrival: Box::new(arrival(of, times)),
        },
        Arrival::Delayed { by, arrival: later } => Arrival::Delayed {
            by: by.div_f64(times),
            arrival: Box::new(arrival(later, times)),
        },
    }
}
