//! TPM2B_PUBLIC, TPMT_PUBLIC and names (TCG part 2 §12.2).

use crate::DecodeError;

/// RSA-2048 modulus, big-endian.
pub type Modulus = [u8; 256];

/// A public area, kept as marshalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicArea {
    tpm2b: Vec<u8>,
    modulus: Modulus,
}

/// nameAlg and digest of a public area (TCG part 1 §16): 000B || SHA-256(TPMT_PUBLIC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(pub [u8; 34]);

impl PublicArea {
    /// Reads a TPM2B_PUBLIC with its size prefix: an RSA-2048 SHA-256 storage key.
    ///
    /// # Errors
    /// The field that is not as DPS needs it.
    pub fn parse(tpm2b: &[u8]) -> Result<Self, DecodeError> {
        let _ = tpm2b;
        Err(DecodeError::new("TPM2B_PUBLIC", ""))
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
        Name([0; 34])
    }
}

/// Public area of an endorsement key: TCG EK Credential Profile, template L-1. 316 bytes marshalled.
pub fn endorsement_public(modulus: &Modulus) -> PublicArea {
    PublicArea {
        tpm2b: Vec::new(),
        modulus: *modulus,
    }
}

/// Public area of a storage root key: TCG Provisioning Guidance, RSA-2048 SRK. 284 bytes marshalled.
pub fn storage_root_public(modulus: &Modulus) -> PublicArea {
    PublicArea {
        tpm2b: Vec::new(),
        modulus: *modulus,
    }
}

/// Registration id the SDKs derive from an endorsement key: lower-case unpadded base32 of
/// SHA-256 over its TPM2B_PUBLIC.
pub fn registration_id_of(endorsement_key: &PublicArea) -> String {
    let _ = endorsement_key;
    String::new()
}
