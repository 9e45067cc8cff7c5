//! A TPM with keys of its own, as far as DPS asks for one.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::DecodeError;
use fleetstorm_protocol::tpm::structures::Modulus;
use fleetstorm_protocol::tpm::{
    IdentityKey, PublicArea, activate, endorsement_public, storage_root_public,
};
use serde_json::{Value, json};

/// Endorsement key and storage root key.
pub struct SoftwareTpm {
    endorsement_key: OaepPrivateDecryptingKey,
    storage_root_key: OaepPrivateDecryptingKey,
    endorsement_public: PublicArea,
    storage_root_public: PublicArea,
}

impl SoftwareTpm {
    /// With new keys.
    pub fn new() -> Self {
        let (endorsement_key, endorsement) = key_pair();
        let (storage_root_key, storage_root) = key_pair();
        Self {
            endorsement_key,
            storage_root_key,
            endorsement_public: endorsement_public(&endorsement),
            storage_root_public: storage_root_public(&storage_root),
        }
    }

    /// `endorsementKey` of its enrollment.
    pub fn endorsement_key(&self) -> String {
        STANDARD.encode(self.endorsement_public.as_tpm2b())
    }

    /// `tpm` of a register body.
    pub fn presented(&self) -> Value {
        json!({
            "endorsementKey": self.endorsement_key(),
            "storageRootKey": STANDARD.encode(self.storage_root_public.as_tpm2b()),
        })
    }

    /// The key inside a base64 activation blob.
    pub fn activate(&self, blob: &str) -> Result<IdentityKey, DecodeError> {
        activate(
            &STANDARD.decode(blob).expect("base64"),
            &self.endorsement_key,
            &self.storage_root_key,
            &self.storage_root_public,
        )
    }
}

fn key_pair() -> (OaepPrivateDecryptingKey, Modulus) {
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("a key");
    let der: PublicKeyX509Der = private.public_key().as_der().expect("DER");
    // SubjectPublicKeyInfo of RSA-2048 ends in the modulus and the five bytes of 65537.
    let der = der.as_ref();
    let modulus = der[der.len() - 261..der.len() - 5]
        .try_into()
        .expect("256 bytes");
    (
        OaepPrivateDecryptingKey::new(private).expect("a key for OAEP"),
        modulus,
    )
}
