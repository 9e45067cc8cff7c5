//! How long a delay takes: drawn from its distribution.

use std::time::Duration;

use fleetstorm_protocol::fault::time::{Delay, LONGEST, Percentiles, Range};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, LogNormal};

/// Standard normal quantile of 99 %.
const Z99: f64 = 2.326_347_874;

/// One of the times of `delay`; the same for the same draw. `share` is below 1, and is where in an even
/// spread it lies.
pub(super) fn sample(delay: &Delay, draw: u64, share: f64) -> Duration {
    let sampled = match delay {
        Delay::Constant(time) => time.0,
        Delay::Uniform(Range { from, to }) => from.0 + (to.0 - from.0).mul_f64(share),
        Delay::LogNormal(Percentiles { p50, p99 }) => {
            let (p50, p99) = (p50.0.as_secs_f64(), p99.0.as_secs_f64());
            LogNormal::new(p50.ln(), (p99 / p50).ln() / Z99)
                .ok()
                .map(|times| times.sample(&mut ChaCha8Rng::seed_from_u64(draw)))
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .unwrap_or(LONGEST)
        }
    };
    sampled.min(LONGEST)
}
