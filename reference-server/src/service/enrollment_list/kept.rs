//! Entries as the store keeps them: in the form of the service API, with their keys and certificates.
//! What was removed leaves its name, so that a list which the server starts with does not bring it
//! back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::enrollment::{
    AttestationMechanism, EnrollmentGroup, IndividualEnrollment, SymmetricKeyAttestation,
    X509Attestation, X509CertificateWithInfo, X509Certificates,
};
use fleetstorm_protocol::registration::TpmAttestation;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::compiled::{Group, GroupMechanism, Individual, IndividualMechanism};
use super::kind::Kind;
use super::stamp::Stamp;
use crate::service::device_keys::KeyPair;
use crate::store::Store;

/// Where a list is kept.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    pub(super) store: Store,
    pub(super) id_scope: String,
}

/// One entry; removed when there is none.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept<Entry> {
    pub(super) revision: u64,
    created: Timestamp,
    updated: Timestamp,
    pub(super) entry: Option<Entry>,
}

impl Keeping {
    /// Keeps an individual enrollment, or that it was removed; under the lock of its shard.
    pub(super) fn individual(&self, key: &str, known: Option<&Individual>, stamp: Stamp) {
        let entry = || known.map(|known| written(key, known));
        self.keep(Kind::Individual, key, entry, stamp);
    }

    /// Keeps a group, or that it was removed; under the lock of the groups.
    pub(super) fn group(&self, id: &str, known: Option<&Group>, stamp: Stamp) {
        let entry = || known.map(written_group);
        self.keep(Kind::Group, &id.to_ascii_lowercase(), entry, stamp);
    }

    fn keep<Entry: Serialize>(
        &self,
        kind: Kind,
        key: &str,
        entry: impl FnOnce() -> Option<Entry>,
        stamp: Stamp,
    ) {
        self.store.write(|writes| {
            let kept = Kept {
                revision: stamp.revision,
                created: stamp.created,
                updated: stamp.updated,
                entry: entry(),
            };
            writes.put(kind.kept(), &self.id_scope, key, &kept);
        });
    }
}

impl<Entry> Kept<Entry> {
    /// When it was written.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            revision: self.revision,
            created: self.created,
            updated: self.updated,
        }
    }
}

/// As an operator would write it who knows all of it.
fn written(key: &str, known: &Individual) -> IndividualEnrollment {
    let attestation = match &known.proof {
        IndividualMechanism::Tpm { endorsement_key } => AttestationMechanism::Tpm {
            tpm: TpmAttestation {
                endorsement_key: STANDARD.encode(endorsement_key),
                storage_root_key: None,
            },
        },
        IndividualMechanism::SymmetricKey(keys) => by_key(keys),
        IndividualMechanism::Certificate { certificates } => AttestationMechanism::X509 {
            x509: X509Attestation {
                client_certificates: both(certificates.iter().map(|one| &*one.der)),
                ..X509Attestation::default()
            },
        },
    };
    IndividualEnrollment {
        registration_id: key.to_owned(),
        device_id: known.device_id.as_ref().map(ToString::to_string),
        attestation,
        settings: known.settings.written.clone(),
    }
}

fn written_group(known: &Group) -> EnrollmentGroup {
    let attestation = match &known.proof {
        GroupMechanism::SymmetricKey(keys) => by_key(keys),
        GroupMechanism::Certificates(signers) => AttestationMechanism::X509 {
            x509: X509Attestation {
                signing_certificates: both(signers.iter().map(|signer| signer.der())),
                ..X509Attestation::default()
            },
        },
        GroupMechanism::CaReferences(names) => AttestationMechanism::X509 {
            x509: X509Attestation {
                ca_references: Some(names.clone()),
                ..X509Attestation::default()
            },
        },
    };
    EnrollmentGroup {
        enrollment_group_id: known.id.clone(),
        attestation,
        settings: known.settings.written.clone(),
    }
}

fn by_key(keys: &KeyPair) -> AttestationMechanism {
    AttestationMechanism::SymmetricKey {
        symmetric_key: SymmetricKeyAttestation {
            primary_key: Some(keys.primary().clone()),
            secondary_key: Some(keys.secondary().clone()),
        },
    }
}

/// Primary and secondary.
fn both<'a>(ders: impl Iterator<Item = &'a [u8]>) -> Option<X509Certificates> {
    let mut texts = ders.map(|der| X509CertificateWithInfo {
        certificate: STANDARD.encode(der),
    });
    Some(X509Certificates {
        primary: texts.next(),
        secondary: texts.next(),
    })
}
