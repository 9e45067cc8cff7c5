//! Credentials: a secret that only the TPM with one endorsement key opens, and
//! only while it holds the object of one name (TCG part 1 §24).

use super::envelope;
use super::marshal::{Reader, tpm2b};
use super::oaep::{self, OaepDecrypt};
use super::structures::{Name, PublicArea};
use crate::DecodeError;

/// Largest secret: a digest of the endorsement key's nameAlg, SHA-256.
const MAX_SECRET: usize = 32;

/// A credential as it travels, each part with its size prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// TPM2B_ID_OBJECT: the secret, encrypted and authenticated under the seed.
    pub id_object: Vec<u8>,
    /// TPM2B_ENCRYPTED_SECRET: the seed, encrypted to the endorsement key.
    pub encrypted_seed: Vec<u8>,
}

/// TPM2_MakeCredential: `secret` for the TPM with `endorsement_key` that also
/// holds the object called `name`.
///
/// # Errors
/// A modulus that is no RSA key, or a secret over 32 bytes.
pub fn make_credential(
    endorsement_key: &PublicArea,
    name: &Name,
    secret: &[u8],
    seed: &[u8; 32],
) -> Result<Credential, DecodeError> {
    if secret.len() > MAX_SECRET {
        let length = secret.len();
        return Err(DecodeError::new(
            "credential",
            format!("has {length} bytes, the limit is {MAX_SECRET}"),
        ));
    }
    Ok(Credential {
        id_object: tpm2b(&envelope::seal(seed, name, &tpm2b(secret))),
        encrypted_seed: oaep::encrypt_seed(endorsement_key, oaep::IDENTITY, seed)?,
    })
}

/// TPM2_ActivateCredential: the secret, if the credential was made for this
/// endorsement key and for the object called `name`.
///
/// # Errors
/// Another key or name, or a credential that was tampered with.
pub fn activate_credential(
    endorsement_key: &impl OaepDecrypt,
    name: &Name,
    id_object: &[u8],
    encrypted_seed: &[u8],
) -> Result<Vec<u8>, DecodeError> {
    const WHAT: &str = "TPM2B_ID_OBJECT";
    let mut outer = Reader::new(WHAT, id_object);
    let sealed = outer.sized("credential")?;
    outer.finish()?;
    let seed = oaep::decrypt_seed(endorsement_key, oaep::IDENTITY, encrypted_seed)?;
    let identity = envelope::open(WHAT, &seed, name, sealed)?;
    let mut inner = Reader::new(WHAT, &identity);
    let secret = inner.sized("secret")?;
    inner.finish()?;
    Ok(secret.to_vec())
}
