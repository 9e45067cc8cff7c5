//! Duplication: a key wrapped for one parent, once under the parent's seed and
//! once more, inside, under an AES key that travels by another way
//! (TCG part 1 §23).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;

use super::envelope;
use super::keyed_hash::{IdentityKey, KeyedHashPublic, TPM_ALG_KEYEDHASH, identity_public, unique};
use super::marshal::{Reader, tpm2b};
use super::oaep::{self, OaepDecrypt};
use super::structures::{Name, PublicArea};
use crate::DecodeError;

/// A wrapped key as it travels, each part with its size prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// TPM2B_PRIVATE: the sensitive area in both wrappers.
    pub private: Vec<u8>,
    /// TPM2B_ENCRYPTED_SECRET: the outer wrapper's seed, encrypted to the parent.
    pub encrypted_seed: Vec<u8>,
    /// TPM2B_PUBLIC of the key.
    pub public: Vec<u8>,
}

/// Wraps an HMAC key for Import under `parent`. `seed_value` is the seedValue
/// of its sensitive area.
///
/// # Errors
/// A modulus that is no RSA key.
pub fn wrap(
    parent: &PublicArea,
    key: &[u8; 32],
    seed_value: &[u8; 32],
    inner_key: &[u8; 16],
    outer_seed: &[u8; 32],
) -> Result<Duplicate, DecodeError> {
    let public = identity_public(&unique(seed_value, key));
    let name = Name::of(&public);
    // TPMT_SENSITIVE: type, empty authValue, seedValue, the key.
    let area = [
        &TPM_ALG_KEYEDHASH.to_be_bytes()[..],
        &tpm2b(&[]),
        &tpm2b(seed_value),
        &tpm2b(key),
    ]
    .concat();
    let sensitive = tpm2b(&area);
    let mut inner = [tpm2b(&inner_integrity(&sensitive, &name)), sensitive].concat();
    envelope::encrypt(inner_key, &mut inner);
    Ok(Duplicate {
        private: tpm2b(&envelope::seal(outer_seed, &name, &inner)),
        encrypted_seed: oaep::encrypt_seed(parent, oaep::DUPLICATE, outer_seed)?,
        public,
    })
}

/// TPM2_Import and TPM2_Load of an HMAC key. Every check that a TPM makes is
/// made: the outer HMAC, the inner digest, the type, and that the public area
/// belongs to the key.
///
/// # Errors
/// The check that failed.
pub fn import(
    parent: &impl OaepDecrypt,
    inner_key: &[u8; 16],
    private: &[u8],
    encrypted_seed: &[u8],
    public: &[u8],
) -> Result<IdentityKey, DecodeError> {
    const WHAT: &str = "duplicate TPM2B_PRIVATE";
    let public = KeyedHashPublic::parse(public)?;
    let mut outer = Reader::new(WHAT, private);
    let sealed = outer.sized("private")?;
    outer.finish()?;
    let seed = oaep::decrypt_seed(parent, oaep::DUPLICATE, encrypted_seed)?;
    let mut inner = envelope::open(WHAT, &seed, &public.name, sealed)?;
    envelope::decrypt(inner_key, &mut inner);

    let mut reader = Reader::new(WHAT, &inner);
    let integrity = reader.sized("inner integrity")?;
    let sensitive = reader.rest();
    verify_slices_are_equal(integrity, &inner_integrity(sensitive, &public.name))
        .map_err(|_| DecodeError::new(WHAT, "fails the integrity check of its inner wrapper"))?;
    unwrap_sensitive(sensitive, &public.unique)
}

/// The key inside a TPM2B_SENSITIVE, if it is the one that `expected_unique` stands for.
fn unwrap_sensitive(
    sensitive: &[u8],
    expected_unique: &[u8; 32],
) -> Result<IdentityKey, DecodeError> {
    const WHAT: &str = "TPM2B_SENSITIVE";
    let mut outer = Reader::new(WHAT, sensitive);
    let mut area = Reader::new(WHAT, outer.sized("sensitiveArea")?);
    outer.finish()?;
    area.expect("sensitiveType", TPM_ALG_KEYEDHASH)?;
    area.sized("authValue")?;
    let seed_value = area.sized("seedValue")?;
    let key: [u8; 32] = area.sized_array("sensitive")?;
    area.finish()?;
    verify_slices_are_equal(&unique(seed_value, &key), expected_unique)
        .map_err(|_| DecodeError::new(WHAT, "is not the private part of the public area"))?;
    Ok(IdentityKey::from_bytes(key))
}

fn inner_integrity(sensitive: &[u8], name: &Name) -> Vec<u8> {
    digest::digest(&digest::SHA256, &[sensitive, &name.0].concat())
        .as_ref()
        .to_vec()
}
