//! How a forecast goes over time: counts in a bounded number of equal windows.

use std::time::Duration;

/// Most windows that are told apart.
const MOST: usize = 240;

/// What happens in one window of time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Window {
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

impl Window {
    fn add(&mut self, other: Self) {
        self.due += other.due;
        self.throttled += other.throttled;
        self.provisioned += other.provisioned;
        self.failed += other.failed;
        self.cpu_us += other.cpu_us;
    }
}

/// Windows from the start on. When time runs past the last one, neighbours become one.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    width_us: u64,
    windows: Vec<Window>,
}

impl Timeline {
    /// Nothing yet; ten milliseconds each at first.
    pub(super) fn new() -> Self {
        Self {
            width_us: 10_000,
            windows: Vec::new(),
        }
    }

    /// The window that lies at a moment.
    pub(super) fn at(&mut self, us: u64) -> &mut Window {
        let mut index = self.index(us);
        while index >= MOST {
            self.windows = self
                .windows
                .chunks(2)
                .map(|pair| {
                    let mut sum = Window::default();
                    pair.iter().for_each(|window| sum.add(*window));
                    sum
                })
                .collect();
            self.width_us = self.width_us.saturating_mul(2);
            index = self.index(us);
        }
        if index >= self.windows.len() {
            self.windows.resize(index + 1, Window::default());
        }
        &mut self.windows[index]
    }

    fn index(&self, us: u64) -> usize {
        usize::try_from(us / self.width_us).unwrap_or(usize::MAX)
    }

    /// How long a window is.
    pub fn width(&self) -> Duration {
        Duration::from_micros(self.width_us)
    }

    /// The windows, from the start on.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one_and_nothing_is_lost() {
        let mut timeline = Timeline::new();
        for hundredth in 0..1_000 {
            timeline.at(hundredth * 10_000).due += 1;
        }
        assert_eq!(timeline.width(), Duration::from_millis(80));
        assert_eq!(timeline.windows().len(), 125);
        assert!(timeline.windows().iter().all(|window| window.due == 8));
    }

    #[test]
    fn a_moment_far_away_has_its_stretch_too() {
        let mut timeline = Timeline::new();
        timeline.at(0).due += 1;
        timeline.at(u64::MAX / 4).provisioned += 1;
        assert!(timeline.windows().len() <= MOST);
        let sum: u64 = timeline
            .windows()
            .iter()
            .map(|window| window.due + window.provisioned)
            .sum();
        assert_eq!(sum, 2);
    }
}
