//! When the fleet is behind: stretches of time in which late devices are under way.

use std::time::Duration;

/// A stretch of time, from the moment at which its first late device was due until its last one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storm {
    /// Microseconds since the run's start at which the first of its late devices was due.
    pub from_us: u64,
    /// Microseconds since the run's start at which the last of them ended.
    pub until_us: u64,
    /// How many devices are late in it.
    pub devices: u64,
}

impl Storm {
    /// From its beginning until nobody is late any more: the time to full recovery.
    pub fn recovery(&self) -> Duration {
        Duration::from_micros(self.until_us - self.from_us)
    }
}

/// Finds storms among devices that end one after another; those of a forecast and those of a run.
#[derive(Debug, Clone)]
pub struct Storms {
    late_after_us: u64,
    found: Vec<Storm>,
}

impl Storms {
    /// A device is late once it has taken longer than this, from when it was due to its end.
    pub fn new(late_after: Duration) -> Self {
        Self {
            late_after_us: u64::try_from(late_after.as_micros()).unwrap_or(u64::MAX),
            found: Vec::new(),
        }
    }

    /// Devices that were due and ended then, in order of ending.
    pub fn ended(&mut self, devices: u64, due_us: u64, end_us: u64) {
        if end_us.saturating_sub(due_us) <= self.late_after_us {
            return;
        }
        let mut storm = Storm {
            from_us: due_us,
            until_us: end_us,
            devices,
        };
        // All earlier ones have ended by now: those not over when this one was due are the same storm.
        while let Some(before) = self.found.pop_if(|before| before.until_us >= storm.from_us) {
            storm.from_us = storm.from_us.min(before.from_us);
            storm.devices += before.devices;
        }
        self.found.push(storm);
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

    #[test]
    fn late_devices_that_overlap_are_one_storm() {
        let mut storms = Storms::new(Duration::from_micros(10));
        for (due, end) in [
            (0, 9),
            (0, 20),
            (5, 25),
            (100, 120),
            (150, 170),
            (110, 180),
            (300, 310),
        ] {
            storms.ended(2, due, end);
        }
        let rows: Vec<_> = storms
            .found()
            .iter()
            .map(|storm| (storm.from_us, storm.until_us, storm.devices))
            .collect();
        assert_eq!(rows, [(0, 25, 4), (100, 180, 6)]);
        let longest = storms.longest().expect("there are two");
        assert_eq!(longest.recovery(), Duration::from_micros(80));
    }
}
