//! A latency histogram: HdrHistogram's buckets in microseconds, kept by the page.
//!
//! A page of buckets is made when the first sample falls into it, so that memory follows what was measured:
//! latencies of a group of devices lie within a few powers of two. What is far apart costs a page a sample, and
//! never more than 15 KiB with two digits, 105 with three.

use crate::latency::{HistogramBucket, Percentiles};
use bars::bars;
pub(crate) use bars::edges;
use layout::Layout;
pub use layout::Precision;

mod bars;
mod layout;

/// Longest latency told apart, microseconds: an hour. Longer ones count as this.
pub(crate) const LONGEST_US: u64 = 3_600_000_000;
/// Buckets of a page: an eighth of a KiB.
const PAGE: usize = 32;

/// Counts latencies in microseconds.
#[derive(Debug, Clone)]
pub struct LatencyHistogram {
    layout: Layout,
    /// Pages of counts, as far as there are samples. A bucket counts to four billion.
    pages: Vec<Option<Box<[u32; PAGE]>>>,
    count: u64,
    sum_us: u64,
    min_us: u64,
    max_us: u64,
}

impl LatencyHistogram {
    /// An empty one.
    pub fn new(precision: Precision) -> Self {
        Self {
            layout: Layout::new(precision),
            pages: Vec::new(),
            count: 0,
            sum_us: 0,
            min_us: u64::MAX,
            max_us: 0,
        }
    }

    /// What it takes at most, whatever is recorded.
    pub(crate) const fn most_bytes(precision: Precision) -> usize {
        let pages = Layout::new(precision).index(LONGEST_US) / PAGE + 1;
        // A vector that grows may have room for twice as many.
        size_of::<Self>() + pages * (size_of::<[u32; PAGE]>() + 2 * size_of::<usize>())
    }

    /// Counts one latency.
    pub fn record(&mut self, us: u64) {
        let us = us.min(LONGEST_US);
        let index = self.layout.index(us);
        self.count_in(index, 1);
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(us);
        self.min_us = self.min_us.min(us);
        self.max_us = self.max_us.max(us);
    }

    /// Adds what another of the same precision has counted.
    pub fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.layout, other.layout, "buckets must be alike");
        for (index, count) in other.recorded() {
            self.count_in(index, count);
        }
        self.count += other.count;
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.min_us = self.min_us.min(other.min_us);
        self.max_us = self.max_us.max(other.max_us);
    }

    fn count_in(&mut self, index: usize, more: u32) {
        let (page, slot) = (index / PAGE, index % PAGE);
        if page >= self.pages.len() {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_with(|| Box::new([0; PAGE]));
        page[slot] = page[slot].saturating_add(more);
    }

    /// Buckets that have samples, by ascending value.
    fn recorded(&self) -> impl Iterator<Item = (usize, u32)> {
        let pages = self.pages.iter().enumerate();
        let made = pages.filter_map(|(at, page)| Some((at * PAGE, page.as_deref()?)));
        let counts = made.flat_map(|(first, page)| (first..).zip(page.iter().copied()));
        counts.filter(|(_, count)| *count > 0)
    }

    /// What was counted, by ascending value, as precisely as it is known.
    pub(crate) fn values(&self) -> impl Iterator<Item = (u64, u32)> {
        let recorded = self.recorded();
        recorded.map(|(index, count)| (self.value(index), count))
    }

    /// To how many significant digits values are known.
    pub(crate) fn digits(&self) -> u8 {
        self.layout.digits()
    }

    /// A bucket's value: the greatest that it can have counted.
    fn value(&self, index: usize) -> u64 {
        self.layout.greatest(index).clamp(self.min_us, self.max_us)
    }

    /// The value at a rank, from 1 on: as many samples lie below or at it.
    pub fn at_rank(&self, rank: u64) -> u64 {
        let mut seen = 0;
        let mut found = self.recorded().skip_while(|(_, count)| {
            seen += u64::from(*count);
            seen < rank
        });
        found
            .next()
            .map_or(self.max_us, |(index, _)| self.value(index))
    }

    /// The distribution so far; none without a sample. Least, greatest and mean are exact.
    pub fn percentiles(&self) -> Option<Percentiles> {
        if self.count == 0 {
            return None;
        }
        let [p50_us, p75_us, p90_us, p95_us, p99_us, p999_us, p9999_us] =
            self.quantiles([5_000, 7_500, 9_000, 9_500, 9_900, 9_990, 9_999]);
        Some(Percentiles {
            count: self.count,
            min_us: self.min_us,
            mean_us: (self.sum_us + self.count / 2) / self.count,
            p50_us,
            p75_us,
            p90_us,
            p95_us,
            p99_us,
            p999_us,
            p9999_us,
            max_us: self.max_us,
        })
    }

    /// The values below or at which so many of 10,000 samples lie.
    fn quantiles<const N: usize>(&self, ascending: [u32; N]) -> [u64; N] {
        let mut recorded = self.recorded();
        let (mut seen, mut value) = (0, self.min_us);
        ascending.map(|of_10_000| {
            let rank = (u128::from(self.count) * u128::from(of_10_000)).div_ceil(10_000);
            while seen < rank
                && let Some((index, count)) = recorded.next()
            {
                seen += u128::from(count);
                value = self.value(index);
            }
            value
        })
    }

    /// Least and greatest; none without a sample.
    pub(crate) fn range_us(&self) -> Option<(u64, u64)> {
        (self.count > 0).then_some((self.min_us, self.max_us))
    }

    /// What it takes now.
    pub(crate) fn bytes(&self) -> usize {
        let made = self.pages.iter().flatten().count();
        let pointers = self.pages.capacity() * size_of::<usize>();
        size_of::<Self>() + made * size_of::<[u32; PAGE]>() + pointers
    }

    /// Log-spaced bars without the empty ends, at most 64, for drawing.
    pub fn buckets(&self) -> Vec<HistogramBucket> {
        if self.count == 0 {
            return Vec::new();
        }
        let mut bars = bars(self.min_us, self.max_us);
        for (value, count) in self.values() {
            let at = bars.partition_point(|bar| bar.to_us <= value);
            if let Some(bar) = bars.get_mut(at) {
                bar.count += u64::from(count);
            }
        }
        bars
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRECISIONS: [(Precision, u8); 2] = [(Precision::Fine, 3), (Precision::Coarse, 2)];

    fn histogram(precision: Precision, samples: &[u64]) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::new(precision);
        samples.iter().for_each(|us| histogram.record(*us));
        histogram
    }

    #[test]
    fn percentiles_of_one_to_a_thousand() {
        let all: Vec<_> = (1..=1_000).collect();
        let expected = Percentiles {
            count: 1000,
            min_us: 1,
            mean_us: 501,
            p50_us: 500,
            p75_us: 750,
            p90_us: 900,
            p95_us: 950,
            p99_us: 990,
            p999_us: 999,
            p9999_us: 1000,
            max_us: 1000,
        };
        assert_eq!(
            histogram(Precision::Fine, &all).percentiles(),
            Some(expected)
        );
    }

    #[test]
    fn samples_that_are_all_alike_are_exact() {
        for (precision, _) in PRECISIONS {
            let Percentiles {
                min_us,
                mean_us,
                p50_us,
                p999_us,
                max_us,
                ..
            } = histogram(precision, &[5_000_000; 1_000])
                .percentiles()
                .expect("samples");
            let found = [min_us, mean_us, p50_us, p999_us, max_us];
            assert_eq!(found, [5_000_000; 5], "{precision:?}");
        }
    }

    #[test]
    fn an_empty_histogram_has_no_percentiles() {
        let histogram = LatencyHistogram::new(Precision::Coarse);
        assert_eq!(histogram.percentiles(), None);
        assert!(histogram.buckets().is_empty());
    }

    #[test]
    fn what_lasts_longer_than_an_hour_still_counts() {
        let percentiles = histogram(Precision::Coarse, &[u64::MAX]).percentiles();
        let percentiles = percentiles.expect("a sample");
        assert_eq!((percentiles.count, percentiles.max_us), (1, LONGEST_US));
    }

    #[test]
    fn memory_follows_what_was_measured() {
        for (precision, most_kib) in [(Precision::Fine, 105), (Precision::Coarse, 15)] {
            let mut everywhere = LatencyHistogram::new(precision);
            let mut us = 0;
            while us < LONGEST_US {
                everywhere.record(us);
                us += 1 + us / 2_000;
            }
            let most = LatencyHistogram::most_bytes(precision);
            assert!(
                everywhere.bytes() <= most && most <= most_kib << 10,
                "{most}"
            );
            let second = histogram(precision, &[1_000_000, 1_010_000, 1_400_000]);
            assert!(second.bytes() < 6_000, "{}", second.bytes());
        }
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_hdr_histogram(
            samples in proptest::collection::vec(0_u64..LONGEST_US, 1..300),
            more in proptest::collection::vec(0_u64..100_000, 0..300),
        ) {
            for (precision, digits) in PRECISIONS {
                let mut theirs = hdrhistogram::Histogram::<u64>::new_with_bounds(1, LONGEST_US, digits).expect("bounds");
                for us in samples.iter().chain(&more) {
                    theirs.record(*us).expect("within the bounds");
                }
                let mut ours = histogram(precision, &samples);
                ours.add(&histogram(precision, &more));
                let found = ours.percentiles().expect("samples");
                let max_us = samples.iter().chain(&more).copied().max().unwrap_or(0);
                let at = |quantile| theirs.value_at_quantile(quantile).min(max_us);
                prop_assert_eq!(found.count, theirs.len());
                prop_assert_eq!(found.max_us, max_us);
                prop_assert_eq!(Some(found.min_us), samples.iter().chain(&more).copied().min());
                prop_assert_eq!(
                    [found.p50_us, found.p75_us, found.p90_us, found.p95_us],
                    [at(0.5), at(0.75), at(0.9), at(0.95)]
                );
                prop_assert_eq!(
                    [found.p99_us, found.p999_us, found.p9999_us],
                    [at(0.99), at(0.999), at(0.9999)]
                );
            }
        }

        #[test]
        fn every_sample_is_in_exactly_one_bar(samples in proptest::collection::vec(0_u64..LONGEST_US, 1..200)) {
            let buckets = histogram(Precision::Fine, &samples).buckets();
            prop_assert!(buckets.len() <= bars::MAX_BARS);
            prop_assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), samples.len() as u64);
            prop_assert!(buckets.windows(2).all(|pair| pair[0].to_us == pair[1].from_us));
            prop_assert!(buckets.iter().all(|bucket| bucket.from_us < bucket.to_us));
        }
    }
}
