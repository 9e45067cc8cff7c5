//! Which transport a device speaks: drawn by weight, from nothing but the seed, the cohort's
//! name and the device's index.

use fleetstorm_protocol::attestation::TransportKind;

use crate::chance::Chance;
use crate::scenario::Cohort;

/// A cohort's transports, ready to be drawn from.
#[derive(Debug)]
pub(super) struct TransportMix<'plan> {
    weights: &'plan [(TransportKind, u32)],
    total: u64,
    chance: Chance,
}

impl<'plan> TransportMix<'plan> {
    pub(super) fn new(seed: u64, cohort: &'plan Cohort) -> Self {
        let weights = cohort.transports.iter();
        Self {
            weights: &cohort.transports,
            total: weights.map(|&(_, weight)| u64::from(weight)).sum(),
            chance: Chance::new(seed, "transport", &cohort.name),
        }
    }

    /// The transport of `device`.
    pub(super) fn of(&self, device: u32) -> TransportKind {
        if let [(only, _)] = self.weights {
            return *only;
        }
        let draw = (u128::from(self.chance.bits(device, 0)) * u128::from(self.total)) >> 64;
        let mut above = 0;
        self.weights
            .iter()
            .find(|&&(_, weight)| {
                above += u128::from(weight);
                draw < above
            })
            .map(|&(transport, _)| transport)
            .expect("the draw is below the sum of the weights")
    }
}
