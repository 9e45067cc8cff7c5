//! Seeds under RSA-OAEP: the TPM2B_ENCRYPTED_SECRETs (TCG part 1 §B.10.3).

use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PublicEncryptingKey,
};

use super::marshal::{Reader, tpm2b};
use super::structures::{Modulus, PublicArea};
use crate::DecodeError;

/// OAEP label of a credential's seed.
pub(super) const IDENTITY: &[u8] = b"IDENTITY\0";
/// OAEP label of a duplicate's seed.
pub(super) const DUPLICATE: &[u8] = b"DUPLICATE\0";

/// What ActivateCredential and Import need of a private key: RSA-OAEP with
/// SHA-256, MGF1-SHA-256 and `label` (with its closing zero byte).
pub trait OaepDecrypt {
    /// Opens `ciphertext`.
    ///
    /// # Errors
    /// Not encrypted to this key, or under another label.
    fn oaep_decrypt(&self, label: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, DecodeError>;
}

impl OaepDecrypt for OaepPrivateDecryptingKey {
    fn oaep_decrypt(&self, label: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut plaintext = vec![0; self.min_output_size()];
        let length = self
            .decrypt(
                &OAEP_SHA256_MGF1SHA256,
                ciphertext,
                &mut plaintext,
                Some(label),
            )
            .map_err(|_| DecodeError::new("OAEP ciphertext", "is not for this key and label"))?
            .len();
        plaintext.truncate(length);
        Ok(plaintext)
    }
}

/// TPM2B_ENCRYPTED_SECRET of `seed` for the owner of `key`.
pub(super) fn encrypt_seed(
    key: &PublicArea,
    label: &[u8],
    seed: &[u8; 32],
) -> Result<Vec<u8>, DecodeError> {
    let unusable = || DecodeError::new("RSA modulus", "is none of a 2048-bit key");
    let public = PublicEncryptingKey::from_der(&subject_public_key_info(key.modulus()))
        .map_err(|_| unusable())?;
    let public = OaepPublicEncryptingKey::new(public).map_err(|_| unusable())?;
    let mut ciphertext = vec![0; public.ciphertext_size()];
    public
        .encrypt(&OAEP_SHA256_MGF1SHA256, seed, &mut ciphertext, Some(label))
        .map_err(|_| unusable())?;
    Ok(tpm2b(&ciphertext))
}

/// The seed of a TPM2B_ENCRYPTED_SECRET.
pub(super) fn decrypt_seed(
    key: &impl OaepDecrypt,
    label: &[u8],
    encrypted_secret: &[u8],
) -> Result<[u8; 32], DecodeError> {
    let mut reader = Reader::new("TPM2B_ENCRYPTED_SECRET", encrypted_secret);
    let ciphertext: [u8; 256] = reader.sized_array("secret")?;
    let seed = key.oaep_decrypt(label, &ciphertext)?;
    let seed = seed.try_into().map_err(|seed: Vec<u8>| {
        reader.error(format!("holds {} bytes, expected 32", seed.len()))
    })?;
    reader.finish()?;
    Ok(seed)
}

/// DER of an RSA public key with exponent 65537 (RFC 5280 SubjectPublicKeyInfo):
/// nothing but the modulus varies, so the rest is constant.
fn subject_public_key_info(modulus: &Modulus) -> Vec<u8> {
    const HEAD: &[u8] = &[
        0x30, 0x82, 0x01, 0x22, // SubjectPublicKeyInfo
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05,
        0x00, // rsaEncryption
        0x03, 0x82, 0x01, 0x0f, 0x00, // subjectPublicKey
        0x30, 0x82, 0x01, 0x0a, // RSAPublicKey
        0x02, 0x82, 0x01, 0x01, 0x00, // modulus, positive
    ];
    const EXPONENT: &[u8] = &[0x02, 0x03, 0x01, 0x00, 0x01];
    [HEAD, modulus, EXPONENT].concat()
}
