//! A cohort's symmetric keys: each device its own, or all derived from a group's.

use fleetstorm_protocol::enrollment::{AttestationMechanism, SymmetricKeyAttestation};
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use fleetstorm_scenarios::Flaw;

use super::derive::Derivation;

/// What the keys of one cohort derive from.
pub struct SymmetricKeys {
    derivation: Derivation,
    flaw: Option<Flaw>,
}

impl SymmetricKeys {
    /// Of the cohort named `cohort` in the fleet of `seed`.
    pub fn derive(seed: u64, cohort: &str, flaw: Option<Flaw>) -> Self {
        Self {
            derivation: Derivation::new(seed, cohort),
            flaw,
        }
    }

    /// The key that a device of the group signs with.
    pub fn of_group(&self, registration_id: &str) -> SymmetricKey {
        let group = if self.flaw == Some(Flaw::WrongKey) {
            "another group key"
        } else {
            GROUP
        };
        self.key(group, PRIMARY).derive(registration_id)
    }

    /// The key that a device with an enrollment of its own signs with.
    pub fn of_individual(&self, device: u32) -> SymmetricKey {
        let own = if self.flaw == Some(Flaw::WrongKey) {
            "another device key"
        } else {
            DEVICE
        };
        self.key(own, u64::from(device))
    }

    /// What the group's enrollment holds.
    pub fn enrolled_group(&self) -> AttestationMechanism {
        self.enrolled(GROUP, "secondary group key", PRIMARY)
    }

    /// What a device's own enrollment holds.
    pub fn enrolled_individual(&self, device: u32) -> AttestationMechanism {
        self.enrolled(DEVICE, "secondary device key", u64::from(device))
    }

    fn enrolled(&self, primary: &str, secondary: &str, index: u64) -> AttestationMechanism {
        AttestationMechanism::SymmetricKey {
            symmetric_key: SymmetricKeyAttestation {
                primary_key: Some(self.key(primary, index)),
                secondary_key: Some(self.key(secondary, index)),
            },
        }
    }

    fn key(&self, purpose: &str, index: u64) -> SymmetricKey {
        SymmetricKey::from_bytes(self.derivation.bytes(purpose, index)).expect("32 bytes are a key")
    }
}

const GROUP: &str = "group key";
const DEVICE: &str = "device key";
/// There is one group a cohort.
const PRIMARY: u64 = 0;
