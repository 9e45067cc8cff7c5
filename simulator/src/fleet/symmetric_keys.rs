//! A cohort's symmetric keys: each device its own, or all derived from a group's.

use fleetstorm_protocol::enrollment::{AttestationMechanism, SymmetricKeyAttestation};
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use fleetstorm_scenarios::Flaw;

use super::derive::Derivation;
use super::generations::{self, Generations, InForce};

/// What the keys of one cohort derive from.
pub struct SymmetricKeys {
    derivation: Derivation,
    flaw: Option<Flaw>,
    /// Which of them are in force.
    pub generations: Generations,
}

impl SymmetricKeys {
    /// Of the cohort named `cohort` in the fleet of `seed`.
    pub fn derive(seed: u64, cohort: &str, flaw: Option<Flaw>) -> Self {
        Self {
            derivation: Derivation::new(seed, cohort),
            flaw,
            generations: Generations::default(),
        }
    }

    /// The key that a device of the group signs with.
    pub fn of_group(&self, registration_id: &str) -> SymmetricKey {
        let group = if self.flaw == Some(Flaw::WrongKey) {
            "another group key"
        } else {
            GROUP
        };
        let key = self.key(group, self.generations.newest());
        key.derive(registration_id)
    }

    /// The key that a device with an enrollment of its own signs with.
    pub fn of_individual(&self, device: u32) -> SymmetricKey {
        let own = if self.flaw == Some(Flaw::WrongKey) {
            "another device key"
        } else {
            DEVICE
        };
        self.own_key(own, device, self.generations.newest())
    }

    /// What the group's enrollment holds.
    pub fn enrolled_group(&self, in_force: InForce) -> AttestationMechanism {
        let InForce { newest, before } = in_force;
        // Where no key before holds, the second is one that no device has.
        let second = before.map(|before| self.key(GROUP, before));
        enrolled(
            self.key(GROUP, newest),
            second.unwrap_or_else(|| self.key("secondary group key", newest)),
        )
    }

    /// What a device's own enrollment holds.
    pub fn enrolled_individual(&self, device: u32, in_force: InForce) -> AttestationMechanism {
        let InForce { newest, before } = in_force;
        let second = before.map(|before| self.own_key(DEVICE, device, before));
        enrolled(
            self.own_key(DEVICE, device, newest),
            second.unwrap_or_else(|| self.own_key("secondary device key", device, newest)),
        )
    }

    fn own_key(&self, purpose: &str, device: u32, generation: u64) -> SymmetricKey {
        self.key(&generations::purpose(purpose, generation), device.into())
    }

    fn key(&self, purpose: &str, index: u64) -> SymmetricKey {
        SymmetricKey::from_bytes(self.derivation.bytes(purpose, index)).expect("32 bytes are a key")
    }
}

fn enrolled(primary: SymmetricKey, secondary: SymmetricKey) -> AttestationMechanism {
    AttestationMechanism::SymmetricKey {
        symmetric_key: SymmetricKeyAttestation {
            primary_key: Some(primary),
            secondary_key: Some(secondary),
        },
    }
}

const GROUP: &str = "group key";
const DEVICE: &str = "device key";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::generations::Roll;

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
        let of_group = |in_force| both(keys.enrolled_group(in_force));
        let of_individual = |in_force| both(keys.enrolled_individual(7, in_force));
        let old = (
            of_group(keys.generations.in_force())[0].clone(),
            of_individual(keys.generations.in_force())[0].clone(),
        );
        let of_device = (keys.of_group("meter-1"), keys.of_individual(7));
        assert_eq!(old.1.as_ref(), Some(&of_device.1));
        let begun = keys.generations.after(Roll::Begin);
        assert_eq!(of_group(begun)[1], old.0);
        assert_eq!(of_individual(begun)[1], old.1);
        assert_ne!(of_group(begun)[0], old.0);
        let now = |keys: &SymmetricKeys| (keys.of_group("meter-1"), keys.of_individual(7));
        assert_eq!(now(&keys), of_device, "not yet");
        keys.generations.step(Roll::Begin);
        assert_ne!(now(&keys).0, of_device.0);
        assert_ne!(now(&keys).1, of_device.1);
        let finished = keys.generations.after(Roll::Finish);
        assert_eq!(of_group(finished)[0], of_group(begun)[0]);
        assert_eq!(of_individual(finished)[0], Some(keys.of_individual(7)));
        assert!(!of_group(finished).contains(&old.0));
        assert!(!of_individual(finished).contains(&old.1));
    }
}
