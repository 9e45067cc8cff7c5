//! When the fleet is behind: stretches of time in which far more devices are under way than in calm.

use std::time::Duration;

/// Part of the most devices under way that is no storm any more.
const REST: u64 = 20;
/// How many times as many as in calm are one.
const OF_CALM: f64 = 2.0;

/// A stretch of time with more devices under way than the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storm {
    /// Microseconds since the run's start at which it breaks out.
    pub from_us: u64,
    /// Microseconds since the run's start at which it is over.
    pub until_us: u64,
    /// Most devices under way in it.
    pub peak: u64,
}

impl Storm {
    /// From its beginning to its end: the time to full recovery.
    pub fn recovery(&self) -> Duration {
        Duration::from_micros(self.until_us.saturating_sub(self.from_us))
    }
}

/// From when on it is a storm: the same for a forecast and for the run that it foretells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StormLevel {
    /// More devices under way than so many are a storm.
    pub devices: u64,
    /// Storms with no more time between them are one.
    pub gap: Duration,
}

impl StormLevel {
    /// Twice as many devices as are under way in calm, at least a twentieth of the most. In calm, those
    /// that come at `calm_rate` a second are under way for `unhindered` (Little's law).
    pub(super) fn new(calm_rate: f64, unhindered: Duration, peak: u64) -> Self {
        let calm = OF_CALM * calm_rate * unhindered.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of devices, never below zero"
        )]
        let calm = calm.ceil() as u64;
        Self {
            devices: calm.max(peak / REST),
            gap: unhindered,
        }
    }
}

/// Finds storms while devices start and end.
#[derive(Debug, Clone)]
pub struct Storms {
    level: u64,
    gap_us: u64,
    /// The last one may go on.
    found: Vec<Storm>,
    goes_on: bool,
}

impl Storms {
    /// None so far.
    pub fn new(level: StormLevel) -> Self {
        Self {
            level: level.devices,
            gap_us: u64::try_from(level.gap.as_micros()).unwrap_or(u64::MAX),
            found: Vec::new(),
            goes_on: false,
        }
    }

    /// Of a run's devices: when each was due, and when it ended.
    pub fn of(level: StormLevel, devices: &[(u64, u64)]) -> Self {
        let mut storms = Self::new(level);
        let mut due: Vec<u64> = devices.iter().map(|(due, _)| *due).collect();
        let mut ended: Vec<u64> = devices.iter().map(|(_, ended)| *ended).collect();
        due.sort_unstable();
        ended.sort_unstable();
        let mut due = due.into_iter().peekable();
        let mut under_way = 0_u64;
        for at_us in ended {
            while let Some(due_us) = due.next_if(|due_us| *due_us <= at_us) {
                under_way += 1;
                storms.under_way(under_way, due_us);
            }
            under_way = under_way.saturating_sub(1);
            storms.under_way(under_way, at_us);
        }
        storms
    }

    /// So many devices are under way from `at_us` on. Time does not go back.
    pub fn under_way(&mut self, devices: u64, at_us: u64) {
        if devices <= self.level {
            if self.goes_on
                && let Some(storm) = self.found.last_mut()
            {
                storm.until_us = at_us;
            }
            self.goes_on = false;
            return;
        }
        match self.found.last_mut() {
            Some(last) if self.goes_on || at_us.saturating_sub(last.until_us) <= self.gap_us => {
                last.peak = last.peak.max(devices);
            }
            _ => self.found.push(Storm {
                from_us: at_us,
                until_us: at_us,
                peak: devices,
            }),
        }
        self.goes_on = true;
    }

    /// All of them, in order of time.
    pub fn found(&self) -> &[Storm] {
        &self.found
    }

    /// The one that takes longest.
    pub fn longest(&self) -> Option<Storm> {
        self.found.iter().copied().max_by_key(Storm::recovery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVEL: StormLevel = StormLevel {
        devices: 2,
        gap: Duration::from_micros(10),
    };

    #[test]
    fn a_storm_is_as_long_as_too_many_are_under_way() {
        let mut storms = Storms::new(LEVEL);
        for (devices, at_us) in [
            (2, 0),
            (5, 100),
            (9, 110),
            (3, 150),
            (2, 160),
            (3, 170),
            (1, 180),
            (4, 500),
            (2, 501),
        ] {
            storms.under_way(devices, at_us);
        }
        let rows: Vec<_> = storms
            .found()
            .iter()
            .map(|storm| (storm.from_us, storm.until_us, storm.peak))
            .collect();
        assert_eq!(rows, [(100, 180, 9), (500, 501, 4)], "a short lull is none");
        let longest = storms.longest().expect("there are two");
        assert_eq!(longest.recovery(), Duration::from_micros(80));
    }

    #[test]
    fn a_runs_devices_are_counted_as_they_come_and_go() {
        let devices = [(0, 50), (10, 40), (20, 30), (20, 60), (500, 510)];
        let storms = Storms::of(LEVEL, &devices);
        let storm = storms.longest().expect("four at once");
        assert_eq!((storm.from_us, storm.until_us, storm.peak), (20, 40, 4));
        assert_eq!(storms.found().len(), 1);
    }

    #[test]
    fn the_level_is_twice_the_calm_and_at_least_a_twentieth_of_the_most() {
        let second = Duration::from_secs(1);
        assert_eq!(StormLevel::new(10.0, second, 100).devices, 20);
        assert_eq!(StormLevel::new(10.0, second, 1_000).devices, 50);
        assert_eq!(StormLevel::new(0.0, second, 10).devices, 0);
    }
}
