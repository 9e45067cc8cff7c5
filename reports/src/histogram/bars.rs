//! Bars to draw a distribution with: log-spaced, as narrow as there is room for.

use crate::latency::HistogramBucket;

/// Most bars of a drawn histogram.
pub(super) const MAX_BARS: usize = 64;

/// Empty bars from `min` to `max`.
pub(super) fn bars(min: u64, max: u64) -> Vec<HistogramBucket> {
    let edges = edges(min, max, MAX_BARS);
    let pairs = edges.iter().zip(edges.iter().skip(1));
    pairs
        .map(|(&from_us, &to_us)| HistogramBucket {
            from_us,
            to_us,
            count: 0,
        })
        .collect()
}

/// Bounds of log-spaced bars from `min` to `max`, one more than there are bars: as many to an octave as fit into `most`
/// bars, which must be 34 at least.
pub(crate) fn edges(min: u64, max: u64, most: usize) -> Vec<u64> {
    // A narrow range gets narrow bars, as narrow as three digits tell apart.
    [512, 256, 128, 64, 32, 16, 8, 4, 2]
        .into_iter()
        .map(|per_octave| powers(min, max, per_octave))
        .find(|edges| edges.len() <= most + 1)
        .unwrap_or_else(|| powers(min, max, 1))
}

/// Powers of two and what lies between them, from below `min` to above `max`; the first is 0 where `min` is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "edges lie below two hours"
)]
fn powers(min: u64, max: u64, per_octave: i32) -> Vec<u64> {
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
