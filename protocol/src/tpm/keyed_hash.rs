//! The identity key: the HMAC-SHA256 object that a device is given
//! (TPM_ALG_KEYEDHASH, TCG part 2 §11.1.22, §12.2).

use std::fmt;

use aws_lc_rs::{digest, hmac};

use super::marshal::{Reader, tpm2b};
use super::structures::{Name, TPM_ALG_SHA256};
use crate::DecodeError;

pub(super) const TPM_ALG_KEYEDHASH: u16 = 0x0008;
const TPM_ALG_HMAC: u16 = 0x0005;

/// Attributes (TCG part 2 §8.3): userWithAuth, noDA, sign. What may leave one
/// TPM for another is fixed to none.
const ATTRIBUTES: u32 = 0x0004_0440;
const FIXED_TPM: u32 = 1 << 1;
const FIXED_PARENT: u32 = 1 << 4;
const RESTRICTED: u32 = 1 << 16;
const SIGN: u32 = 1 << 18;

/// PolicyCommandCode(TPM2_Duplicate), as Microsoft's emulation of the service has it.
const POLICY: [u8; 32] = [
    0xbe, 0xf5, 0x6b, 0x8c, 0x1c, 0xc8, 0x4e, 0x11, 0xed, 0xd7, 0x17, 0x52, 0x8d, 0x2c, 0xd9, 0x93,
    0x56, 0xbd, 0x2b, 0xbf, 0x8f, 0x01, 0x52, 0x09, 0xc3, 0xf8, 0x4a, 0xee, 0xab, 0xa8, 0xe8, 0xa2,
];

/// An imported HMAC-SHA256 key, as a TPM holds it at the identity handle.
#[derive(Clone)]
pub struct IdentityKey {
    key: [u8; 32],
}

/// Says nothing of the key.
impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityKey").finish_non_exhaustive()
    }
}

impl IdentityKey {
    /// The key of a known secret: what a service compares with.
    pub fn from_bytes(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// TPM2_HMAC.
    pub fn sign(&self, data: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.key), data);
        tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

/// `unique` of an HMAC key: SHA-256 over its seedValue and the key (TCG part 1 §27.5.3.2).
pub(super) fn unique(seed_value: &[u8], key: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, &[seed_value, key].concat());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// TPM2B_PUBLIC of the identity key, with its size prefix: 82 bytes.
pub(super) fn identity_public(unique: &[u8; 32]) -> Vec<u8> {
    let area = [
        &TPM_ALG_KEYEDHASH.to_be_bytes()[..],
        &TPM_ALG_SHA256.to_be_bytes(),
        &ATTRIBUTES.to_be_bytes(),
        &tpm2b(&POLICY),
        &TPM_ALG_HMAC.to_be_bytes(),
        &TPM_ALG_SHA256.to_be_bytes(),
        &tpm2b(unique),
    ];
    tpm2b(&area.concat())
}

/// What Import needs of an identity key's TPM2B_PUBLIC.
pub(super) struct KeyedHashPublic {
    pub(super) name: Name,
    pub(super) unique: [u8; 32],
}

impl KeyedHashPublic {
    /// Reads a TPM2B_PUBLIC; any policy and any attributes do that let the key
    /// be imported and sign what it is given.
    pub(super) fn parse(tpm2b: &[u8]) -> Result<Self, DecodeError> {
        let mut outer = Reader::new("identity key TPM2B_PUBLIC", tpm2b);
        let mut area = Reader::new("identity key TPM2B_PUBLIC", outer.sized("publicArea")?);
        outer.finish()?;

        area.expect("type", TPM_ALG_KEYEDHASH)?;
        area.expect("nameAlg", TPM_ALG_SHA256)?;
        let attributes = area.u32("objectAttributes")?;
        if attributes & (FIXED_TPM | FIXED_PARENT | RESTRICTED | SIGN) != SIGN {
            return Err(area.error(format!(
                "objectAttributes {attributes:#010x} are not those of a key to import"
            )));
        }
        area.sized("authPolicy")?;
        area.expect("scheme", TPM_ALG_HMAC)?;
        area.expect("scheme hashAlg", TPM_ALG_SHA256)?;
        let unique = area.sized_array("unique")?;
        area.finish()?;
        Ok(Self {
            name: Name::of(tpm2b),
            unique,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_area_reads_back_and_every_truncation_is_refused() {
        let marshalled = identity_public(&[5; 32]);
        assert_eq!(marshalled.len(), 82);
        let read = KeyedHashPublic::parse(&marshalled).expect("own marshalling");
        assert_eq!((read.unique, read.name), ([5; 32], Name::of(&marshalled)));
        for cut in 0..marshalled.len() {
            assert!(
                KeyedHashPublic::parse(&marshalled[..cut]).is_err(),
                "cut at {cut}"
            );
        }
        assert!(KeyedHashPublic::parse(&[&marshalled[..], &[0]].concat()).is_err());
    }

    #[test]
    fn keys_that_a_tpm_would_not_import_or_sign_with_are_refused() {
        for attributes in [0x0004_0442u32, 0x0004_0450, 0x0005_0440, 0x0000_0440] {
            let mut marshalled = identity_public(&[5; 32]);
            marshalled[6..10].copy_from_slice(&attributes.to_be_bytes());
            assert!(
                KeyedHashPublic::parse(&marshalled).is_err(),
                "{attributes:#010x}"
            );
        }
    }

    /// TCG part 3 §23.11: policyDigest' = H(0 || TPM_CC_PolicyCommandCode || TPM_CC_Duplicate).
    #[test]
    fn the_policy_is_the_digest_of_its_definition() {
        let extended = [
            &[0; 32][..],
            &0x0000_016Cu32.to_be_bytes(),
            &0x0000_014Bu32.to_be_bytes(),
        ]
        .concat();
        assert_eq!(digest::digest(&digest::SHA256, &extended).as_ref(), POLICY);
    }

    /// RFC 4231, test case 2, with the key padded to 32 bytes, which HMAC takes for the same key.
    #[test]
    fn signing_is_hmac_sha256() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        assert_eq!(
            data_encoding::HEXLOWER
                .encode(&IdentityKey::from_bytes(key).sign(b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
