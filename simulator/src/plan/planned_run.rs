//! What is shown of the run to come.

use std::time::Duration;

use fleetstorm_scenarios::Plan;
use fleetstorm_scenarios::forecast::{CohortForecast, Forecast, ForecastOptions};

use super::comparison::Row;
use super::knife_edge::KnifeEdge;
use crate::run::preflight::{Has, Needs};

/// Everything that is shown.
pub(super) struct PlannedRun<'plan> {
    pub plan: &'plan Plan,
    pub options: ForecastOptions,
    pub forecast: Forecast,
    pub needs: Needs,
    pub has: Has,
    /// When the last device ends at the earliest and at the latest, by when in a minute the run starts.
    pub ends: Option<(Duration, Duration)>,
    /// Whether the median hangs on a hair.
    pub knife_edge: Option<KnifeEdge>,
    /// The figures of a run and of the forecast; none without a run.
    pub comparison: Vec<Row>,
}

impl PlannedRun<'_> {
    /// Devices that read their twin, fail or time out, are dropped, and are turned away at least once.
    pub fn total(&self) -> CohortForecast {
        let mut total = CohortForecast::default();
        for foreseen in &self.forecast.cohorts {
            total.started += foreseen.started;
            total.provisioned += foreseen.provisioned;
            total.failed += foreseen.failed;
            total.timed_out += foreseen.timed_out;
            total.dropped += foreseen.dropped;
            total.throttled += foreseen.throttled;
        }
        total
    }

    /// The part of all cores that is busy in the busiest stretch of time; none of an ideal machine.
    pub fn busiest(&self) -> Option<f64> {
        let cores = self.options.machine?.cores;
        let timeline = &self.forecast.timeline;
        let room = timeline.width().as_secs_f64() * 1e6 * f64::from(cores);
        let windows = timeline.windows().iter();
        Some(
            windows
                .map(|window| window.cpu_us / room)
                .fold(0.0, f64::max),
        )
    }
}
