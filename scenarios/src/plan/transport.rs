//! Which transport a device speaks: drawn by weight, from nothing but the seed, the cohort's
//! name and the device's index.

use fleetstorm_protocol::attestation::TransportKind;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::scenario::Cohort;

/// A cohort's transports, ready to be drawn from.
#[derive(Debug)]
pub(super) struct TransportMix<'plan> {
    weights: &'plan [(TransportKind, u32)],
    total: u64,
    key: [u8; 32],
}

impl<'plan> TransportMix<'plan> {
    pub(super) fn new(seed: u64, cohort: &'plan Cohort) -> Self {
        let weights = cohort.transports.iter();
        Self {
            weights: &cohort.transports,
            total: weights.map(|&(_, weight)| u64::from(weight)).sum(),
            key: cohort_key(seed, &cohort.name),
        }
    }

    /// The transport of `device`: one ChaCha12 block, the cohort's key, the device as the stream.
    pub(super) fn of(&self, device: u32) -> TransportKind {
        if let [(only, _)] = self.weights {
            return *only;
        }
        let mut rng = ChaCha12Rng::from_seed(self.key);
        rng.set_stream(u64::from(device));
        let draw = (u128::from(rng.next_u64()) * u128::from(self.total)) >> 64;
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

/// The key of a cohort's draws, by a cascade: each 8 bytes of text choose the stream of a
/// ChaCha12 that gives the next key.
fn cohort_key(seed: u64, name: &str) -> [u8; 32] {
    let mut key = [0; 32];
    ChaCha12Rng::seed_from_u64(seed).fill_bytes(&mut key);
    let text = format!("transport/{name}");
    for chunk in text.as_bytes().chunks(8) {
        let mut stream = [0; 8];
        stream[..chunk.len()].copy_from_slice(chunk);
        let mut rng = ChaCha12Rng::from_seed(key);
        rng.set_stream(u64::from_le_bytes(stream));
        rng.fill_bytes(&mut key);
    }
    key
}
