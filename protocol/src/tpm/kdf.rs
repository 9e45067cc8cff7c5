//! KDFa (TCG part 1 §11.4.10.2): SP 800-108 in counter mode over HMAC-SHA256.

use aws_lc_rs::kdf::{KbkdfCtrHmacAlgorithmId, get_kbkdf_ctr_hmac_algorithm, kbkdf_ctr_hmac};

/// Derives `N` bytes from a seed. Of the two contexts of KDFa the second is
/// always empty here.
pub(super) fn kdfa<const N: usize>(seed: &[u8; 32], label: &str, context: &[u8]) -> [u8; N] {
    let algorithm =
        get_kbkdf_ctr_hmac_algorithm(KbkdfCtrHmacAlgorithmId::Sha256).expect("always available");
    let bits = u32::try_from(N * 8).expect("a few hundred bits");
    let info = [label.as_bytes(), &[0], context, &bits.to_be_bytes()].concat();
    let mut derived = [0; N];
    kbkdf_ctr_hmac(algorithm, seed, &info, &mut derived).expect("seed and output are not empty");
    derived
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;

    use super::*;

    /// The definition, spelled out: HMAC(seed, counter || label || 00 || context || bits).
    fn by_definition(seed: &[u8], label: &str, context: &[u8], length: usize) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, seed);
        let mut derived = Vec::new();
        for counter in 1u32.. {
            if derived.len() >= length {
                break;
            }
            let mut mac = hmac::Context::with_key(&key);
            for part in [&counter.to_be_bytes(), label.as_bytes(), &[0], context] {
                mac.update(part);
            }
            mac.update(&u32::try_from(length * 8).expect("short").to_be_bytes());
            derived.extend_from_slice(mac.sign().as_ref());
        }
        derived.truncate(length);
        derived
    }

    #[test]
    fn kdfa_agrees_with_its_definition() {
        let seed = std::array::from_fn(|i| i as u8);
        assert_eq!(
            kdfa::<16>(&seed, "STORAGE", b"name")[..],
            by_definition(&seed, "STORAGE", b"name", 16)
        );
        assert_eq!(
            kdfa::<32>(&seed, "INTEGRITY", b"")[..],
            by_definition(&seed, "INTEGRITY", b"", 32)
        );
        assert_eq!(
            kdfa::<80>(&seed, "LONG", b"x")[..],
            by_definition(&seed, "LONG", b"x", 80)
        );
    }

    /// Computed with Python's hmac module for the seed 00 01 .. 1f.
    #[test]
    fn kdfa_gives_the_independently_computed_values() {
        let seed = std::array::from_fn(|i| i as u8);
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        assert_eq!(
            hex(&kdfa::<16>(&seed, "STORAGE", b"name")),
            "97f1ccec355e7643a61c69d29ad6404d"
        );
        assert_eq!(
            hex(&kdfa::<32>(&seed, "INTEGRITY", b"")),
            "bacf689f634ece301e1f1b15b072d9c87db6a69585db42b1a0cb8f73ebe2692e"
        );
    }
}
