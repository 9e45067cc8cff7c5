//! A software TPM 2.0, as far as DPS attestation uses one.

use std::sync::OnceLock;

use aws_lc_rs::rsa::{OaepPrivateDecryptingKey, PrivateDecryptingKey};
use crypto_bigint::{Limb, NonZero, Odd, U1024, U2048};
use fleetstorm_protocol::DecodeError;
use fleetstorm_protocol::tpm::structures::Modulus;
use fleetstorm_protocol::tpm::{self, IdentityKey, PublicArea};
use pkcs1::UintRef;
use pkcs8::der::Encode;

use super::primes::EXPONENT;

/// The two primes of a modulus, the greater first.
pub type Factors = (U1024, U1024);

/// A TPM with its own endorsement key and storage root key.
pub struct VirtualTpm {
    endorsement_public: PublicArea,
    storage_root_public: PublicArea,
    endorsement_factors: Factors,
    storage_root_factors: Factors,
    /// Made when first used: importing a private key costs more than all the rest of a device.
    private: OnceLock<Option<(OaepPrivateDecryptingKey, OaepPrivateDecryptingKey)>>,
}

impl VirtualTpm {
    /// A TPM whose keys have these prime factors, the greater first. With `foreign_keys` its private keys are
    /// those of another TPM.
    pub fn new(endorsement: Factors, storage_root: Factors, foreign_keys: bool) -> Self {
        let endorsement_public = tpm::endorsement_public(&modulus(endorsement));
        let storage_root_public = tpm::storage_root_public(&modulus(storage_root));
        let (endorsement, storage_root) = if foreign_keys {
            (storage_root, endorsement)
        } else {
            (endorsement, storage_root)
        };
        Self {
            endorsement_public,
            storage_root_public,
            endorsement_factors: endorsement,
            storage_root_factors: storage_root,
            private: OnceLock::new(),
        }
    }

    /// Public area of the endorsement key.
    pub fn endorsement_public(&self) -> &PublicArea {
        &self.endorsement_public
    }

    /// Public area of the storage root key.
    pub fn storage_root_public(&self) -> &PublicArea {
        &self.storage_root_public
    }

    /// ActivateCredential, Import, Load: the HMAC key of the blob.
    ///
    /// # Errors
    /// The blob is not for this TPM.
    pub fn activate(&self, blob: &[u8]) -> Result<IdentityKey, DecodeError> {
        let make = || {
            Some((
                private_key(self.endorsement_factors)?,
                private_key(self.storage_root_factors)?,
            ))
        };
        let Some((endorsement, storage_root)) = self.private.get_or_init(make) else {
            return Err(DecodeError::new("TPM key", "is no RSA key"));
        };
        tpm::activate(blob, endorsement, storage_root, &self.storage_root_public)
    }
}

/// p·q, big-endian.
pub fn modulus((p, q): (U1024, U1024)) -> Modulus {
    let product: U2048 = p.concatenating_mul(&q);
    let mut bytes = [0; 256];
    bytes.copy_from_slice(product.to_be_bytes().as_ref());
    bytes
}

/// RSAPrivateKey of RFC 8017 §A.1.2 in PKCS#8, imported. `p` is the greater prime.
fn private_key((p, q): (U1024, U1024)) -> Option<OaepPrivateDecryptingKey> {
    let (p_1, q_1) = (p.wrapping_sub(&U1024::ONE), q.wrapping_sub(&U1024::ONE));
    let phi: U2048 = p_1.concatenating_mul(&q_1);
    let coefficient: Option<U1024> = q
        .invert_odd_mod_vartime(&Odd::new(p).into_option()?)
        .into_option();
    let bytes = [
        modulus((p, q)).to_vec(),
        EXPONENT.to_be_bytes().to_vec(),
        private_exponent(&phi).to_be_bytes().as_ref().to_vec(),
        p.to_be_bytes().as_ref().to_vec(),
        q.to_be_bytes().as_ref().to_vec(),
        private_exponent(&p_1).to_be_bytes().as_ref().to_vec(),
        private_exponent(&q_1).to_be_bytes().as_ref().to_vec(),
        coefficient?.to_be_bytes().as_ref().to_vec(),
    ];
    let integer = |index: usize| UintRef::new(&bytes[index]).ok();
    let rsa = pkcs1::RsaPrivateKey {
        modulus: integer(0)?,
        public_exponent: integer(1)?,
        private_exponent: integer(2)?,
        prime1: integer(3)?,
        prime2: integer(4)?,
        exponent1: integer(5)?,
        exponent2: integer(6)?,
        coefficient: integer(7)?,
        other_prime_infos: None,
    };
    let rsa = rsa.to_der().ok()?;
    let octets = pkcs8::der::asn1::OctetStringRef::new(&rsa).ok()?;
    let pkcs8 = pkcs8::PrivateKeyInfoRef::new(pkcs1::ALGORITHM_ID, octets)
        .to_der()
        .ok()?;
    OaepPrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(&pkcs8).ok()?).ok()
}

/// Inverse of the public exponent e modulo `m`, with one division: with k = −m⁻¹ mod e, k·m + 1 is a
/// multiple of e, and the quotient is the inverse.
fn private_exponent<const LIMBS: usize>(
    m: &crypto_bigint::Uint<LIMBS>,
) -> crypto_bigint::Uint<LIMBS> {
    let e = u64::from(EXPONENT);
    let (quotient, rest) = m.div_rem_limb(NonZero::new(Limb::from(EXPONENT)).expect("not zero"));
    let rest = rest.0;
    // e is prime: the inverse is the power e − 2 (Fermat).
    let inverse = (0..16).rev().fold(1, |power, bit| {
        let squared = power * power % e;
        if (e - 2) >> bit & 1 == 1 {
            squared * rest % e
        } else {
            squared
        }
    });
    let k = e - inverse;
    quotient
        .wrapping_mul(&crypto_bigint::Uint::<LIMBS>::from_u64(k))
        .wrapping_add(&crypto_bigint::Uint::<LIMBS>::from_u64((k * rest + 1) / e))
}
