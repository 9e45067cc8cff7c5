//! Symmetric keys as enrollments hold them: two, so that one can be rolled while the other serves.

use fleetstorm_protocol::enrollment::SymmetricKeyAttestation;
use fleetstorm_protocol::sas::{SasError, SasToken};
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::randomness;

/// Primary and secondary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPair {
    primary: SymmetricKey,
    secondary: SymmetricKey,
}

impl KeyPair {
    /// As the enrollment gives them; what it leaves out stays as it is known, else is made up.
    pub fn over(attestation: &SymmetricKeyAttestation, known: Option<&Self>) -> Self {
        let new = || SymmetricKey::generate::<64>(randomness::fill);
        let given = |key: &Option<SymmetricKey>, known: Option<&SymmetricKey>| {
            key.as_ref().or(known).cloned().unwrap_or_else(new)
        };
        Self {
            primary: given(&attestation.primary_key, known.map(Self::primary)),
            secondary: given(&attestation.secondary_key, known.map(Self::secondary)),
        }
    }

    /// Primary.
    pub fn primary(&self) -> &SymmetricKey {
        &self.primary
    }

    /// Secondary.
    pub fn secondary(&self) -> &SymmetricKey {
        &self.secondary
    }

    /// The keys of one device of this group.
    pub fn derive(&self, registration_id: &str) -> Self {
        Self {
            primary: self.primary.derive(registration_id),
            secondary: self.secondary.derive(registration_id),
        }
    }

    /// Whether either key signed `token` for `resource`.
    ///
    /// # Errors
    /// What is wrong with the token; a wrong signature is the last that is looked at.
    pub fn verify(&self, token: &SasToken, resource: &str, now: Timestamp) -> Result<(), SasError> {
        let verify = |key: &SymmetricKey| token.verify(resource, key.as_bytes(), now.as_second());
        match verify(&self.primary) {
            Err(SasError::BadSignature) => verify(&self.secondary),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_made_up_and_never_twice_the_same() {
        let primary_key = Some(SymmetricKey::from_bytes([7; 16]).expect("a key"));
        let given = SymmetricKeyAttestation {
            primary_key: primary_key.clone(),
            secondary_key: None,
        };
        let (one, other) = (KeyPair::over(&given, None), KeyPair::over(&given, None));
        assert_eq!(Some(one.primary()), primary_key.as_ref());
        assert_ne!(one.secondary(), other.secondary());
        assert_eq!(one.secondary().as_bytes().len(), 64);
        assert_eq!(
            KeyPair::over(&SymmetricKeyAttestation::default(), Some(&one)),
            one
        );
    }
}
