//! The activation blob of DPS: a credential and a duplicated HMAC key in one
//! (layout from the readers of the Azure IoT SDKs and from Microsoft's TSS.MSR
//! samples `DrsServer`, `DrsClient`).

use super::credential::{activate_credential, make_credential};
use super::duplication::{import, wrap};
use super::envelope;
use super::marshal::{Reader, tpm2b};
use super::structures::PublicArea;
use crate::DecodeError;

pub use super::keyed_hash::IdentityKey;
pub use super::oaep::OaepDecrypt;

/// Longest `uri` in bytes: two SASL frames hold no more.
pub const MAX_URI: usize = 110;

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

impl ActivationSecrets {
    /// Takes every secret from `fill`, which must be a cryptographic source of
    /// randomness.
    pub fn generate(mut fill: impl FnMut(&mut [u8])) -> Self {
        let mut secrets = Self {
            identity_key: [0; 32],
            identity_seed: [0; 32],
            inner_key: [0; 16],
            credential_seed: [0; 32],
            outer_seed: [0; 32],
        };
        fill(&mut secrets.identity_key);
        fill(&mut secrets.identity_seed);
        fill(&mut secrets.inner_key);
        fill(&mut secrets.credential_seed);
        fill(&mut secrets.outer_seed);
        secrets
    }
}

/// The parts of a blob, each with its size prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivationBlob<'a> {
    /// TPM2B_ID_OBJECT: the inner key, for ActivateCredential.
    pub id_object: &'a [u8],
    /// TPM2B_ENCRYPTED_SECRET: the credential's seed.
    pub credential_seed: &'a [u8],
    /// TPM2B_PRIVATE: the duplicate, for Import.
    pub duplicate: &'a [u8],
    /// TPM2B_ENCRYPTED_SECRET: the duplicate's seed.
    pub duplicate_seed: &'a [u8],
    /// TPM2B_PUBLIC of the identity key.
    pub identity_public: &'a [u8],
    /// TPM2B_DATA: once a URI, encrypted under the inner key; not authenticated
    /// and read by no SDK.
    pub uri: &'a [u8],
}

impl<'a> ActivationBlob<'a> {
    /// Takes a blob apart. Bytes behind it are ignored, as the SDKs do.
    ///
    /// # Errors
    /// The part that is cut short.
    pub fn parse(blob: &'a [u8]) -> Result<Self, DecodeError> {
        let mut rest = blob;
        let mut part = |field: &str| {
            let mut reader = Reader::new("activation blob", rest);
            let size = 2 + reader.sized(field)?.len();
            let (part, behind) = rest.split_at(size);
            rest = behind;
            Ok(part)
        };
        Ok(Self {
            id_object: part("credentialBlob")?,
            credential_seed: part("credential secret")?,
            duplicate: part("duplicate")?,
            duplicate_seed: part("duplicate seed")?,
            identity_public: part("objectPublic")?,
            uri: part("uri")?,
        })
    }
}

/// Service side: wraps `secrets.identity_key` so that only the TPM with both
/// keys can load it. `uri` is the historical sixth item, at most [`MAX_URI`] bytes.
///
/// # Errors
/// A modulus that is no RSA key, or a longer `uri`.
pub fn make_activation_blob(
    endorsement_key: &PublicArea,
    storage_root_key: &PublicArea,
    secrets: &ActivationSecrets,
    uri: &[u8],
) -> Result<Vec<u8>, DecodeError> {
    if uri.len() > MAX_URI {
        let length = uri.len();
        return Err(DecodeError::new(
            "activation blob uri",
            format!("has {length} bytes, the limit is {MAX_URI}"),
        ));
    }
    let credential = make_credential(
        endorsement_key,
        &storage_root_key.name(),
        &secrets.inner_key,
        &secrets.credential_seed,
    )?;
    let duplicate = wrap(
        storage_root_key,
        &secrets.identity_key,
        &secrets.identity_seed,
        &secrets.inner_key,
        &secrets.outer_seed,
    )?;
    let mut encrypted_uri = uri.to_vec();
    envelope::encrypt(&secrets.inner_key, &mut encrypted_uri);
    let parts = [
        credential.id_object,
        credential.encrypted_seed,
        duplicate.private,
        duplicate.encrypted_seed,
        duplicate.public,
        tpm2b(&encrypted_uri),
    ];
    Ok(parts.concat())
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
    let blob = ActivationBlob::parse(blob)?;
    let name = storage_root_public.name();
    let inner_key =
        activate_credential(endorsement_key, &name, blob.id_object, blob.credential_seed)?;
    let inner_key = inner_key.try_into().map_err(|key: Vec<u8>| {
        DecodeError::new(
            "credential",
            format!("has {} bytes, expected an AES-128 key", key.len()),
        )
    })?;
    import(
        storage_root_key,
        &inner_key,
        blob.duplicate,
        blob.duplicate_seed,
        blob.identity_public,
    )
}

#[cfg(test)]
mod tests;
