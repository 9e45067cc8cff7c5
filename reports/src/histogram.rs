//! A latency histogram: HdrHistogram in microseconds, of a fixed size.

use hdrhistogram::{Counter, Histogram};

use crate::summary::{HistogramBucket, Percentiles};

/// Longest latency told apart, microseconds: an hour. Longer ones count as this.
const LONGEST_US: u64 = 3_600_000_000;
/// Most bars of a drawn histogram.
const MAX_BUCKETS: usize = 64;

/// How finely a histogram tells values apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Three significant digits: 188 KB. For the run's totals.
    Fine,
    /// Two significant digits: 27 KB. For cuts and stretches of time.
    Coarse,
}

/// Counts latencies in microseconds.
#[derive(Debug, Clone)]
pub struct LatencyHistogram<Count: Counter = u64> {
    counts: Histogram<Count>,
}

impl<Count: Counter> LatencyHistogram<Count> {
    /// An empty one.
    ///
    /// # Panics
    /// Never: the bounds are constants that HdrHistogram allows.
    pub fn new(precision: Precision) -> Self {
        let digits = match precision {
            Precision::Fine => 3,
            Precision::Coarse => 2,
        };
        let counts = Histogram::new_with_bounds(1, LONGEST_US, digits)
            .expect("bounds and digits are allowed");
        Self { counts }
    }

    /// Counts one latency.
    pub fn record(&mut self, us: u64) {
        self.counts.saturating_record(us);
    }

    /// Adds what another has counted.
    pub fn add(&mut self, other: &Self) {
        // Same bounds: nothing can be out of range.
        let _ = self.counts.add(&other.counts);
    }

    /// The distribution so far.
    pub fn percentiles(&self) -> Percentiles {
        if self.counts.is_empty() {
            return Percentiles::default();
        }
        let [p50_us, p90_us, p99_us, p999_us] = self.quantiles([0.5, 0.9, 0.99, 0.999]);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a mean of latencies is one"
        )]
        let mean_us = self.counts.mean().round() as u64;
        Percentiles {
            count: self.counts.len(),
            min_us: self.counts.min(),
            mean_us,
            p50_us,
            p90_us,
            p99_us,
            p999_us,
            max_us: self.counts.max(),
        }
    }

    fn quantiles<const N: usize>(&self, ascending: [f64; N]) -> [u64; N] {
        let mut found = [0; N];
        for (value, slot) in self.counts.value_at_quantiles(ascending).zip(&mut found) {
            *slot = value;
        }
        found
    }

    /// Log-spaced bars without the empty ends, at most 64, for drawing.
    pub fn buckets(&self) -> Vec<HistogramBucket> {
        if self.counts.is_empty() {
            return Vec::new();
        }
        let mut buckets = bars(self.counts.min(), self.counts.max());
        for step in self.counts.iter_recorded() {
            let at = buckets.partition_point(|bucket| bucket.to_us <= step.value_iterated_to());
            if let Some(bucket) = buckets.get_mut(at) {
                bucket.count += step.count_at_value().as_u64();
            }
        }
        buckets
    }
}

/// Empty bars from `min` to `max`: as many to an octave as fit.
fn bars(min: u64, max: u64) -> Vec<HistogramBucket> {
    let spans = |per_octave: i32| {
        let edges = edges(min, max, per_octave);
        let pairs = edges.iter().zip(edges.iter().skip(1));
        pairs
            .map(|(&from_us, &to_us)| HistogramBucket {
                from_us,
                to_us,
                count: 0,
            })
            .collect::<Vec<_>>()
    };
    // A narrow range gets narrow bars, as narrow as three digits tell apart.
    let fitting = [512, 256, 128, 64, 32, 16, 8, 4, 2]
        .map(spans)
        .into_iter()
        .find(|bars| bars.len() <= MAX_BUCKETS);
    fitting.unwrap_or_else(|| spans(1))
}

/// Powers of two and what lies between them, from below `min` to above `max`; the first is 0 where `min` is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "edges lie below two hours"
)]
fn edges(min: u64, max: u64, per_octave: i32) -> Vec<u64> {
    let step = f64::from(per_octave);
    let first = ((min.max(1) as f64).log2() * step).floor() as i32;
    let last = ((max.max(1) as f64).log2() * step).floor() as i32 + 1;
    let powers = (first..=last).map(|exponent| (f64::from(exponent) / step).exp2().floor() as u64);
    let mut edges: Vec<u64> = (min == 0).then_some(0).into_iter().chain(powers).collect();
    edges.dedup();
    if let Some(end) = edges.last_mut() {
        *end = (*end).max(max + 1);
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_of_one_to_a_thousand() {
        let mut histogram = LatencyHistogram::<u64>::new(Precision::Fine);
        (1..=1000).for_each(|us| histogram.record(us));
        let expected = Percentiles {
            count: 1000,
            min_us: 1,
            mean_us: 501,
            p50_us: 500,
            p90_us: 900,
            p99_us: 990,
            p999_us: 999,
            max_us: 1000,
        };
        assert_eq!(histogram.percentiles(), expected);
    }

    #[test]
    fn an_empty_histogram_is_all_zero() {
        let histogram = LatencyHistogram::<u32>::new(Precision::Coarse);
        assert_eq!(histogram.percentiles(), Percentiles::default());
        assert!(histogram.buckets().is_empty());
    }

    #[test]
    fn what_lasts_longer_than_an_hour_still_counts() {
        let mut histogram = LatencyHistogram::<u64>::new(Precision::Coarse);
        histogram.record(u64::MAX);
        assert_eq!(histogram.percentiles().count, 1);
        assert!(histogram.percentiles().max_us >= LONGEST_US);
    }

    proptest! {
        #[test]
        fn every_sample_is_in_exactly_one_bar(samples in proptest::collection::vec(0_u64..LONGEST_US, 1..200)) {
            let mut histogram = LatencyHistogram::<u64>::new(Precision::Fine);
            samples.iter().for_each(|us| histogram.record(*us));
            let buckets = histogram.buckets();
            prop_assert!(buckets.len() <= MAX_BUCKETS);
            prop_assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), samples.len() as u64);
            prop_assert!(buckets.windows(2).all(|pair| pair[0].to_us == pair[1].from_us));
            prop_assert!(buckets.iter().all(|bucket| bucket.from_us < bucket.to_us));
        }
    }
}
