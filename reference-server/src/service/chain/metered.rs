//! Signatures, as many of them as one chain may cost.
//!
//! webpki's own limit counts a signature on P-384 like one on P-256, which takes a fifth of the time.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use webpki::ALL_VERIFICATION_ALGS;

/// In verifications on P-256: five milliseconds or so.
const ENOUGH: u32 = 120;
const DEAR: u32 = 6;

/// What is left for one chain.
#[derive(Debug)]
pub(super) struct Meter(AtomicU32);

impl Meter {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(ENOUGH))
    }

    /// Whether a signature was not looked at any more.
    pub(super) fn is_used_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// What signatures may be made with, on this meter.
    pub(super) fn algorithms(&self) -> Vec<Metered<'_>> {
        let algorithms = ALL_VERIFICATION_ALGS.iter();
        algorithms
            .map(|by| Metered {
                by: *by,
                meter: self,
            })
            .collect()
    }

    fn takes(&self, cost: u32) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(cost), Ordering::Relaxed);
        left >= cost
    }
}

/// An algorithm that refuses when the meter is used up.
pub(super) struct Metered<'a> {
    by: &'static dyn SignatureVerificationAlgorithm,
    meter: &'a Meter,
}

impl fmt::Debug for Metered<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.by.fmt(out)
    }
}

impl SignatureVerificationAlgorithm for Metered<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        // Ed25519 and P-256, and RSA of 2048 to 4096 bits; beyond are longer curves and RSA.
        let cost = match public_key.len() {
            ..=65 | 200..=600 => 1,
            _ => DEAR,
        };
        if !self.meter.takes(cost) {
            return Err(InvalidSignature);
        }
        self.by.verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.by.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.by.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.by.fips()
    }
}
