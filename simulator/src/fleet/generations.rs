//! Which of a cohort's keys or certificates are in force while they are rolled: a new one beside the
//! one before, then the new one alone.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is in force, and changes while devices are made.
#[derive(Debug, Default)]
pub struct Generations(AtomicU64);

/// What enrollments hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InForce {
    /// What devices are made with; the first is 0.
    pub newest: u64,
    /// The one before, where it holds still.
    pub before: Option<u64>,
}

/// A step of a roll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roll {
    /// A new one comes beside the newest.
    Begin,
    /// The one before goes.
    Finish,
}

impl Generations {
    /// What devices are made with.
    pub fn newest(&self) -> u64 {
        self.in_force().newest
    }

    /// What enrollments hold now.
    pub fn in_force(&self) -> InForce {
        let word = self.0.load(Ordering::Relaxed);
        let newest = word >> 1;
        InForce {
            newest,
            before: newest.checked_sub(1).filter(|_| word & 1 == 1),
        }
    }

    /// What they will hold after a step.
    pub fn after(&self, roll: Roll) -> InForce {
        let InForce { newest, .. } = self.in_force();
        match roll {
            Roll::Begin => InForce {
                newest: newest + 1,
                before: Some(newest),
            },
            Roll::Finish => InForce {
                newest,
                before: None,
            },
        }
    }

    /// The step is done. One event after another does this, never two at once.
    pub fn step(&self, roll: Roll) {
        let InForce { newest, before } = self.after(roll);
        let word = newest << 1 | u64::from(before.is_some());
        self.0.store(word, Ordering::Relaxed);
    }
}

/// A purpose of derivation, of that generation: the first has the plain name.
pub fn purpose(name: &str, generation: u64) -> Cow<'_, str> {
    match generation {
        0 => Cow::Borrowed(name),
        later => Cow::Owned(format!("{name}, generation {later}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roll_begins_with_two_and_ends_with_the_new_one() {
        let generations = Generations::default();
        let holds = |newest, before| InForce { newest, before };
        assert_eq!(generations.in_force(), holds(0, None));
        for (roll, expected) in [
            (Roll::Finish, holds(0, None)),
            (Roll::Begin, holds(1, Some(0))),
            (Roll::Begin, holds(2, Some(1))),
            (Roll::Finish, holds(2, None)),
        ] {
            assert_eq!(generations.after(roll), expected, "before the step");
            generations.step(roll);
            assert_eq!(generations.in_force(), expected);
        }
    }
}
