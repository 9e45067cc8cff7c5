//! Devices that come each by its own chance, as people and accidents do: a Poisson process.
//!
//! Given that so many come in a time, each is anywhere in it with the same chance. Where the device of
//! a rank is then follows without the others: the middle one of n even chances is distributed as
//! Beta(i, n + 1 − i) (order statistics of the uniform distribution); it parts the row in two, each
//! of which is even again; and so on down to the rank that is asked for.
//!
//! ```text
//! 0 ├───────────────●───────────────────┤ n        the middle one: Beta
//!   ├──────●────────┤                              the middle one of those before it
//!          └ ─ ─ ─ ─ ─ ─ ─ and so on: as many steps as n has binary digits
//! ```

use rand_distr::{Beta, Distribution};

use crate::chance::Chance;

/// Where in a row of devices each of them is.
#[derive(Debug, Clone, PartialEq)]
pub struct Scatter {
    devices: u64,
    chance: Chance,
}

impl Scatter {
    /// Of so many devices.
    pub fn new(devices: u64, chance: Chance) -> Self {
        Self { devices, chance }
    }

    /// The place of a device in the row, from 0 to the number of devices; never falls as `rank` grows.
    /// Devices beyond the row are where they would be if all came evenly.
    pub fn place(&self, rank: u64) -> f64 {
        if rank >= self.devices {
            return rank as f64;
        }
        let (mut first, mut end) = (0, self.devices);
        let (mut from, mut to) = (0.0, self.devices as f64);
        let mut step = 1;
        loop {
            let middle = first + (end - first) / 2;
            let share = self.share(step, middle - first + 1, end - middle);
            let at = from + (to - from) * share;
            if rank == middle {
                return at;
            }
            step *= 2;
            if rank < middle {
                (end, to) = (middle, at);
            } else {
                (first, from, step) = (middle + 1, at, step + 1);
            }
        }
    }

    /// How far into its stretch a middle one is, with so many before it and so many after, itself counted
    /// in both.
    fn share(&self, step: u64, before: u64, after: u64) -> f64 {
        // Both are 1 or more, so that there is always such a distribution.
        let beta = Beta::new(before as f64, after as f64);
        beta.map_or(0.5, |beta| beta.sample(&mut self.chance.stream(step)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(devices: u64, seed: u64) -> Vec<f64> {
        let scatter = Scatter::new(devices, Chance::new(seed, "arrival", "a"));
        (0..devices).map(|rank| scatter.place(rank)).collect()
    }

    #[test]
    fn gaps_are_as_by_chance() {
        let devices = 20_000;
        let places = places(devices, 7);
        assert!(places.is_sorted());
        assert!(places[0] > 0.0 && places[19_999] < 20_000.0);
        let gaps: Vec<f64> = places.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // Of exponential gaps with mean 1: a share of e^-1 is longer than that, e^-3 than three of it.
        for (longer, share) in [(1.0, 0.3679), (3.0, 0.0498), (0.1, 0.9048)] {
            let count = gaps.iter().filter(|gap| **gap > longer).count() as f64;
            let found = count / gaps.len() as f64;
            assert!((found - share).abs() < 0.012, "{longer}: {found}");
        }
        // And the counts of a stretch vary as much as they are.
        let mut counts = [0_u32; 200];
        for place in &places {
            counts[(place / 100.0) as usize] += 1;
        }
        let squares = counts
            .iter()
            .map(|count| (f64::from(*count) - 100.0).powi(2));
        let variance = squares.sum::<f64>() / 200.0;
        assert!((70.0..135.0).contains(&variance), "{variance}");
        // One gap does not tell the next.
        let products = gaps
            .windows(2)
            .map(|pair| (pair[0] - 1.0) * (pair[1] - 1.0));
        let correlation = products.sum::<f64>() / gaps.len() as f64;
        assert!(correlation.abs() < 0.04, "{correlation}");
    }

    #[test]
    fn a_place_is_the_same_whoever_asks_and_another_with_another_seed() {
        assert_eq!(places(1_000, 1), places(1_000, 1));
        assert_ne!(places(1_000, 1), places(1_000, 2));
        assert_eq!(places(1, 3).len(), 1);
        let scatter = Scatter::new(10, Chance::new(1, "arrival", "a"));
        assert_eq!(scatter.place(10), 10.0);
        assert_eq!(
            Scatter::new(0, Chance::new(1, "arrival", "a")).place(5),
            5.0
        );
    }
}
