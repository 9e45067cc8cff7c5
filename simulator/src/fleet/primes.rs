//! A pool of primes, out of which every TPM of a cohort gets two moduli of its own.
//!
//! An RSA-2048 key pair takes 70 ms to find; K primes give K(K−1)/2 moduli at a
//! multiplication each. **These are test identities: keys of one pool share
//! prime factors, and whoever has two of their moduli can factor both.** They must
//! never protect anything real.
//!
//! Prime `k` derives from the seed, the cohort and `k` alone, so that a fleet
//! keeps its keys when it grows.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use crypto_bigint::{NonZero, U1024};
use crypto_primes::Flavor;
use crypto_primes::hazmat::{SetBits, SmallFactorsSieveFactory};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::derive::Derivation;
use crate::console;
use crate::failure::Failure;
use crate::interrupt;
use crate::machine;
use crate::private_file::PrivateFile;

/// Public exponent of every TPM key.
pub const EXPONENT: u32 = 65_537;
/// Bytes of a prime.
const SIZE: usize = 128;
/// First bytes of a cache file; the digit is the version of the form and of the search.
const MAGIC: &[u8; 16] = b"fleetstorm prm 1";
/// Bytes of the checksum at the end of a cache file.
const CHECKSUM: usize = 32;

/// The primes of one cohort.
#[derive(Debug)]
pub struct PrimePool {
    primes: Vec<U1024>,
}

/// How many primes give at least `moduli` distinct products of two.
pub fn primes_for(moduli: u64) -> usize {
    let mut primes = 2_u64;
    while primes * (primes - 1) / 2 < moduli {
        primes += 1;
    }
    usize::try_from(primes).unwrap_or(usize::MAX)
}

/// The pair of number `n`: pairs (a, b), a < b, in the order of b. Independent of the pool's size.
pub fn pair(n: u64) -> (usize, usize) {
    let mut b = (2 * n).isqrt().max(1);
    while b * (b + 1) / 2 <= n {
        b += 1;
    }
    while b * (b - 1) / 2 > n {
        b -= 1;
    }
    let a = n - b * (b - 1) / 2;
    (
        usize::try_from(a).unwrap_or(usize::MAX),
        usize::try_from(b).unwrap_or(usize::MAX),
    )
}

impl PrimePool {
    /// Finds `needed` primes, with all cores, or takes them out of the cache. `progress` hears of (found, needed).
    ///
    /// # Errors
    /// The run is called off meanwhile.
    pub fn prepare(
        derivation: &Derivation,
        needed: usize,
        cache: Option<&Path>,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self, Failure> {
        let file = cache.map(|folder| cache_file(folder, derivation));
        let mut primes = file.as_deref().map(read_cache).unwrap_or_default();
        if primes.len() >= needed {
            primes.truncate(needed);
            return Ok(Self { primes });
        }
        progress(primes.len(), needed);
        let first = primes.len();
        primes.extend(find(derivation, first, needed));
        interrupt::check()?;
        if let Some(file) = file
            && let Err(error) = write_cache(&file, &primes)
        {
            console::remark(format_args!(
                "the primes can't be kept for the next run: {}: {error}",
                file.display()
            ));
        }
        Ok(Self { primes })
    }

    /// The two primes of modulus `n`, the greater first.
    pub fn pair(&self, n: u64) -> (&U1024, &U1024) {
        let (a, b) = pair(n);
        let (a, b) = (&self.primes[a], &self.primes[b]);
        if a > b { (a, b) } else { (b, a) }
    }
}

/// Primes `first..needed`, dealt out to all cores; fewer where the run is called off.
fn find(derivation: &Derivation, first: usize, needed: usize) -> Vec<U1024> {
    let next = AtomicUsize::new(first);
    let mut found: Vec<(usize, U1024)> = std::thread::scope(|scope| {
        let cores: Vec<_> = (0..machine::cores())
            .map(|_| {
                scope.spawn(|| {
                    let mut found = Vec::new();
                    loop {
                        let k = next.fetch_add(1, Ordering::Relaxed);
                        if k >= needed || interrupt::check().is_err() {
                            return found;
                        }
                        found.push((k, prime(derivation, k)));
                    }
                })
            })
            .collect();
        cores
            .into_iter()
            .flat_map(|core| core.join().expect("the search does not panic"))
            .collect()
    });
    found.sort_by_key(|(k, _)| *k);
    found.into_iter().map(|(_, prime)| prime).collect()
}

/// Prime `k`: its two highest bits are set, so that every product has 2,048 bits, and p − 1 has an inverse
/// for the public exponent.
fn prime(derivation: &Derivation, k: usize) -> U1024 {
    let mut rng = ChaCha20Rng::from_seed(derivation.bytes("prime", k as u64));
    let exponent = NonZero::new(crypto_bigint::Limb::from(EXPONENT)).expect("not zero");
    loop {
        let sieve = SmallFactorsSieveFactory::new(Flavor::Any, 1024, SetBits::TwoMsb)
            .expect("1,024 bits fit");
        let prime: U1024 = crypto_primes::sieve_and_find(&mut rng, sieve, |_, candidate| {
            crypto_primes::is_prime(Flavor::Any, candidate)
        })
        .expect("ChaCha does not fail")
        .expect("the sieve goes on until it finds one");
        if prime.wrapping_sub(&U1024::ONE).rem_limb(exponent) != crypto_bigint::Limb::ZERO {
            return prime;
        }
    }
}

fn cache_file(folder: &Path, derivation: &Derivation) -> PathBuf {
    let name = data_encoding::HEXLOWER.encode(&derivation.bytes("prime cache", 0)[..12]);
    folder.join(format!("primes-{name}"))
}

/// What the cache holds; nothing where it is missing, cut short or damaged: then the primes are found again.
fn read_cache(file: &Path) -> Vec<U1024> {
    let Ok(bytes) = std::fs::read(file) else {
        return Vec::new();
    };
    let sound = bytes
        .strip_prefix(MAGIC)
        .filter(|rest| rest.len() >= CHECKSUM)
        .and_then(|rest| {
            let (primes, checksum) = rest.split_at(rest.len() - CHECKSUM);
            (digest(&SHA256, primes).as_ref() == checksum && primes.len() % SIZE == 0)
                .then_some(primes)
        });
    match sound {
        Some(primes) => primes
            .chunks_exact(SIZE)
            .map(U1024::from_be_slice)
            .collect(),
        None => {
            console::remark(format_args!(
                "{} is damaged: finding the primes again",
                file.display()
            ));
            Vec::new()
        }
    }
}

fn write_cache(file: &Path, primes: &[U1024]) -> io::Result<()> {
    let bytes: Vec<u8> = primes
        .iter()
        .flat_map(|prime| prime.to_be_bytes().as_ref().to_vec())
        .collect();
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut out = PrivateFile::create(file)?;
    out.write_all(MAGIC)?;
    out.write_all(&bytes)?;
    out.write_all(digest(&SHA256, &bytes).as_ref())?;
    out.finish()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn pairs_are_counted_without_gap_or_repetition() {
        let mut expected = (1..40).flat_map(|b| (0..b).map(move |a| (a, b)));
        for n in 0..780 {
            assert_eq!(Some(pair(n)), expected.next(), "{n}");
        }
        assert_eq!(
            pair(u64::from(u32::MAX) * 2).1,
            primes_for(u64::from(u32::MAX) * 2 + 1) - 1
        );
    }

    #[test]
    fn a_pool_of_k_primes_is_as_small_as_it_can_be() {
        for (moduli, primes) in [
            (1, 2),
            (2, 3),
            (3, 3),
            (4, 4),
            (400, 29),
            (2_000_000, 2_001),
        ] {
            assert_eq!(primes_for(moduli), primes, "{moduli}");
        }
    }

    #[test]
    fn a_pool_that_grew_keeps_its_primes_and_a_damaged_cache_is_found_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let derivation = Derivation::new(9, "cohort");
        let prepare = |needed| {
            PrimePool::prepare(&derivation, needed, Some(folder.path()), &|_, _| {})
                .expect("a pool")
                .primes
        };
        let small = prepare(2);
        let grown = prepare(3);
        assert_eq!(small, grown[..2]);
        let file = cache_file(folder.path(), &derivation);
        let mode = file.metadata().expect("a cache").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "whoever reads it has the fleet's keys");
        let mut bytes = std::fs::read(&file).expect("a cache");
        bytes[40] ^= 1;
        std::fs::write(&file, bytes).expect("damage");
        assert_eq!(prepare(3), grown);
    }

    #[test]
    fn primes_that_can_not_be_kept_are_primes() {
        let derivation = Derivation::new(9, "cohort");
        let nowhere = Some(Path::new("/dev/null"));
        let pool = PrimePool::prepare(&derivation, 2, nowhere, &|_, _| {});
        assert_eq!(pool.expect("a pool").primes.len(), 2);
    }
}
