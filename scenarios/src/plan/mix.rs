//! What a device has of what its cohort has by weight: drawn from nothing but the seed, the cohort's
//! name and the device's index.

use crate::chance::Chance;
use crate::scenario::Cohort;

/// Choices by weight, ready to be drawn from.
#[derive(Debug)]
pub(super) struct Mix<'plan, Choice> {
    weights: &'plan [(Choice, u32)],
    total: u64,
    chance: Chance,
}

impl<'plan, Choice: Copy> Mix<'plan, Choice> {
    /// `purpose` sets these draws apart from others of the same devices.
    pub(super) fn new(
        seed: u64,
        purpose: &str,
        cohort: &Cohort,
        weights: &'plan [(Choice, u32)],
    ) -> Self {
        Self {
            weights,
            total: weights.iter().map(|&(_, weight)| u64::from(weight)).sum(),
            chance: Chance::new(seed, purpose, &cohort.name),
        }
    }

    /// The choice of `device`; none where there is nothing to choose.
    pub(super) fn of(&self, device: u32) -> Option<Choice> {
        if let [] | [_] = self.weights {
            return self.weights.first().map(|(only, _)| *only);
        }
        let draw = (u128::from(self.chance.bits(device, 0)) * u128::from(self.total)) >> 64;
        let mut above = 0;
        self.weights
            .iter()
            .find(|&&(_, weight)| {
                above += u128::from(weight);
                draw < above
            })
            .map(|&(choice, _)| choice)
    }
}
