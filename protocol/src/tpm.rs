//! TPM 2.0 as far as DPS attestation needs it (TCG "Trusted Platform Module
//! Library", parts 1 and 2, revision 1.59).
//!
//! [`structures`] marshals what travels; [`credential`] makes and opens
//! credentials (part 1 §24) and [`duplication`] wraps and imports keys
//! (part 1 §23); [`activation`] puts both together into the blob that DPS sends.

pub mod activation;
pub mod credential;
pub mod duplication;
pub mod structures;

mod kdf;
mod marshal;

pub use activation::{ActivationSecrets, IdentityKey, activate, make_activation_blob};
pub use structures::{
    Name, PublicArea, endorsement_public, registration_id_of, storage_root_public,
};
