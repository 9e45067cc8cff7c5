//! When a device goes back to DPS by itself, again and again.

use std::time::Duration;

/// Its rounds; all times are since the run's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounds {
    every: Duration,
    next: Duration,
}

impl Rounds {
    /// The first one comes when `share`, 0 to 1, of the time between two has passed.
    pub(super) fn new(every: Duration, now: Duration, share: f64) -> Self {
        Self {
            every,
            next: now + every.mul_f64(share),
        }
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Duration {
        self.next
    }

    /// Those that were due until now are over; what could not be done in time is not done later.
    pub(super) fn pass(&mut self, now: Duration) {
        if self.next > now {
            return;
        }
        self.next += self.every;
        if self.next <= now {
            self.next = now + self.every;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_keep_their_rhythm_and_those_that_were_missed_are_left_out() {
        let second = Duration::from_secs;
        let mut rounds = Rounds::new(second(10), second(100), 0.3);
        for (now, next) in [(102, 103), (103, 113), (114, 123), (150, 160), (151, 160)] {
            rounds.pass(second(now));
            assert_eq!(rounds.next(), second(next), "after {now} s");
        }
    }
}
