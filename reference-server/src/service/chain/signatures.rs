//! Signatures on the way up: as many as one chain may cost, and none twice that was good.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use webpki::ALL_VERIFICATION_ALGS;

/// In verifications on P-256: six milliseconds or so. Those of longer keys count for more.
const ENOUGH: u32 = 160;
const DEAR: u32 = 6;
/// Signatures known at once.
const KNOWN: usize = 256;

/// Signatures on certificates above devices' that were good, and led to a way that held.
///
/// That a key signed some bytes is so whoever shows them, when, and beside what. Nothing else is
/// remembered: what a certificate may do is looked at each time. It saves a fleet a verification a device.
#[derive(Debug, Default)]
pub struct KnownSignatures(RwLock<HashSet<Fact>>);

/// Digest of a key, what it signed, and the signature.
type Fact = [u8; 32];

impl KnownSignatures {
    fn has(&self, fact: &Fact) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.contains(fact)
    }

    fn learn(&self, mut facts: Vec<Fact>) {
        facts.retain(|fact| !self.has(fact));
        if facts.is_empty() {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() + facts.len() > KNOWN {
            known.clear();
        }
        known.extend(facts);
    }
}

/// What one chain has cost, and what it has shown.
#[derive(Debug)]
pub(super) struct Meter<'a> {
    known: &'a KnownSignatures,
    /// The device's certificate: its signature is for nobody else.
    device: &'a [u8],
    left: AtomicU32,
    /// Signatures that were good, and whether one is on the device's certificate.
    found: Mutex<HashMap<Fact, bool>>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(known: &'a KnownSignatures, device: &'a [u8]) -> Self {
        Self {
            known,
            device,
            left: AtomicU32::new(ENOUGH),
            found: Mutex::default(),
        }
    }

    /// Whether a signature was not looked at any more.
    pub(super) fn is_used_up(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    /// What signatures may be made with, on this meter.
    pub(super) fn algorithms(&self) -> Vec<Metered<'_>> {
        let algorithms = ALL_VERIFICATION_ALGS.iter();
        let metered = |by: &&'static _| Metered {
            by: *by,
            meter: self,
        };
        algorithms.map(metered).collect()
    }

    /// The way held.
    pub(super) fn learn(self) {
        let found = self.found.into_inner();
        let found = found.unwrap_or_else(PoisonError::into_inner);
        let above = found.into_iter().filter(|(_, is_devices)| !is_devices);
        self.known.learn(above.map(|(fact, _)| fact).collect());
    }

    /// Takes what something costs off what may be spent, if that is left.
    pub(super) fn takes(&self, cost: u32) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        self.left
            .store(left.saturating_sub(cost), Ordering::Relaxed);
        left >= cost
    }

    fn found(&self) -> MutexGuard<'_, HashMap<Fact, bool>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An algorithm on a meter.
pub(super) struct Metered<'a> {
    by: &'static dyn SignatureVerificationAlgorithm,
    meter: &'a Meter<'a>,
}

impl fmt::Debug for Metered<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.by.fmt(out)
    }
}

impl Metered<'_> {
    fn fact(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Fact {
        let (of_key, of_signature) = (self.public_key_alg_id(), self.signature_alg_id());
        let mut digest = Context::new(&SHA256);
        for part in [
            of_key.as_ref(),
            of_signature.as_ref(),
            key,
            message,
            signature,
        ] {
            digest.update(&part.len().to_be_bytes());
            digest.update(part);
        }
        let digest = digest.finish();
        digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

impl SignatureVerificationAlgorithm for Metered<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let is_devices = self.meter.device.as_ptr_range().contains(&message.as_ptr());
        let fact = self.fact(public_key, message, signature);
        if self.meter.found().contains_key(&fact) {
            return Ok(());
        }
        if !is_devices && self.meter.known.has(&fact) {
            return Ok(());
        }
        // Ed25519 and P-256, and RSA of 2048 to 4096 bits; beyond are longer curves and RSA.
        let cost = match public_key.len() {
            ..=65 | 200..=600 => 1,
            _ => DEAR,
        };
        if !self.meter.takes(cost) {
            return Err(InvalidSignature);
        }
        self.by.verify_signature(public_key, message, signature)?;
        self.meter.found().insert(fact, is_devices);
        Ok(())
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
