//! What samples say about a figure, and two of them about its change.

use std::rc::Rc;

use hdrhistogram::Histogram;

use crate::evidence::{at_most, bounds, number};

/// No run has as many: a file that says so is damaged, and to reckon with it would take for ever.
const MOST_SAMPLES: u64 = 10_000_000_000;

/// What a figure is made of.
#[derive(Debug, Clone)]
pub(super) enum Sample {
    /// A percentile of latencies.
    Ranked {
        /// The latencies.
        counted: Ranked,
        /// The share of them that lies below it.
        share: f64,
    },
    /// So many things among others, or in a time.
    Counted {
        /// How many.
        count: u64,
        /// Among how many, or in how many seconds.
        of: f64,
    },
}

/// By which part a figure is more, or less where below zero: from least to greatest. None where nobody can say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ChangeInterval {
    pub(super) at_least: Option<f64>,
    pub(super) at_most: Option<f64>,
}

impl ChangeInterval {
    /// What lies in either, and between them.
    pub(super) fn hull(self, other: Self) -> Self {
        let both = |one: Option<f64>, two: Option<f64>| Some((one?, two?));
        Self {
            at_least: both(self.at_least, other.at_least).map(|(one, two)| one.min(two)),
            at_most: both(self.at_most, other.at_most).map(|(one, two)| one.max(two)),
        }
    }
}

impl Sample {
    /// The figure.
    pub(super) fn value(&self) -> f64 {
        match self {
            Self::Ranked { counted, share } => counted.at(counted.rank_of(*share)).1,
            Self::Counted { count, of } => number(*count) / of,
        }
    }

    /// Samples behind it.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Ranked { counted, .. } => counted.count(),
            Self::Counted { count, .. } => *count,
        }
    }

    /// How many samples it takes to say anything about a percentile, where there are fewer.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a quotient of two negative logarithms; saturates"
    )]
    pub(super) fn needs(&self, error: f64) -> Option<u64> {
        let Self::Ranked { counted, share } = self else {
            return None;
        };
        let needed = (error.ln() / share.max(1.0 - share).ln()).ceil() as u64;
        (counted.count() < needed).then_some(needed)
    }

    /// The change from `baseline`; either end is wrong with a chance of at most about `error`.
    pub(super) fn beside(&self, baseline: &Self, error: f64) -> ChangeInterval {
        if self.count().max(baseline.count()) > MOST_SAMPLES {
            return ChangeInterval::default();
        }
        match (baseline, self) {
            (Self::Counted { count: a, of: of_a }, Self::Counted { count: b, of: of_b }) => {
                change_of_counts((*a, *of_a), (*b, *of_b), error)
            }
            (Self::Ranked { counted: a, share }, Self::Ranked { counted: b, .. }) => {
                change_of_percentiles(a.between(*share, error), b.between(*share, error))
            }
            _ => ChangeInterval::default(),
        }
    }
}

/// Of two counts that come by chance, what is known of the second's share in both says how their rates differ: exact,
/// whatever the counts are (Przyborowski and Wilenski, 1940).
fn change_of_counts((a, of_a): (u64, f64), (b, of_b): (u64, f64), error: f64) -> ChangeInterval {
    let (low, high) = bounds(b, a, 1.0 - error);
    let change = |share: f64| share / (1.0 - share) * of_a / of_b - 1.0;
    ChangeInterval {
        at_least: Some(change(low)),
        at_most: (high < 1.0 && a > 0).then(|| change(high)),
    }
}

/// A percentile, and what its samples leave possible.
#[derive(Debug, Clone, Copy)]
struct Between {
    low: Option<f64>,
    value: f64,
    high: Option<f64>,
}

/// Of two figures with intervals of their own, the interval of their ratio: the distances to either end add up as
/// variances do (the method of variance estimates recovery, Zou and Donner, 2008), on a scale of logarithms.
fn change_of_percentiles(a: Between, b: Between) -> ChangeInterval {
    let ln = |us: f64| us.max(1.0).ln();
    let distance = |one: f64, other: f64| (ln(one) - ln(other)).abs();
    let change = ln(b.value) - ln(a.value);
    let least = Option::zip(b.low, a.high)
        .map(|(b_low, a_high)| change - distance(b.value, b_low).hypot(distance(a.value, a_high)));
    let most = Option::zip(b.high, a.low)
        .map(|(b_high, a_low)| change + distance(b.value, b_high).hypot(distance(a.value, a_low)));
    ChangeInterval {
        at_least: least.map(f64::exp_m1),
        at_most: most.map(f64::exp_m1),
    }
}

/// Latencies by their rank.
#[derive(Debug, Clone)]
pub(super) struct Ranked(Rc<[Step]>);

/// Latencies that are not told apart.
#[derive(Debug, Clone, Copy)]
struct Step {
    low: f64,
    high: f64,
    /// How many there are up to these.
    rank: u64,
}

impl Ranked {
    pub(super) fn new(histogram: &Histogram<u64>) -> Self {
        let mut rank = 0_u64;
        let steps = histogram.iter_recorded().map(|step| {
            rank = rank.saturating_add(step.count_at_value());
            let value = step.value_iterated_to();
            Step {
                low: number(histogram.lowest_equivalent(value)),
                high: number(histogram.highest_equivalent(value)),
                rank,
            }
        });
        Self(steps.collect())
    }

    /// How many they are.
    pub(super) fn count(&self) -> u64 {
        self.0.last().map_or(0, |step| step.rank)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a count"
    )]
    fn rank_of(&self, share: f64) -> u64 {
        (share * number(self.count())).ceil() as u64
    }

    /// Least and greatest that the one of a rank, from 1 on, may be.
    fn at(&self, rank: u64) -> (f64, f64) {
        let found = self.0.partition_point(|step| step.rank < rank);
        let step = self.0.get(found).or(self.0.last());
        step.map_or((0.0, 0.0), |step| (step.low, step.high))
    }

    /// The percentile and its interval: from the greatest sample that lies below it, but for a chance of `error`, to
    /// the least above it. How many lie below it has a binomial distribution, whatever that of latencies is.
    fn between(&self, share: f64, error: f64) -> Between {
        let count = self.count();
        let so_few = |rank: u64| at_most(rank, count, share);
        // As many samples as can lie below it at least, and at most.
        let low = first(count, |rank| so_few(rank) > error);
        let high = first(count, |rank| 1.0 - so_few(rank) <= error);
        Between {
            low: (low > 0).then(|| self.at(low).0),
            value: self.at(self.rank_of(share)).1,
            high: (high < count).then(|| self.at(high + 1).1),
        }
    }
}

/// The first of `0..end` for which it holds, as for all after it; `end` where there is none.
fn first(end: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests;
