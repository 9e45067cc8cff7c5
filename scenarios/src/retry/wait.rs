//! Waits that several profiles share.

use std::time::Duration;

use super::profile::{Setback, Situation};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const TWO_SECONDS: Duration = Duration::from_secs(2);
/// Where a well-behaved device's waits stop doubling.
const WELL_BEHAVED_CEILING: Duration = Duration::from_secs(60);

/// As told, or 2 s, while all is well; after a failure from half to all of a wait that doubles,
/// so that those who failed together do not come back together.
pub(super) fn well_behaved(now: Situation) -> Duration {
    let told = now.retry_after;
    if now.setback == Setback::Unfinished {
        return told.unwrap_or(TWO_SECONDS);
    }
    let doublings = now.failures.saturating_sub(1).min(6);
    let whole = (SECOND * 2_u32.pow(doublings)).min(WELL_BEHAVED_CEILING);
    let backoff = whole / 2 + part(whole / 2, now.chance);
    // Whoever is told to wait adds the chance to it: everybody was told the same.
    told.map_or(backoff, |told| told.saturating_add(part(whole, now.chance)))
}

/// This part of `whole`; `chance` out of its range counts as its nearest end.
pub(super) fn part(whole: Duration, chance: f64) -> Duration {
    let chance = if chance.is_nan() { 0.0 } else { chance };
    whole.mul_f64(chance.clamp(0.0, 1.0))
}
