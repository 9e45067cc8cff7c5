//! TPM 2.0 as far as DPS attestation needs it (TCG "Trusted Platform Module
//! Library", parts 1 and 2, revision 1.59).
//!
//! [`structures`] marshals the public areas of a TPM's own keys and
//! [`keyed_hash`] that of the key it is given; [`credential`] makes and opens
//! credentials (part 1 §24) and [`duplication`] wraps and imports keys
//! (part 1 §23), both inside the same protected envelope; [`activation`] puts
//! them together into the blob that DPS sends.

pub mod activation;
pub mod credential;
pub mod duplication;
pub mod keyed_hash;
pub mod structures;

mod envelope;
mod kdf;
mod marshal;
mod oaep;

pub use activation::{
    ActivationBlob, ActivationSecrets, IdentityKey, OaepDecrypt, activate, make_activation_blob,
};
pub use structures::{
    Name, PublicArea, endorsement_public, registration_id_of, storage_root_public,
};
