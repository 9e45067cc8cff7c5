//! The TPMs of one cohort: which keys out of which pool of primes.

use std::path::Path;

use super::derive::Derivation;
use super::primes::{PrimePool, primes_for};
use super::tpm::{Factors, VirtualTpm};
use crate::failure::Failure;

/// One cohort's.
pub struct Tpms {
    /// Endorsement keys and first storage root keys, in turn.
    made: PrimePool,
    /// The storage root keys after a TPM was cleared. A pool of its own: the first keys must not depend on
    /// what happens in a run.
    cleared: Option<PrimePool>,
    /// How often each may be cleared.
    resets: u64,
}

/// The keys of a TPM.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// The device that has the endorsement key by right.
    pub endorsement: u32,
    /// The device that has the storage root key.
    pub storage_root: u32,
    /// Times that it was cleared.
    pub resets: u64,
}

impl Tpms {
    /// Finds the primes for `devices` of the cohort of this name in the fleet of this seed, each of which is
    /// cleared at most `resets` times; takes those out of the `cache` that are there, and tells
    /// `progress` of (found, needed).
    ///
    /// # Errors
    /// The run is called off meanwhile.
    pub fn prepare(
        (seed, cohort): (u64, &str),
        devices: u32,
        resets: u64,
        cache: Option<&Path>,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, Failure> {
        let pool = |derivation: &Derivation, moduli| {
            PrimePool::prepare(derivation, primes_for(moduli), cache, progress)
        };
        let devices = u64::from(devices);
        let made = pool(&Derivation::new(seed, cohort), 2 * devices)?;
        let cleared = (resets > 0).then(|| {
            // No cohort's name has a blank.
            let name = format!("{cohort}, cleared");
            pool(&Derivation::new(seed, &name), resets * devices)
        });
        Ok(Self {
            made,
            cleared: cleared.transpose()?,
            resets,
        })
    }

    /// The TPM with these keys. With `foreign_keys` its private keys are those of another TPM.
    pub fn tpm(&self, keys: Keys, foreign_keys: bool) -> VirtualTpm {
        let endorsement = factors(&self.made, 2 * u64::from(keys.endorsement));
        let device = u64::from(keys.storage_root);
        let storage_root = match &self.cleared {
            Some(cleared) if keys.resets > 0 => {
                let last = keys.resets.min(self.resets) - 1;
                factors(cleared, device * self.resets + last)
            }
            _ => factors(&self.made, 2 * device + 1),
        };
        VirtualTpm::new(endorsement, storage_root, foreign_keys)
    }
}

fn factors(pool: &PrimePool, modulus: u64) -> Factors {
    let (p, q) = pool.pair(modulus);
    (*p, *q)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cleared_tpm_has_its_endorsement_key_and_each_time_another_storage_root_key() {
        let tpms = |resets| Tpms::prepare((1, "meters"), 3, resets, None, &|_, _| {});
        let (never, twice) = (tpms(0).expect("no cache"), tpms(2).expect("no cache"));
        let mut seen = std::collections::BTreeSet::new();
        for device in 0..3 {
            let keys = |resets| Keys {
                endorsement: device,
                storage_root: device,
                resets,
            };
            let first = never.tpm(keys(0), false);
            for resets in 0..=2 {
                let tpm = twice.tpm(keys(resets), false);
                let endorsement = tpm.endorsement_public().as_tpm2b();
                assert_eq!(endorsement, first.endorsement_public().as_tpm2b());
                let storage_root = tpm.storage_root_public().as_tpm2b();
                let is_first = storage_root == first.storage_root_public().as_tpm2b();
                assert_eq!(is_first, resets == 0);
                assert!(seen.insert(storage_root.to_vec()), "{device}, {resets}");
            }
        }
    }
}
