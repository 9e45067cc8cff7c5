//! What devices prove themselves by, as far as that can be replaced.

use fleetstorm_protocol::attestation::AttestationKind;

use super::refs::{Refs, enrolled};
use crate::table::Value;

/// What can be rolled: replaced while devices that have the one before still get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Symmetric keys (DPS documentation, "How to roll device certificates", the note on keys).
    Key,
    /// Certificates: of groups the CA, of individual enrollments the device's own (same page).
    Certificate,
}

/// The cohort whose proof is meant, which must be of that kind.
pub(super) fn proven(value: &Value<'_>, refs: &Refs<'_>, proof: Proof) -> Option<u16> {
    let (index, cohort) = refs.cohort(value)?;
    enrolled(value, cohort)?;
    let actual = match cohort.attestation {
        AttestationKind::X509Group | AttestationKind::X509Individual => Some(Proof::Certificate),
        AttestationKind::SymmetricKeyGroup | AttestationKind::SymmetricKeyIndividual => {
            Some(Proof::Key)
        }
        // An endorsement key is burnt in.
        AttestationKind::Tpm => None,
    };
    if actual != Some(proof) {
        let (what, rolled) = match proof {
            Proof::Key => (
                "symmetric key",
                "keys are rolled for attestation symmetric-key-*",
            ),
            Proof::Certificate => (
                "certificate",
                "attestation x509-group and x509-individual have certificates",
            ),
        };
        return value.wrong(
            format!(
                "has no {what}: its devices prove themselves by {}",
                cohort.attestation
            ),
            rolled.to_string(),
        );
    }
    Some(index)
}
