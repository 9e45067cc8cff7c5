//! Latencies of one metric, and how they lie about a limit.
//!
//! Which side of the limit a percentile is on is counted, sample by sample: no width of a bucket decides. The
//! histogram only tells how far away it is.

use super::value::Value;
use crate::exact::{Decimal, Ratio};
use crate::histogram::{LatencyHistogram, Precision};

/// Which figure of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statistic {
    Min,
    Mean,
    P50,
    P75,
    P90,
    P95,
    P99,
    P999,
    P9999,
    Max,
}

/// Samples as they come.
#[derive(Debug, Clone)]
pub(super) struct Samples {
    precision: Precision,
    /// The limit without its fraction, and whether it has none.
    limit_us: u64,
    is_whole: bool,
    histogram: Option<Box<LatencyHistogram>>,
    count: u64,
    sum_us: u128,
    least_us: u64,
    greatest_us: u64,
    below: u64,
    at: u64,
    greatest_below_us: u64,
    least_above_us: u64,
}

impl Samples {
    /// None; to be held against a limit in microseconds.
    pub(super) fn new(limit: Decimal, precision: Precision) -> Self {
        Self {
            precision,
            limit_us: limit.whole(),
            is_whole: limit.places() == 0,
            histogram: None,
            count: 0,
            sum_us: 0,
            least_us: u64::MAX,
            greatest_us: 0,
            below: 0,
            at: 0,
            greatest_below_us: 0,
            least_above_us: u64::MAX,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Counts one.
    pub(super) fn record(&mut self, us: u64) {
        self.histogram().record(us);
        self.count += 1;
        self.sum_us += u128::from(us);
        self.least_us = self.least_us.min(us);
        self.greatest_us = self.greatest_us.max(us);
        if us < self.limit_us || us == self.limit_us && !self.is_whole {
            self.below += 1;
            self.greatest_below_us = self.greatest_below_us.max(us);
        } else if us == self.limit_us {
            self.at += 1;
        } else {
            self.least_above_us = self.least_above_us.min(us);
        }
    }

    /// Adds what another with the same limit has counted.
    pub(super) fn merge(&mut self, other: &Self) {
        if let Some(more) = &other.histogram {
            self.histogram().add(more);
        }
        self.count += other.count;
        self.sum_us += other.sum_us;
        self.least_us = self.least_us.min(other.least_us);
        self.greatest_us = self.greatest_us.max(other.greatest_us);
        self.below += other.below;
        self.at += other.at;
        self.greatest_below_us = self.greatest_below_us.max(other.greatest_below_us);
        self.least_above_us = self.least_above_us.min(other.least_above_us);
    }

    fn histogram(&mut self) -> &mut LatencyHistogram {
        let precision = self.precision;
        self.histogram
            .get_or_insert_with(|| Box::new(LatencyHistogram::new(precision)))
    }

    /// A figure of all of them, and of so many more that have not come so far and count as slower than any; none of
    /// nothing. It lies on the limit's right side, whatever the histogram's precision.
    pub(super) fn value(&self, statistic: Statistic, not_reached: u64) -> Option<Value> {
        let of = self.count + not_reached;
        if of == 0 {
            return None;
        }
        let rank = statistic.rank(of);
        if rank > self.count {
            return Some(Value::Unbounded { not_reached, of });
        }
        Some(Value::Of(match statistic {
            Statistic::Min => Ratio::whole(self.least_us),
            Statistic::Max => Ratio::whole(self.greatest_us),
            Statistic::Mean => Ratio::new(self.sum_us, self.count),
            _ => Ratio::whole(self.at_rank(rank)),
        }))
    }

    fn at_rank(&self, rank: u64) -> u64 {
        let Some(histogram) = &self.histogram else {
            return 0;
        };
        let about = histogram.at_rank(rank);
        if rank <= self.below {
            about.min(self.greatest_below_us)
        } else if rank <= self.below + self.at {
            self.limit_us
        } else {
            about.max(self.least_above_us)
        }
    }
}

impl Statistic {
    pub(super) const ALL: [Self; 10] = [
        Self::Min,
        Self::Mean,
        Self::P50,
        Self::P75,
        Self::P90,
        Self::P95,
        Self::P99,
        Self::P999,
        Self::P9999,
        Self::Max,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P75 => "p75",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p999",
            Self::P9999 => "p9999",
            Self::Max => "max",
        }
    }

    /// The samples of 10,000 that lie below or at a percentile.
    fn of_10_000(self) -> Option<u64> {
        match self {
            Self::P50 => Some(5_000),
            Self::P75 => Some(7_500),
            Self::P90 => Some(9_000),
            Self::P95 => Some(9_500),
            Self::P99 => Some(9_900),
            Self::P999 => Some(9_990),
            Self::P9999 => Some(9_999),
            Self::Min | Self::Mean | Self::Max => None,
        }
    }

    /// The samples of so many that it takes, in ascending order.
    fn rank(self, of: u64) -> u64 {
        match (self, self.of_10_000()) {
            (_, Some(share)) => {
                let rank = (u128::from(of) * u128::from(share)).div_ceil(10_000);
                u64::try_from(rank).unwrap_or(of)
            }
            (Self::Min, None) => 1,
            (_, None) => of,
        }
    }

    /// What of a hundred lies above a percentile.
    pub(super) fn percent_above(self) -> Option<Decimal> {
        self.of_10_000()
            .map(|share| Decimal::new(10_000 - share, 2))
    }

    /// The samples from which on a percentile is less than the greatest of them.
    pub(super) fn samples_to_tell(self) -> u64 {
        let rest = self.of_10_000().map(|share| 10_000 - share);
        rest.map_or(0, |rest| 10_000 / rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT_US: u64 = 5_000_000;

    fn samples(limit: &str, precision: Precision, all: &[u64]) -> Samples {
        let limit = Decimal::parse(limit).expect("a limit");
        let mut samples = Samples::new(limit, precision);
        all.iter().for_each(|us| samples.record(*us));
        samples
    }

    #[test]
    fn no_width_of_a_bucket_decides() {
        for precision in [Precision::Fine, Precision::Coarse] {
            // One that is slow keeps least and greatest from telling all.
            let mut all = [LIMIT_US; 1_000];
            all[999] = 9_000_000;
            let exactly = samples("5000000", precision, &all);
            assert_eq!(
                exactly.value(Statistic::P99, 0),
                Some(Value::Of(Ratio::whole(LIMIT_US)))
            );
            all = [1_999_000; 1_000];
            all[999] = 9_000_000;
            let below = samples("2000000", precision, &all);
            let found = below.value(Statistic::P99, 0).expect("samples");
            assert!(found < Value::Of(Ratio::whole(2_000_000_u64)), "{found:?}");
            all = [2_000_001; 1_000];
            all[0] = 1;
            let above = samples("2000000", precision, &all);
            let found = above.value(Statistic::P99, 0).expect("samples");
            assert!(found > Value::Of(Ratio::whole(2_000_000_u64)), "{found:?}");
        }
        let between = samples("1.5", Precision::Fine, &[1, 1, 2]);
        assert_eq!((between.below, between.at), (2, 0));
    }

    #[test]
    fn who_did_not_get_so_far_is_slower_than_any() {
        let mut all = samples("5000000", Precision::Fine, &[1_000; 99]);
        let unbounded = |not_reached, of| Some(Value::Unbounded { not_reached, of });
        let one_ms = Some(Value::Of(Ratio::whole(1_000_u64)));
        for (statistic, one, two) in [
            (Statistic::Min, one_ms, one_ms),
            (Statistic::P50, one_ms, one_ms),
            (Statistic::P95, one_ms, one_ms),
            (Statistic::P99, one_ms, unbounded(2, 101)),
            (Statistic::Max, unbounded(1, 100), unbounded(2, 101)),
            (Statistic::Mean, unbounded(1, 100), unbounded(2, 101)),
        ] {
            assert_eq!(all.value(statistic, 0), one_ms, "{statistic:?}");
            assert_eq!(all.value(statistic, 1), one, "{statistic:?}");
            assert_eq!(all.value(statistic, 2), two, "{statistic:?}");
        }
        all = samples("5000000", Precision::Fine, &[]);
        assert_eq!(all.value(Statistic::Min, 3), unbounded(3, 3));
        assert_eq!(all.value(Statistic::Min, 0), None);
    }

    #[test]
    fn from_some_samples_on_a_percentile_is_no_longer_the_greatest() {
        for statistic in Statistic::ALL {
            let least = statistic.samples_to_tell();
            if least > 0 {
                assert_eq!(statistic.rank(least), least - 1, "{statistic:?}");
                assert_eq!(statistic.rank(least - 1), least - 1, "{statistic:?}");
            }
        }
    }

    proptest! {
        /// Beside sorted samples: the decision is theirs, and the figure is as near as the precision says.
        #[test]
        fn a_percentile_decides_as_the_sorted_samples_do(
            all in prop::collection::vec(
                prop_oneof![0_u64..3_000, 4_990_000_u64..5_010_000, 0_u64..4_000_000_000],
                1..400,
            ),
            halves in prop_oneof![Just(10_000_000_u64), 0_u64..6_000, 9_980_000_u64..10_020_000],
            not_reached in 0_u64..20,
            cut in 0_usize..400,
        ) {
            let limit = Decimal::new(halves * 5, 1);
            for (precision, of) in [(Precision::Fine, 1_000), (Precision::Coarse, 100)] {
                let mut counted = Samples::new(limit, precision);
                let mut more = counted.clone();
                let cut = cut.min(all.len());
                all[..cut].iter().for_each(|us| counted.record(*us));
                all[cut..].iter().for_each(|us| more.record(*us));
                counted.merge(&more);
                let mut sorted = all.clone();
                sorted.sort_unstable();
                for statistic in Statistic::ALL {
                    let found = counted.value(statistic, not_reached).expect("samples");
                    let count = sorted.len() as u64;
                    let rank = statistic.rank(count + not_reached);
                    let sum: u64 = sorted.iter().sum();
                    let truth = match sorted.get(rank as usize - 1) {
                        None => Value::Unbounded { not_reached, of: count + not_reached },
                        Some(_) if statistic == Statistic::Mean => Value::Of(Ratio::new(sum, count)),
                        Some(us) => Value::Of(Ratio::whole(*us)),
                    };
                    let at = Value::Of(limit.into());
                    prop_assert_eq!(found.cmp(&at), truth.cmp(&at), "{:?}", statistic);
                    if let (Value::Of(found), Value::Of(truth)) = (found, truth)
                        && truth < Ratio::whole(3_600_000_000_u64)
                    {
                        prop_assert!(found.distance(truth).times(of as u64) <= truth, "{statistic:?}");
                    }
                }
            }
        }
    }
}
