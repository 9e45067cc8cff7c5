//! How far a scenario may go.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Latest intended start, and longest duration in a scenario: 366 days. Far beyond it a clock's
/// arithmetic overflows; anything beyond it is a slip.
pub const LONGEST_SCHEDULE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// How many seconds of a scenario may pass in one.
pub const TIME_SCALES: RangeInclusive<f64> = 0.001..=100_000.0;

/// No interval becomes shorter as time passes faster, or it would be none.
pub(crate) const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);
