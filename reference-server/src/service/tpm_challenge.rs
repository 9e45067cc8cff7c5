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
use crate::shards::Shards;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::kind::Kind;

/// How long a nonce key can be used, and at most a step longer.
const LIFETIME: Duration = Duration::from_secs(300);
/// Nonce keys of a TPM change with every step, in seconds.
const STEP: i64 = 30;
/// TPMs that are remembered of a device.
const REMEMBERED: usize = 8;

/// An HMAC-SHA256 key.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct HmacKey([u8; 32]);

/// The TPM as its device presents it.
pub struct PresentedTpm {
    endorsement_key: PublicArea,
    storage_root_key: PublicArea,
}

/// Nonce keys: derived from what only the server knows and the TPM that can open them. Whoever asks in
/// the name of a device makes none that takes another's place, so nobody spoils an answer under way; and a
/// device may answer another life of the server, where there is a store.
pub struct Challenges {
    secret: HmacKey,
    /// By device; for those that answer without presenting themselves again.
    presented: Shards<Box<str>, Vec<Presented>>,
    store: Store,
    id_scope: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Presented {
    at: Timestamp,
    #[serde(default)]
    tpm: TpmAttestation,
}

/// A challenge that was answered.
pub struct Solved {
    /// Its nonce key.
    pub key: HmacKey,
    /// Endorsement key of the TPM that could open it, a TPM2B_PUBLIC.
    pub endorsement_key: Box<[u8]>,
    /// Its storage root key, a TPM2B_PUBLIC.
    pub storage_root_key: Box<[u8]>,
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

    /// As it presents itself.
    fn attestation(&self) -> TpmAttestation {
        TpmAttestation {
            endorsement_key: STANDARD.encode(self.endorsement_key.as_tpm2b()),
            storage_root_key: Some(STANDARD.encode(self.storage_root_key.as_tpm2b())),
        }
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
            presented: Shards::default(),
            store: Store::default(),
            id_scope: String::new(),
        }
    }
}

impl Challenges {
    /// With those that a store knows of an instance, and from now on kept there.
    ///
    /// # Errors
    /// The store can't be read.
    pub(super) fn kept_in(store: &Store, id_scope: &str) -> Result<Self, StoreError> {
        let known = Self {
            secret: store.secret(&format!("challenges/{id_scope}"), HmacKey::new)?,
            presented: Shards::default(),
            store: store.clone(),
            id_scope: id_scope.to_owned(),
        };
        // An older version kept two places, with or without a challenge.
        store.each(Kind::Challenge, id_scope, |id, kept: Vec<Option<_>>| {
            let presented = kept.into_iter().flatten().collect();
            known.presented.of(id).insert(id.into(), presented);
            Ok(())
        })?;
        Ok(known)
    }

    /// Issues a nonce key for `id`, in the activation blob for its TPM.
    ///
    /// # Errors
    /// The TPM's keys can't wrap it.
    pub fn issue(&self, id: &str, tpm: &PresentedTpm, now: Timestamp) -> Result<Vec<u8>, Refusal> {
        let blob = tpm.wrap(&self.key(id, tpm, step(now)))?;
        let newest = Presented {
            at: now,
            tpm: tpm.attestation(),
        };
        let mut presented = self.presented.of(id);
        let known = presented.entry(id.into()).or_default();
        let oldest = now - LIFETIME;
        known.retain(|one| one.at >= oldest && one.tpm != newest.tpm);
        known.push(newest);
        let surplus = known.len().saturating_sub(REMEMBERED);
        known.drain(..surplus);
        self.store
            .write(|writes| writes.put(Kind::Challenge, &self.id_scope, id, known));
        Ok(blob)
    }

    /// The challenge whose nonce key signed `token` for `resource`, if it is one of `id`'s and still
    /// good. Which TPM that proves, the challenge knows: the caller compares it with the enrolled one.
    pub fn solved(
        &self,
        id: &str,
        presented: Option<&TpmAttestation>,
        token: &SasToken,
        resource: &str,
        now: Timestamp,
    ) -> Option<Solved> {
        let known = self.presented.of(id).get(id).cloned().unwrap_or_default();
        let known = known.iter().rev().map(|one| &one.tpm);
        let steps = step(now - LIFETIME)..=step(now);
        presented.into_iter().chain(known).find_map(|tpm| {
            let tpm = PresentedTpm::read(Some(tpm)).ok()?;
            let mut keys = steps.clone().rev().map(|step| self.key(id, &tpm, step));
            let now = now.as_second();
            let key = keys.find(|key| token.verify(resource, key.as_bytes(), now).is_ok())?;
            Some(Solved {
                key,
                endorsement_key: tpm.endorsement_key.as_tpm2b().into(),
                storage_root_key: tpm.storage_root_key.as_tpm2b().into(),
            })
        })
    }

    /// The nonce key that a TPM is given in a step.
    fn key(&self, id: &str, tpm: &PresentedTpm, step: i64) -> HmacKey {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let mut derived = hmac::Context::with_key(&secret);
        // Each part says where it ends.
        derived.update(id.as_bytes());
        derived.update(&[0]);
        derived.update(tpm.endorsement_key.as_tpm2b());
        derived.update(tpm.storage_root_key.as_tpm2b());
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

/// Whether the endorsement key that is presented is the enrolled one.
///
/// # Errors
/// It is malformed, or another.
pub fn presents_enrolled(presented: &TpmAttestation, enrolled: &[u8]) -> Result<(), Refusal> {
    let key = public_area("tpm.endorsementKey", &presented.endorsement_key)?;
    is_enrolled(&key, enrolled)
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
