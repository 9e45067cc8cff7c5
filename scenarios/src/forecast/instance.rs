//! The DPS instances of a run, as a forecast knows them: what they let in, and how long they take.

use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, LogNormal};

use super::batch::micros;
use super::options::{ForecastOptions, Z99, Z999};
use super::rate_limiter::RateLimiter;
use crate::plan::Plan;
use crate::server::ProcessingTime;

/// One of them.
#[derive(Debug)]
pub(super) struct Instance {
    /// Its quotas.
    pub(super) limiter: RateLimiter,
    pub(super) pace: Pace,
    /// None where an assignment takes no time.
    assignment: Option<LogNormal<f64>>,
}

/// How an instance assigns hubs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How long that takes.
    processing: ProcessingTime,
    /// What an unfinished assignment tells devices to wait.
    pub(super) retry_after: Duration,
}

impl Instance {
    /// The scenario's own, then its tenants'.
    pub(super) fn of_all(plan: &Plan, options: &ForecastOptions) -> Vec<Self> {
        // Quotas of another endpoint's instances are those that are documented for each.
        let is_bundled = plan.scenario().target.is_none();
        let tenants = plan.scenario().tenants.iter();
        let of_tenants = tenants.map(|tenant| {
            if is_bundled {
                tenant.throttle
            } else {
                options.rates
            }
        });
        let rates = [options.rates].into_iter().chain(of_tenants);
        let instances = (0_u8..).zip(rates).map(|(tenant, rates)| {
            let pace = Pace::of(plan, options, tenant);
            Self {
                limiter: RateLimiter::new(rates),
                pace,
                assignment: pace.distribution(),
            }
        });
        instances.collect()
    }

    /// How long an assignment takes, by chance; in microseconds.
    pub(super) fn assignment_us(&self, chance: &mut ChaCha12Rng) -> u64 {
        let seconds = self.assignment.map_or(0.0, |time| time.sample(chance));
        Duration::try_from_secs_f64(seconds).map_or(u64::MAX, micros)
    }
}

impl Pace {
    /// Of the instance of this index.
    pub(super) fn of(plan: &Plan, options: &ForecastOptions, tenant: u8) -> Self {
        let scenario = plan.scenario();
        let tenant = scenario.tenant(tenant);
        let own = tenant.filter(|_| scenario.target.is_none());
        let (processing, retry_after) = own
            .map_or((options.processing, options.retry_after), |own| {
                (own.processing, own.retry_after)
            });
        let ProcessingTime { p50, p99 } = processing;
        let factor = options.processing_factor;
        Self {
            processing: ProcessingTime {
                p50: p50.mul_f64(factor),
                p99: p99.mul_f64(factor),
            },
            retry_after,
        }
    }

    /// Seconds that 999 of 1,000 assignments take at most.
    pub(super) fn longest(self) -> f64 {
        let (p50, p99) = self.seconds();
        if p50 > 0.0 {
            p50 * (p99 / p50).powf(Z999 / Z99)
        } else {
            0.0
        }
    }

    fn distribution(self) -> Option<LogNormal<f64>> {
        let (p50, p99) = self.seconds();
        let spread = (p99.max(p50) / p50).ln() / Z99;
        (p50 > 0.0)
            .then(|| LogNormal::new(p50.ln(), spread).ok())
            .flatten()
    }

    fn seconds(self) -> (f64, f64) {
        let ProcessingTime { p50, p99 } = self.processing;
        (p50.as_secs_f64(), p99.as_secs_f64())
    }
}
