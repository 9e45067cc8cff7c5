//! The TPM nonce challenge: a key that only the enrolled TPM can unwrap
//! (DPS documentation, "TPM attestation").

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::registration::{TpmAttestation, TpmChallenge};
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use fleetstorm_protocol::tpm::{ActivationSecrets, PublicArea, make_activation_blob};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::randomness;
use crate::shards::Shards;
use crate::store::{Kind, Store, StoreError};

/// How long a nonce key can be used.
const LIFETIME: Duration = Duration::from_secs(300);

/// An HMAC-SHA256 key.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct HmacKey([u8; 32]);

/// The TPM as its device presents it.
pub struct PresentedTpm {
    endorsement_key: PublicArea,
    storage_root_key: PublicArea,
}

/// The nonce keys that are out: for each enrolled device the last two, so that a repeated
/// request does not spoil an answer under way. They outlive the server where there is a store: a
/// device answers late what it was asked before.
#[derive(Default)]
pub struct Challenges {
    issued: Shards<Box<str>, [Option<Issued>; 2]>,
    store: Store,
    id_scope: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Issued {
    key: HmacKey,
    at: Timestamp,
    /// The TPM that can open it, as it presented itself.
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

impl Challenges {
    /// With those that a store knows of an instance, and from now on kept there.
    ///
    /// # Errors
    /// The store can't be read.
    pub(super) fn kept_in(store: &Store, id_scope: &str) -> Result<Self, StoreError> {
        let known = Self {
            issued: Shards::default(),
            store: store.clone(),
            id_scope: id_scope.to_owned(),
        };
        store.each(Kind::Challenge, id_scope, |id, keys| {
            known.issued.of(id).insert(id.into(), keys);
            Ok(())
        })?;
        Ok(known)
    }

    /// Issues a nonce key for `id`, in the activation blob for its TPM.
    ///
    /// # Errors
    /// The TPM's keys can't wrap it.
    pub fn issue(&self, id: &str, tpm: &PresentedTpm, now: Timestamp) -> Result<Vec<u8>, Refusal> {
        let key = HmacKey::new();
        let blob = tpm.wrap(&key)?;
        let mut issued = self.issued.of(id);
        let keys = issued.entry(id.into()).or_default();
        let newest = Issued {
            key,
            at: now,
            tpm: tpm.attestation(),
        };
        *keys = [Some(newest), keys[0].take()];
        self.store
            .write(|writes| writes.put(Kind::Challenge, &self.id_scope, id, keys));
        Ok(blob)
    }

    /// The challenge whose nonce key signed `token` for `resource`, if it is one of `id`'s and still
    /// good. Which TPM that proves, the challenge knows: the caller compares it with the enrolled one.
    pub fn solved(
        &self,
        id: &str,
        token: &SasToken,
        resource: &str,
        now: Timestamp,
    ) -> Option<Solved> {
        let issued = self.issued.of(id);
        let keys = issued.get(id)?.iter().flatten();
        let oldest = now - LIFETIME;
        let mut fresh = keys.filter(|issued| issued.at >= oldest);
        let solved = fresh.find(|issued| {
            let verified = token.verify(resource, issued.key.as_bytes(), now.as_second());
            verified.is_ok()
        })?;
        let bytes = |key: &str| STANDARD.decode(key).unwrap_or_default().into_boxed_slice();
        let Issued { key, tpm, .. } = solved;
        Some(Solved {
            key: *key,
            endorsement_key: bytes(&tpm.endorsement_key),
            storage_root_key: bytes(tpm.storage_root_key.as_deref().unwrap_or_default()),
        })
    }
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
