//! How a forecast goes over time: counts in a bounded number of equal stretches.

use std::time::Duration;

/// Most stretches that are told apart.
const MOST: usize = 240;

/// What happens in one stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stretch {
    /// Devices that the schedule wants to start.
    pub due: u64,
    /// Questions that are turned away with 429.
    pub throttled: u64,
    /// Devices that read their twin.
    pub provisioned: u64,
    /// Devices that end without, or are dropped.
    pub failed: u64,
    /// CPU microseconds of what is asked.
    pub cpu_us: f64,
}

impl Stretch {
    fn add(&mut self, other: Self) {
        self.due += other.due;
        self.throttled += other.throttled;
        self.provisioned += other.provisioned;
        self.failed += other.failed;
        self.cpu_us += other.cpu_us;
    }
}

/// Stretches from the start on. When time runs past the last one, neighbours become one.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    width_us: u64,
    stretches: Vec<Stretch>,
}

impl Course {
    /// Nothing yet; ten milliseconds each at first.
    pub(super) fn new() -> Self {
        Self {
            width_us: 10_000,
            stretches: Vec::new(),
        }
    }

    /// The stretch that lies at a moment.
    pub(super) fn at(&mut self, us: u64) -> &mut Stretch {
        let mut index = self.index(us);
        while index >= MOST {
            self.stretches = self
                .stretches
                .chunks(2)
                .map(|pair| {
                    let mut sum = Stretch::default();
                    pair.iter().for_each(|stretch| sum.add(*stretch));
                    sum
                })
                .collect();
            self.width_us = self.width_us.saturating_mul(2);
            index = self.index(us);
        }
        if index >= self.stretches.len() {
            self.stretches.resize(index + 1, Stretch::default());
        }
        &mut self.stretches[index]
    }

    fn index(&self, us: u64) -> usize {
        usize::try_from(us / self.width_us).unwrap_or(usize::MAX)
    }

    /// How long a stretch is.
    pub fn width(&self) -> Duration {
        Duration::from_micros(self.width_us)
    }

    /// The stretches, from the start on.
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one_and_nothing_is_lost() {
        let mut course = Course::new();
        for hundredth in 0..1_000 {
            course.at(hundredth * 10_000).due += 1;
        }
        assert_eq!(course.width(), Duration::from_millis(80));
        assert_eq!(course.stretches().len(), 125);
        assert!(course.stretches().iter().all(|stretch| stretch.due == 8));
    }

    #[test]
    fn a_moment_far_away_has_its_stretch_too() {
        let mut course = Course::new();
        course.at(0).due += 1;
        course.at(u64::MAX / 4).provisioned += 1;
        assert!(course.stretches().len() <= MOST);
        let sum: u64 = course
            .stretches()
            .iter()
            .map(|stretch| stretch.due + stretch.provisioned)
            .sum();
        assert_eq!(sum, 2);
    }
}
