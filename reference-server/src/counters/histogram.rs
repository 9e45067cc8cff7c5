//! How long requests take, counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in microseconds: a signature checked on a free core takes tens of
/// them, and a device gives up after a minute.
pub(crate) const BOUNDS: [u64; 14] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];

/// Durations by bucket, and their sum. Every thread adds.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// One more than there are bounds: what is longer than all.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

impl Histogram {
    /// One more.
    pub(crate) fn add(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS.partition_point(|bound| *bound < micros);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.microseconds.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many took up to each bound, in the order of [`BOUNDS`], and how many there are in all.
    pub(crate) fn up_to(&self) -> [u64; BOUNDS.len() + 1] {
        let mut sum = 0;
        std::array::from_fn(|index| {
            sum += self.buckets[index].load(Ordering::Relaxed);
            sum
        })
    }

    /// What they took together, in seconds.
    #[expect(
        clippy::cast_precision_loss,
        reason = "centuries of microseconds are exact"
    )]
    pub(crate) fn seconds(&self) -> f64 {
        self.microseconds.load(Ordering::Relaxed) as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_from_its_bucket_up() {
        let histogram = Histogram::default();
        for micros in [0, 50, 51, 1_000_000, 60_000_000] {
            histogram.add(Duration::from_micros(micros));
        }
        let up_to = histogram.up_to();
        assert_eq!(up_to[0], 2, "a bound is in its own bucket");
        assert_eq!(up_to[1], 3);
        assert_eq!(up_to[11], 4, "up to a second");
        assert_eq!(up_to[BOUNDS.len() - 1..], [4, 5], "the last is longer");
        assert!((histogram.seconds() - 61.000_101).abs() < 1e-9);
    }
}
