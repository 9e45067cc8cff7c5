//! When a connection ends with the token that opened it.

use std::time::Duration;

use jiff::Timestamp;

/// Longest wait: timers end somewhere, and no connection lives that long.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);

/// How long a token still holds that runs out at `expiry`, in Unix seconds.
pub(super) fn until(expiry: i64, now: Timestamp) -> Duration {
    let left = expiry.saturating_sub(now.as_second());
    Duration::from_secs(u64::try_from(left).unwrap_or(0)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_are_over_or_never_end_have_a_wait_as_well() {
        let now = Timestamp::from_second(100).expect("in range");
        for (expiry, seconds) in [
            (160, 60),
            (100, 0),
            (i64::MIN, 0),
            (i64::MAX, LONGEST.as_secs()),
        ] {
            assert_eq!(until(expiry, now).as_secs(), seconds);
        }
    }
}
