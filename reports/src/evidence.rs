//! What a sample says about the share behind it: one-sided confidence bounds, exact whatever the counts are
//! (Clopper and Pearson, 1934).
//!
//! They are where the binomial distribution's tails have what is left of the confidence. A tail is summed from its
//! greatest term on, as far as terms tell: some ten standard deviations, of a thousand million devices
//! a hundred thousand terms. (The inverse beta distribution of statrs 0.19 would give them as well, but does not
//! come to an end for ten million devices of which none is bad.)

use statrs::function::factorial::ln_binomial;

/// Halvings of an interval of shares: beyond what a double tells apart near 1.
const HALVINGS: u32 = 52;
/// A term that is such a part of what is summed so far does not change it, nor do those after it.
const NOTHING: f64 = 1e-18;

/// Least and greatest share of good ones that `good` and `bad` are compatible with: each is
/// wrong with a chance of at most `1 − confidence`.
pub(crate) fn bounds(good: u64, bad: u64, confidence: f64) -> (f64, f64) {
    if good + bad == 0 {
        return (0.0, 1.0);
    }
    // Near zero a double tells shares apart that it does not near one.
    if good < bad {
        return bounds_of_rarer(good, good + bad, confidence);
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
pub(crate) fn least_needed(objective: f64, confidence: f64) -> u64 {
    ((1.0 - confidence).ln() / objective.ln()).ceil() as u64
}

fn bounds_of_rarer(rare: u64, all: u64, confidence: f64) -> (f64, f64) {
    let error = 1.0 - confidence;
    // The chance of so few falls as the share grows.
    let high = where_it_falls_below(error, |share| at_most(rare, all, share));
    let low = rare.checked_sub(1).map_or(0.0, |fewer| {
        where_it_falls_below(confidence, |share| at_most(fewer, all, share))
    });
    (low, high)
}

/// The chance of at most `rare` among `all` when each is one with the chance `share`, between none and all.
pub(crate) fn at_most(rare: u64, all: u64, share: f64) -> f64 {
    let odds = share / (1.0 - share);
    let ln_chance = |count: u64| {
        let hits = number(count) * share.ln();
        ln_binomial(all, count) + hits + number(all - count) * (-share).ln_1p()
    };
    let term = |count: u64| ln_chance(count).exp();
    if number(rare) <= number(all) * share {
        // Terms fall from it downwards.
        let fewer = |(count, term): (u64, f64)| {
            let times = number(count) / number(all - count + 1) / odds;
            Some((count.checked_sub(1)?, term * times))
        };
        return tail((rare, term(rare)), fewer);
    }
    let more = |(count, term): (u64, f64)| {
        let times = number(all - count) / number(count + 1) * odds;
        (count < all).then_some((count + 1, term * times))
    };
    1.0 - tail((rare + 1, term(rare + 1)), more)
}

/// The sum of terms that fall, from the first on.
fn tail(first: (u64, f64), next: impl Fn((u64, f64)) -> Option<(u64, f64)>) -> f64 {
    let terms = std::iter::successors(Some(first), |term| next(*term));
    let mut sum = 0.0;
    for (_, term) in terms {
        sum += term;
        if term <= sum * NOTHING {
            break;
        }
    }
    sum
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

#[expect(clippy::cast_precision_loss, reason = "counts of devices and seconds")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
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

    /// The quantiles of the beta distribution as scipy 1.17 gives them, which takes them from Boost.
    #[test]
    fn bounds_are_exact_however_many_there_are() {
        for (good, bad, low, high) in [
            (99_000, 1_000, 0.989_466_799_099, 0.990_512_002_743),
            (98_999, 1_001, 0.989_456_543_325, 0.990_502_259_075),
            (990_000, 10_000, 0.989_834_786_018, 0.990_163_111_602),
            (500_000, 500_000, 0.499_177_073_949, 0.500_822_926_051),
            (99_999_000, 1_000, 0.999_989_463_972, 0.999_990_514_399),
            (999_000_000, 1_000_000, 0.998_998_354_402, 0.999_001_643_464),
            (50_000, 5_000_000, 0.009_828_628_352, 0.009_973_767_358),
            (
                500_000_000,
                500_000_000,
                0.499_973_992_081,
                0.500_026_007_919,
            ),
        ] {
            let found = bounds(good, bad, 0.95);
            let off = (found.0 - low).abs().max((found.1 - high).abs());
            assert!(off < 2e-9, "{good} {bad}: {found:?}, off by {off}");
        }
    }

    #[test]
    fn as_many_as_are_needed_are_just_enough() {
        let needed = least_needed(0.999, 0.95);
        assert_eq!(needed, 2_995);
        assert!(bounds(needed, 0, 0.95).0 >= 0.999);
        assert!(bounds(needed - 1, 0, 0.95).0 < 0.999);
    }
}
