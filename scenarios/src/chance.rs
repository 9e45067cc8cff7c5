//! Chance that can be computed anywhere: by the seed, a purpose, a cohort's name, a device and a
//! number, and by nothing else.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The draws of one cohort for one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chance {
    key: [u8; 32],
}

impl Chance {
    /// By a cascade: each 8 bytes of text choose the stream of a ChaCha12 that gives the next key.
    pub fn new(seed: u64, purpose: &str, cohort: &str) -> Self {
        let mut key = [0; 32];
        ChaCha12Rng::seed_from_u64(seed).fill_bytes(&mut key);
        let text = format!("{purpose}/{cohort}");
        for chunk in text.as_bytes().chunks(8) {
            let mut stream = [0; 8];
            stream[..chunk.len()].copy_from_slice(chunk);
            let mut rng = ChaCha12Rng::from_seed(key);
            rng.set_stream(u64::from_le_bytes(stream));
            rng.fill_bytes(&mut key);
        }
        Self { key }
    }

    /// The draw of this number of `device`: the cohort's key, the device as the stream, the
    /// number as the place in it.
    pub fn bits(&self, device: u32, number: u32) -> u64 {
        let mut rng = ChaCha12Rng::from_seed(self.key);
        rng.set_stream(u64::from(device));
        // A draw takes two words of 32 bits.
        rng.set_word_pos(u128::from(number) * 2);
        rng.next_u64()
    }

    /// A stream of draws for one matter, by its number.
    pub(crate) fn stream(&self, number: u64) -> ChaCha12Rng {
        let mut rng = ChaCha12Rng::from_seed(self.key);
        rng.set_stream(number);
        rng
    }

    /// [`Chance::bits`] as a number from 0 up to and without 1.
    pub fn uniform(&self, device: u32, number: u32) -> f64 {
        // 53 bits: as many as the fraction of a double has.
        (self.bits(device, number) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_purpose_cohort_device_and_number_draws_its_own() {
        let draws = [
            Chance::new(1, "retry", "a").bits(0, 0),
            Chance::new(2, "retry", "a").bits(0, 0),
            Chance::new(1, "share", "a").bits(0, 0),
            Chance::new(1, "retry", "b").bits(0, 0),
            Chance::new(1, "retry", "a").bits(1, 0),
            Chance::new(1, "retry", "a").bits(0, 1),
        ];
        for (place, draw) in draws.iter().enumerate() {
            assert!(!draws[..place].contains(draw), "draw {place}");
        }
        assert_eq!(Chance::new(1, "retry", "a").bits(0, 0), draws[0]);
    }

    #[test]
    fn shares_fill_the_range_from_zero_to_one() {
        let chance = Chance::new(7, "retry", "gateways");
        let shares: Vec<f64> = (0..1_000).map(|device| chance.uniform(device, 3)).collect();
        assert!(shares.iter().all(|share| (0.0..1.0).contains(share)));
        for quarter in 0..4 {
            let from = f64::from(quarter) / 4.0;
            let within = shares.iter().filter(|&&s| (from..from + 0.25).contains(&s));
            assert!((200..300).contains(&within.count()), "quarter {quarter}");
        }
    }
}
