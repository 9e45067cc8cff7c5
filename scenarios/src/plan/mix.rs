//! What a device has of what its cohort has by weight: drawn from nothing but the seed, the cohort's
//! name and the device's index.

use fleetstorm_protocol::attestation::TransportKind;

use crate::chance::Chance;
use crate::cohort::Cohort;

/// Choices by weight, ready to be drawn from.
#[derive(Debug)]
pub(super) struct Mix<'plan, Choice> {
    weights: &'plan [(Choice, u32)],
    total: u64,
    chance: Chance,
}

impl<'plan> Mix<'plan, TransportKind> {
    /// What a cohort's devices speak to DPS.
    pub(super) fn of_transports(seed: u64, cohort: &'plan Cohort) -> Self {
        Self::new(seed, "transport", cohort, &cohort.transports)
    }
}

impl<'plan> Mix<'plan, u8> {
    /// Indices of the regions that they are in.
    pub(super) fn of_regions(seed: u64, cohort: &'plan Cohort) -> Self {
        Self::new(seed, "region", cohort, &cohort.regions)
    }
}

impl<'plan, Choice: Copy> Mix<'plan, Choice> {
    /// `purpose` sets these draws apart from others of the same devices.
    fn new(seed: u64, purpose: &str, cohort: &Cohort, weights: &'plan [(Choice, u32)]) -> Self {
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
