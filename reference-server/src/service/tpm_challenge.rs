//! The TPM nonce challenge: a key that only the enrolled TPM can unwrap
//! (DPS documentation, "TPM attestation").

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::registration::{TpmAttestation, TpmChallenge};
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use fleetstorm_protocol::tpm::{ActivationSecrets, PublicArea, make_activation_blob};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::randomness;
use crate::store::Store;
use crate::store::error::StoreError;

/// How long a nonce key can be used, and at most a step longer.
const LIFETIME: Duration = Duration::from_secs(300);
/// Nonce keys of a TPM change with every step, in seconds.
const STEP: i64 = 30;

/// An HMAC-SHA256 key.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct HmacKey([u8; 32]);

/// The TPM as its device presents it.
pub struct PresentedTpm {
    endorsement_key: PublicArea,
    storage_root_key: PublicArea,
}

/// Nonce keys: derived from what only the server knows and the endorsement key that can open them.
///
/// Nothing is remembered of whoever asks in the name of a device: nobody takes the place of an answer
/// that is under way, and a device may answer another life of the server, where there is a store.
pub struct Challenges {
    secret: HmacKey,
}

impl HmacKey {
    /// A new one.
    pub fn new() -> Self {
        let mut key = [0; 32];
        randomness::fill(&mut key);
        Self(key)
    }

    /// The secret.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<HmacKey> for SymmetricKey {
    fn from(key: HmacKey) -> Self {
        Self::from_bytes(key.0).expect("32 bytes are a key")
    }
}

/// Says nothing of the key.
impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacKey").finish_non_exhaustive()
    }
}

impl PresentedTpm {
    /// Reads both keys.
    ///
    /// # Errors
    /// A key is missing or malformed.
    pub fn read(presented: Option<&TpmAttestation>) -> Result<Self, Refusal> {
        let missing = |field: &str| Refusal::BadRequest(format!("{field}: is missing"));
        let presented = presented.ok_or_else(|| missing("tpm"))?;
        let storage_root_key = presented
            .storage_root_key
            .as_deref()
            .ok_or_else(|| missing("tpm.storageRootKey"))?;
        Ok(Self {
            endorsement_key: public_area("tpm.endorsementKey", &presented.endorsement_key)?,
            storage_root_key: public_area("tpm.storageRootKey", storage_root_key)?,
        })
    }

    /// The same; the endorsement key must be the enrolled one, byte for byte.
    ///
    /// # Errors
    /// A key is missing, malformed or not the enrolled one.
    pub fn of(presented: Option<&TpmAttestation>, enrolled: &[u8]) -> Result<Self, Refusal> {
        let read = Self::read(presented)?;
        is_enrolled(&read.endorsement_key, enrolled)?;
        Ok(read)
    }

    /// A TPM that was presented before, by its keys' TPM2B_PUBLICs.
    ///
    /// # Errors
    /// Never for keys that were read once.
    pub fn known(endorsement_key: &[u8], storage_root_key: &[u8]) -> Result<Self, Refusal> {
        let parse = |tpm2b| PublicArea::parse(tpm2b).map_err(|_| Refusal::Internal);
        Ok(Self {
            endorsement_key: parse(endorsement_key)?,
            storage_root_key: parse(storage_root_key)?,
        })
    }

    /// Wraps `key` in an activation blob that only this TPM can open.
    ///
    /// # Errors
    /// A modulus that is no RSA key.
    pub fn wrap(&self, key: &HmacKey) -> Result<Vec<u8>, Refusal> {
        let mut secrets = ActivationSecrets::generate(randomness::fill);
        secrets.identity_key = key.0;
        let blob =
            make_activation_blob(&self.endorsement_key, &self.storage_root_key, &secrets, b"");
        blob.map_err(|e| Refusal::BadRequest(format!("tpm: {e}")))
    }
}

impl Default for Challenges {
    fn default() -> Self {
        Self {
            secret: HmacKey::new(),
        }
    }
}

impl Challenges {
    /// Those of an instance, the same whenever it is served from a store.
    ///
    /// # Errors
    /// The store can't be read.
    pub(super) fn kept_in(store: &Store, id_scope: &str) -> Result<Self, StoreError> {
        Ok(Self {
            secret: store.secret(&format!("challenges/{id_scope}"), HmacKey::new)?,
        })
    }

    /// Issues a nonce key for `id`, in the activation blob for its TPM.
    ///
    /// # Errors
    /// The TPM's keys can't wrap it.
    pub fn issue(&self, id: &str, tpm: &PresentedTpm, now: Timestamp) -> Result<Vec<u8>, Refusal> {
        tpm.wrap(&self.key(id, tpm.endorsement_key.as_tpm2b(), step(now)))
    }

    /// The nonce key that signed `token` for `resource`, if it was given to this TPM as `id`'s and is
    /// still good.
    pub fn solved(
        &self,
        id: &str,
        endorsement_key: &[u8],
        token: &SasToken,
        resource: &str,
        now: Timestamp,
    ) -> Option<HmacKey> {
        // Those ahead were given out before the clock was set back.
        let steps = step(now - LIFETIME)..=step(now + LIFETIME);
        let mut keys = steps.rev().map(|step| self.key(id, endorsement_key, step));
        keys.find(|key| {
            let signed = token.verify(resource, key.as_bytes(), now.as_second());
            signed.is_ok()
        })
    }

    /// The nonce key that a TPM is given in a step.
    fn key(&self, id: &str, endorsement_key: &[u8], step: i64) -> HmacKey {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let mut derived = hmac::Context::with_key(&secret);
        // Each part says where it ends.
        derived.update(id.as_bytes());
        derived.update(&[0]);
        derived.update(endorsement_key);
        derived.update(&step.to_be_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(derived.sign().as_ref());
        HmacKey(key)
    }
}

fn step(now: Timestamp) -> i64 {
    now.as_second().div_euclid(STEP)
}

/// A challenge to a TPM that nobody enrolled, for its keys alone: nobody remembers what it holds.
///
/// # Errors
/// A key is missing or malformed.
pub fn forgotten(tpm: &TpmAttestation) -> Result<Vec<u8>, Refusal> {
    PresentedTpm::read(Some(tpm))?.wrap(&HmacKey::new())
}

/// A challenge as the body of a 401.
pub fn body(blob: &[u8]) -> TpmChallenge {
    TpmChallenge {
        authentication_key: STANDARD.encode(blob),
        key_name: "registration".into(),
        message: "Authorization required".into(),
    }
}

/// The storage root key of a TPM that proves itself, a TPM2B_PUBLIC, where it says it; the endorsement
/// key that it says with it is the enrolled one.
///
/// # Errors
/// A key is malformed, or the endorsement key another.
pub fn storage_root_key(
    presented: &TpmAttestation,
    enrolled: &[u8],
) -> Result<Option<Box<[u8]>>, Refusal> {
    let key = public_area("tpm.endorsementKey", &presented.endorsement_key)?;
    is_enrolled(&key, enrolled)?;
    let storage_root_key = presented.storage_root_key.as_deref();
    storage_root_key
        .map(|text| Ok(public_area("tpm.storageRootKey", text)?.as_tpm2b().into()))
        .transpose()
}

fn is_enrolled(key: &PublicArea, enrolled: &[u8]) -> Result<(), Refusal> {
    if key.as_tpm2b() == enrolled {
        Ok(())
    } else {
        Err(Refusal::Unauthorized)
    }
}

fn public_area(field: &str, text: &str) -> Result<PublicArea, Refusal> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|e| Refusal::BadRequest(format!("{field}: is not base64: {e}")))?;
    PublicArea::parse(&bytes).map_err(|e| Refusal::BadRequest(format!("{field}: {e}")))
}
