//! A cohort's symmetric keys: each device its own, or all derived from a group's.

use std::sync::atomic::{AtomicU64, Ordering};

use fleetstorm_protocol::enrollment::{AttestationMechanism, SymmetricKeyAttestation};
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use fleetstorm_scenarios::Flaw;

use super::derive::Derivation;

/// What the keys of one cohort derive from.
pub struct SymmetricKeys {
    derivation: Derivation,
    flaw: Option<Flaw>,
    /// Which of the group's keys devices are made with: raised when it is rolled.
    generation: AtomicU64,
}

/// The keys that a group's enrollment holds while they are rolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roll {
    /// The next one and the one that devices have.
    Begin,
    /// The one that devices are made with, and none that any device ever had.
    Finish,
}

impl SymmetricKeys {
    /// Of the cohort named `cohort` in the fleet of `seed`.
    pub fn derive(seed: u64, cohort: &str, flaw: Option<Flaw>) -> Self {
        Self {
            derivation: Derivation::new(seed, cohort),
            flaw,
            generation: AtomicU64::new(FIRST),
        }
    }

    /// The key that a device of the group signs with.
    pub fn of_group(&self, registration_id: &str) -> SymmetricKey {
        let group = if self.flaw == Some(Flaw::WrongKey) {
            "another group key"
        } else {
            GROUP
        };
        let generation = self.generation.load(Ordering::Relaxed);
        self.key(group, generation).derive(registration_id)
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
        self.enrolled(GROUP, SECONDARY, self.generation.load(Ordering::Relaxed))
    }

    /// What the group's enrollment holds while its keys are rolled.
    pub fn rolled_group(&self, roll: Roll) -> AttestationMechanism {
        let generation = self.generation.load(Ordering::Relaxed);
        let (primary, secondary) = match roll {
            Roll::Begin => (self.key(GROUP, generation + 1), self.key(GROUP, generation)),
            Roll::Finish => (self.key(GROUP, generation), self.key(SECONDARY, generation)),
        };
        AttestationMechanism::SymmetricKey {
            symmetric_key: SymmetricKeyAttestation {
                primary_key: Some(primary),
                secondary_key: Some(secondary),
            },
        }
    }

    /// From now on devices are made with the next key.
    pub fn use_next(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
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
const SECONDARY: &str = "secondary group key";
/// There is one group a cohort, and this is its first key.
const FIRST: u64 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    fn both(attestation: AttestationMechanism) -> [Option<SymmetricKey>; 2] {
        match attestation {
            AttestationMechanism::SymmetricKey { symmetric_key } => {
                [symmetric_key.primary_key, symmetric_key.secondary_key]
            }
            _ => panic!("keys"),
        }
    }

    #[test]
    fn while_a_key_is_rolled_the_old_one_holds_and_then_no_more() {
        let keys = SymmetricKeys::derive(1, "meters", None);
        let [old, _] = both(keys.enrolled_group());
        let of_device = keys.of_group("meter-1");
        let [new, kept] = both(keys.rolled_group(Roll::Begin));
        assert_eq!(kept, old);
        assert_ne!(new, old);
        assert_eq!(keys.of_group("meter-1"), of_device, "not yet");
        keys.use_next();
        assert_ne!(keys.of_group("meter-1"), of_device);
        let finished = both(keys.rolled_group(Roll::Finish));
        assert_eq!(finished[0], new);
        assert!(!finished.contains(&old));
    }
}
