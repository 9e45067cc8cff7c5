//! The activation blob of DPS: a credential and a duplicated HMAC key in one
//! (layout from the SDKs' readers, see `make_activation_blob`).

use super::structures::PublicArea;
use crate::DecodeError;

/// Everything random in a blob, so that making one is a pure function but for OAEP's own seed.
#[derive(Debug, Clone)]
pub struct ActivationSecrets {
    /// The identity key: HMAC-SHA256.
    pub identity_key: [u8; 32],
    /// seedValue of its sensitive area.
    pub identity_seed: [u8; 32],
    /// AES-128 inner wrapper of the duplicate.
    pub inner_key: [u8; 16],
    /// Seed of the credential.
    pub credential_seed: [u8; 32],
    /// Seed of the duplicate's outer wrapper.
    pub outer_seed: [u8; 32],
}

/// What ActivateCredential and Import need of a private key: RSA-OAEP with
/// SHA-256, MGF1-SHA-256 and `label` (with its closing zero byte).
pub trait OaepDecrypt {
    /// Opens `ciphertext`.
    ///
    /// # Errors
    /// Not encrypted to this key, or under another label.
    fn oaep_decrypt(&self, label: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, DecodeError>;
}

/// An imported HMAC-SHA256 key, as a TPM holds it at the identity handle.
#[derive(Clone)]
pub struct IdentityKey {
    key: [u8; 32],
}

impl IdentityKey {
    /// TPM2_HMAC.
    pub fn sign(&self, data: &[u8]) -> [u8; 32] {
        let _ = (data, self.key);
        [0; 32]
    }
}

/// Service side: wraps `secrets.identity_key` so that only the TPM with both
/// keys can load it. `uri` is the historical sixth item; keep it under 110 bytes.
///
/// # Errors
/// A modulus that is no RSA key.
pub fn make_activation_blob(
    endorsement_key: &PublicArea,
    storage_root_key: &PublicArea,
    secrets: &ActivationSecrets,
    uri: &[u8],
) -> Result<Vec<u8>, DecodeError> {
    let _ = (endorsement_key, storage_root_key, secrets, uri);
    Err(DecodeError::new("activation blob", ""))
}

/// Device side: TPM2_ActivateCredential with the endorsement key, then
/// TPM2_Import under the storage root key, checking both integrity values.
///
/// # Errors
/// The part of the blob that does not fit these keys.
pub fn activate(
    blob: &[u8],
    endorsement_key: &impl OaepDecrypt,
    storage_root_key: &impl OaepDecrypt,
    storage_root_public: &PublicArea,
) -> Result<IdentityKey, DecodeError> {
    let _ = (blob, endorsement_key, storage_root_key, storage_root_public);
    Err(DecodeError::new("activation blob", ""))
}
