//! Public areas of a TPM's own RSA keys, and names (TCG part 2 §12.2).

use aws_lc_rs::digest;
use data_encoding::BASE32_NOPAD;

use super::marshal::{Reader, tpm2b};
use crate::DecodeError;

/// RSA-2048 modulus, big-endian.
pub type Modulus = [u8; 256];

// Algorithm identifiers (TCG part 2 §6.3).
const TPM_ALG_RSA: u16 = 0x0001;
const TPM_ALG_AES: u16 = 0x0006;
pub(super) const TPM_ALG_SHA256: u16 = 0x000B;
const TPM_ALG_NULL: u16 = 0x0010;
const TPM_ALG_CFB: u16 = 0x0043;

/// Attributes (TCG part 2 §8.3): fixedTPM, fixedParent, sensitiveDataOrigin,
/// adminWithPolicy, restricted, decrypt.
const ENDORSEMENT_ATTRIBUTES: u32 = 0x0003_00B2;
/// fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, decrypt.
const STORAGE_ROOT_ATTRIBUTES: u32 = 0x0003_0472;
const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const SIGN: u32 = 1 << 18;

/// PolicySecret(TPM_RH_ENDORSEMENT), from the EK template L-1.
const ENDORSEMENT_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

/// A public area, kept as marshalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicArea {
    tpm2b: Vec<u8>,
    modulus: Modulus,
}

/// nameAlg and digest of a public area (TCG part 1 §16): 000B || SHA-256(TPMT_PUBLIC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(pub [u8; 34]);

impl Name {
    /// The name of a TPM2B_PUBLIC of at least two bytes: its size prefix does not count.
    pub(super) fn of(tpm2b_public: &[u8]) -> Self {
        let contents = tpm2b_public.get(2..).unwrap_or_default();
        let mut name = [0; 34];
        name[..2].copy_from_slice(&TPM_ALG_SHA256.to_be_bytes());
        name[2..].copy_from_slice(digest::digest(&digest::SHA256, contents).as_ref());
        Self(name)
    }
}

impl PublicArea {
    /// Reads a TPM2B_PUBLIC with its size prefix: an RSA-2048 SHA-256 storage key.
    ///
    /// # Errors
    /// The field that is not as DPS needs it.
    pub fn parse(tpm2b: &[u8]) -> Result<Self, DecodeError> {
        let mut outer = Reader::new("TPM2B_PUBLIC", tpm2b);
        let mut area = Reader::new("TPM2B_PUBLIC", outer.sized("publicArea")?);
        outer.finish()?;

        area.expect("type", TPM_ALG_RSA)?;
        area.expect("nameAlg", TPM_ALG_SHA256)?;
        let attributes = area.u32("objectAttributes")?;
        if attributes & (RESTRICTED | DECRYPT | SIGN) != RESTRICTED | DECRYPT {
            return Err(area.error(format!(
                "objectAttributes {attributes:#010x} are not those of a storage key"
            )));
        }
        area.sized("authPolicy")?;
        area.expect("symmetric", TPM_ALG_AES)?;
        area.expect("symmetric keyBits", 128)?;
        area.expect("symmetric mode", TPM_ALG_CFB)?;
        area.expect("scheme", TPM_ALG_NULL)?;
        area.expect("keyBits", 2048)?;
        // Zero stands for the default, 65537 (TCG part 2 §12.2.3.5).
        match area.u32("exponent")? {
            0 | 65537 => {}
            exponent => return Err(area.error(format!("exponent is {exponent}, expected 65537"))),
        }
        let modulus: Modulus = area.sized_array("unique")?;
        if modulus[0] < 0x80 || modulus[255].is_multiple_of(2) {
            return Err(area.error("unique is no modulus of a 2048-bit RSA key"));
        }
        area.finish()?;
        Ok(Self {
            tpm2b: tpm2b.to_vec(),
            modulus,
        })
    }

    /// TPM2B_PUBLIC with its size prefix.
    pub fn as_tpm2b(&self) -> &[u8] {
        &self.tpm2b
    }

    /// The RSA modulus.
    pub fn modulus(&self) -> &Modulus {
        &self.modulus
    }

    /// Its name.
    pub fn name(&self) -> Name {
        Name::of(&self.tpm2b)
    }

    fn from_template(attributes: u32, policy: &[u8], modulus: &Modulus) -> Self {
        let mut area = Vec::with_capacity(314);
        area.extend(TPM_ALG_RSA.to_be_bytes());
        area.extend(TPM_ALG_SHA256.to_be_bytes());
        area.extend(attributes.to_be_bytes());
        area.extend(tpm2b(policy));
        for parameter in [TPM_ALG_AES, 128, TPM_ALG_CFB, TPM_ALG_NULL, 2048] {
            area.extend(parameter.to_be_bytes());
        }
        area.extend(0u32.to_be_bytes()); // exponent: the default
        area.extend(tpm2b(modulus));
        Self {
            tpm2b: tpm2b(&area),
            modulus: *modulus,
        }
    }
}

/// Public area of an endorsement key: TCG EK Credential Profile, template L-1. 316 bytes marshalled.
pub fn endorsement_public(modulus: &Modulus) -> PublicArea {
    PublicArea::from_template(ENDORSEMENT_ATTRIBUTES, &ENDORSEMENT_POLICY, modulus)
}

/// Public area of a storage root key: TCG Provisioning Guidance, RSA-2048 SRK. 284 bytes marshalled.
pub fn storage_root_public(modulus: &Modulus) -> PublicArea {
    PublicArea::from_template(STORAGE_ROOT_ATTRIBUTES, &[], modulus)
}

/// Registration id the SDKs derive from an endorsement key: lower-case unpadded base32 of
/// SHA-256 over its TPM2B_PUBLIC.
pub fn registration_id_of(endorsement_key: &PublicArea) -> String {
    let digest = digest::digest(&digest::SHA256, endorsement_key.as_tpm2b());
    BASE32_NOPAD.encode(digest.as_ref()).to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
