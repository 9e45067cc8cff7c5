//! Key material from `(seed, cohort, purpose, index)`: HKDF-SHA256 (RFC 5869).

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

/// Derives everything of one cohort.
#[derive(Debug)]
pub struct Derivation {
    key: Prk,
}

/// 32 bytes of output.
struct ThirtyTwo;

impl KeyType for ThirtyTwo {
    fn len(&self) -> usize {
        32
    }
}

impl Derivation {
    /// The derivation of the cohort named `cohort` in the fleet of `seed`.
    pub fn new(seed: u64, cohort: &str) -> Self {
        let salt = Salt::new(HKDF_SHA256, b"fleetstorm identity 1");
        let mut material = seed.to_be_bytes().to_vec();
        material.extend_from_slice(cohort.as_bytes());
        Self {
            key: salt.extract(&material),
        }
    }

    /// 32 bytes for one purpose and index.
    pub fn bytes(&self, purpose: &str, index: u64) -> [u8; 32] {
        let mut derived = [0; 32];
        let info = [purpose.as_bytes(), &[0], &index.to_be_bytes()];
        self.key
            .expand(&info, ThirtyTwo)
            .and_then(|output| output.fill(&mut derived))
            .expect("HKDF gives up to 8,160 bytes");
        derived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_name_matters() {
        let base = Derivation::new(1, "a").bytes("key", 0);
        assert_eq!(base, Derivation::new(1, "a").bytes("key", 0));
        for other in [
            Derivation::new(2, "a").bytes("key", 0),
            Derivation::new(1, "b").bytes("key", 0),
            Derivation::new(1, "a").bytes("serial", 0),
            Derivation::new(1, "a").bytes("key", 1),
        ] {
            assert_ne!(base, other);
        }
    }
}
