//! Whether a median hangs on a hair: devices ask at intervals, so that a little more or less time to process
//! them can cost a whole interval.

use std::time::Duration;

use fleetstorm_scenarios::Plan;
use fleetstorm_scenarios::forecast::{Budget, ForecastOptions, forecast};

/// How much less and more of the processing time is tried.
pub(super) const CHANGE: f64 = 0.05;
/// How closely that is looked at: enough for a median.
const GLANCE: Budget = Budget {
    batches: 2_000,
    events: 200_000,
};

/// A median that a small change of the processing time moves by a poll interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KnifeEdge {
    /// From due to provisioned, half of the devices, with so much less time to process them.
    pub(super) with_less: Duration,
    /// The same, with so much more.
    pub(super) with_more: Duration,
}

impl KnifeEdge {
    /// Of a plan; none where its median moves by no more than the processing time does.
    pub(super) fn of(plan: &Plan, options: &ForecastOptions) -> Option<Self> {
        let interval = options.shortest_poll_interval(plan)?;
        let median = |factor| {
            let options = ForecastOptions {
                processing_factor: factor,
                budget: GLANCE,
                ..*options
            };
            forecast(plan, &options).response_p50
        };
        let (with_less, with_more) = (median(1.0 - CHANGE)?, median(1.0 + CHANGE)?);
        // Most of an interval, for not all devices wait for the same.
        let moved = with_less.abs_diff(with_more);
        (moved >= interval.mul_f64(0.75)).then_some(Self {
            with_less,
            with_more,
        })
    }
}
