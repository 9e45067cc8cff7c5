//! How often is too often (DPS documentation, "Quotas and limits").

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Refusal;

/// Seconds over which the registrations of an instance are counted.
const REGISTRATIONS_SPAN: i64 = 60;
/// Seconds over which a device's polls are counted.
const POLLS_SPAN: i64 = 10;

/// Table `throttle` of the configuration; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ThrottleLimits {
    /// Registrations of the instance a minute; documented are 1,000. Counted are those of
    /// devices that have proven themselves.
    pub registrations_per_minute: u32,
    /// Polls of one device in ten seconds; documented are 5.
    pub polls_per_ten_seconds: u32,
}

/// An instance's.
#[derive(Debug)]
pub struct Throttle {
    limits: ThrottleLimits,
    registrations: Mutex<Window>,
}

/// What was counted in the running span of time. Spans follow one another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    span: i64,
    count: u32,
}

impl Throttle {
    /// Nothing counted.
    pub fn new(limits: ThrottleLimits) -> Self {
        Self {
            limits,
            registrations: Mutex::default(),
        }
    }

    /// Counts a registration.
    ///
    /// # Errors
    /// It is one too many.
    pub fn registration(&self, now: Timestamp) -> Result<(), Refusal> {
        let limit = self.limits.registrations_per_minute;
        if limit == 0 {
            return Ok(());
        }
        self.registrations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .count(limit, REGISTRATIONS_SPAN, now)
    }

    /// Counts a poll among its device's.
    ///
    /// # Errors
    /// It is one too many.
    pub fn poll(&self, polls: &mut Window, now: Timestamp) -> Result<(), Refusal> {
        match self.limits.polls_per_ten_seconds {
            0 => Ok(()),
            limit => polls.count(limit, POLLS_SPAN, now),
        }
    }
}

impl Window {
    /// One more, of `limit` in `seconds`. What is refused does not count.
    fn count(&mut self, limit: u32, seconds: i64, now: Timestamp) -> Result<(), Refusal> {
        let second = now.as_second();
        let span = second.div_euclid(seconds);
        if self.span != span {
            *self = Self { span, count: 0 };
        }
        if self.count >= limit {
            let left = seconds - second.rem_euclid(seconds);
            let retry_after = u32::try_from(left).unwrap_or(1);
            return Err(Refusal::Throttled { retry_after });
        }
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_up_to_its_limit_and_says_when_the_next_begins() {
        let throttle = Throttle::new(ThrottleLimits {
            registrations_per_minute: 2,
            polls_per_ten_seconds: 1,
        });
        let mut polls = Window::default();
        let refused = |retry_after| Err(Refusal::Throttled { retry_after });
        for (time, registration, poll) in [
            (0, Ok(()), Ok(())),
            (1, Ok(()), refused(9)),
            (9, refused(51), refused(1)),
            (10, refused(50), Ok(())),
            (59, refused(1), Ok(())),
            (60, Ok(()), Ok(())),
            (61, Ok(()), refused(9)),
            (62, refused(58), refused(8)),
        ] {
            let now = Timestamp::from_second(time).expect("a time");
            assert_eq!(throttle.registration(now), registration, "at {time}");
            assert_eq!(throttle.poll(&mut polls, now), poll, "at {time}");
        }
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let throttle = Throttle::new(ThrottleLimits::default());
        let mut polls = Window::default();
        for _ in 0..10_000 {
            assert_eq!(throttle.registration(Timestamp::UNIX_EPOCH), Ok(()));
            assert_eq!(throttle.poll(&mut polls, Timestamp::UNIX_EPOCH), Ok(()));
        }
        assert_eq!(polls, Window::default());
    }
}
