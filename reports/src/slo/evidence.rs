//! What a sample says about the share behind it: one-sided confidence bounds.
//!
//! Exact (Clopper and Pearson, 1934) as long as the rarer kind is rare enough to sum over; beyond
//! that by Wilson's score (1927), where the two agree in the digits that are shown.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::factorial::ln_binomial;

use super::number;

/// Up to so many of the rarer kind the bounds are exact.
const EXACT: u64 = 1_000;
/// Halvings of an interval of shares: beyond what a double tells apart near 1.
const HALVINGS: u32 = 52;

/// Least and greatest share of good ones that `good` and `bad` are compatible with: each is
/// wrong with a chance of at most `1 − confidence`.
pub(super) fn bounds(good: u64, bad: u64, confidence: f64) -> (f64, f64) {
    if good + bad == 0 {
        return (0.0, 1.0);
    }
    if good < bad {
        let (low, high) = bounds_of_rarer(good, good + bad, confidence);
        return (low, high);
    }
    let (low, high) = bounds_of_rarer(bad, good + bad, confidence);
    (1.0 - high, 1.0 - low)
}

/// How many must be there, all of them good, to say that the share is at least `objective`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a quotient of two negative logarithms; saturates"
)]
pub(super) fn least_needed(objective: f64, confidence: f64) -> u64 {
    ((1.0 - confidence).ln() / objective.ln()).ceil() as u64
}

fn bounds_of_rarer(rare: u64, all: u64, confidence: f64) -> (f64, f64) {
    if rare > EXACT {
        return wilson(rare, all, confidence);
    }
    let error = 1.0 - confidence;
    // The chance of so few falls as the share grows.
    let high = where_it_falls_below(error, |share| at_most(rare, all, share));
    let low = rare.checked_sub(1).map_or(0.0, |fewer| {
        where_it_falls_below(confidence, |share| at_most(fewer, all, share))
    });
    (low, high)
}

/// The chance of at most `rare` among `all` when each is one with the chance `share`.
fn at_most(rare: u64, all: u64, share: f64) -> f64 {
    let (hit, miss) = (share.ln(), (-share).ln_1p());
    let chances = (0..=rare).map(|count| {
        // At most EXACT of them, so that `0 · −∞` can come from the misses alone.
        let missed = match all - count {
            0 => 0.0,
            misses => number(misses) * miss,
        };
        let hits = if count == 0 { 0.0 } else { number(count) * hit };
        (ln_binomial(all, count) + hits + missed).exp()
    });
    chances.sum()
}

fn where_it_falls_below(limit: f64, falling: impl Fn(f64) -> f64) -> f64 {
    let (mut above, mut below) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = (above + below) / 2.0;
        if falling(middle) > limit {
            above = middle;
        } else {
            below = middle;
        }
    }
    f64::midpoint(above, below)
}

fn wilson(rare: u64, all: u64, confidence: f64) -> (f64, f64) {
    let z = Normal::standard().inverse_cdf(confidence);
    let (rare, all) = (number(rare), number(all));
    let middle = (rare + z * z / 2.0) / (all + z * z);
    let half = z / (all + z * z) * (rare * (all - rare) / all + z * z / 4.0).sqrt();
    (middle - half, middle + half)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clopper-Pearson bounds as R's `binom.test` and the closed forms give them.
    #[test]
    fn bounds_are_those_of_the_literature() {
        let near = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 5e-6, "{found} {expected}");
        };
        // All good: the lower bound is error^(1/n).
        near(bounds(10, 0, 0.95).0, 0.05_f64.powf(0.1));
        near(bounds(10, 0, 0.95).1, 1.0);
        near(bounds(0, 10, 0.95).1, 1.0 - 0.05_f64.powf(0.1));
        // binom.test(8, 10): 95 % two-sided is 97.5 % on each side.
        near(bounds(8, 2, 0.975).0, 0.443_904_5);
        near(bounds(8, 2, 0.975).1, 0.974_789_3);
        assert_eq!(bounds(0, 0, 0.95), (0.0, 1.0));
    }

    #[test]
    fn the_exact_bounds_and_wilsons_meet_where_they_change() {
        let exact = bounds(99_000, 1_000, 0.95);
        let score = bounds(98_999, 1_001, 0.95);
        assert!((exact.0 - score.0).abs() < 1e-4, "{exact:?} {score:?}");
        assert!((exact.1 - score.1).abs() < 1e-4, "{exact:?} {score:?}");
    }

    #[test]
    fn as_many_as_are_needed_are_just_enough() {
        let needed = least_needed(0.999, 0.95);
        assert_eq!(needed, 2_995);
        assert!(bounds(needed, 0, 0.95).0 >= 0.999);
        assert!(bounds(needed - 1, 0, 0.95).0 < 0.999);
    }
}
