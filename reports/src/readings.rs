//! The verdict's error bar: two readings of every threshold and every objective, and the one rule that makes
//! something of them.
//!
//! The first reading is what was measured. The second is the same **without the generator's own share**:
//! every latency less what the generator itself added to it, and without the devices that it kept from
//! their end itself, because it did not start them, had no file or port for them, or took so much of
//! their patience that they may have run out of time because of it
//! ([`Record::without_generator`](crate::Record::without_generator)). Where a scenario says that it tests how many
//! are not started, by a `max-dropped` above the default, those count in both.
//!
//! | as measured | without the share | it comes to | the run |
//! |---|---|---|---|
//! | holds | holds | held | |
//! | fails | fails | crossed, missed | FAIL |
//! | holds | fails, or says nothing | depends on the generator | INVALID |
//! | fails | holds, or says nothing | depends on the generator | INVALID |
//! | too little evidence | whatever | too little evidence | INVALID |
//!
//! So a failure is the service's only if it is one without the share, and nothing passes that does not pass in
//! both. Windows, cuts and parts of the run are read twice in the same way, each by itself; a threshold
//! that stops the run has failed it only if it was crossed in both readings then. What is about the
//! generator itself (`dropped`, `queue`, `generator`), or is not counted device by device (`connections`,
//! `messages`, …), has the first reading alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units;

/// Something in both readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Readings<T> {
    /// As measured.
    pub measured: T,
    /// Without the generator's own share.
    pub without_generator: T,
}

/// What one reading comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It is as it must be.
    Holds,
    /// It is not.
    Fails,
    /// There is too little to say.
    TooLittle,
    /// There is nothing to say it of.
    Nothing,
}

/// What both readings come to together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It is as it must be.
    Holds,
    /// It is not.
    Fails,
    /// There is too little to say.
    TooLittle,
    /// The generator's own share decides.
    DependsOnGenerator,
}

impl<T> Readings<T> {
    /// The same in both.
    pub(crate) fn both(one: T) -> Self
    where
        T: Clone,
    {
        Self {
            measured: one.clone(),
            without_generator: one,
        }
    }

    /// Something made of each.
    pub(crate) fn map<U>(self, mut of: impl FnMut(T) -> U) -> Readings<U> {
        Readings {
            measured: of(self.measured),
            without_generator: of(self.without_generator),
        }
    }

    /// Both by reference.
    pub(crate) fn as_ref(&self) -> Readings<&T> {
        Readings {
            measured: &self.measured,
            without_generator: &self.without_generator,
        }
    }
}

impl Readings<Reading> {
    /// The rule.
    pub(crate) fn settle(self) -> Judgement {
        match (self.measured, self.without_generator) {
            (Reading::TooLittle, _) => Judgement::TooLittle,
            (Reading::Holds, Reading::Holds) => Judgement::Holds,
            // What is about nothing holds nothing, as long as it is not the generator that left nothing.
            (Reading::Fails, Reading::Fails) | (Reading::Nothing, Reading::Nothing) => {
                Judgement::Fails
            }
            _ => Judgement::DependsOnGenerator,
        }
    }
}

/// What the generator had to do with some devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorShare {
    /// Devices that it kept from their end itself: it did not start them, had no file or port for them, or took a
    /// tenth of their patience or more.
    pub left_out: u64,
    /// What it added to a device of all others, in the mean, microseconds.
    pub added_mean_us: u64,
}

impl GeneratorShare {
    /// For people.
    pub fn in_words(&self) -> String {
        let added = units::duration(self.added_mean_us);
        match self.left_out {
            0 => format!("it added {added} to a device in the mean"),
            left_out => format!(
                "it kept {} from their end, and added {added} to another in the mean",
                units::counted(left_out, "device")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Reading::{Fails, Holds, Nothing, TooLittle};

    #[test]
    fn a_verdict_is_said_where_both_readings_say_it() {
        for (measured, without_generator, judgement) in [
            (Holds, Holds, Judgement::Holds),
            (Fails, Fails, Judgement::Fails),
            (Nothing, Nothing, Judgement::Fails),
            (Holds, Fails, Judgement::DependsOnGenerator),
            (Fails, Holds, Judgement::DependsOnGenerator),
            (Holds, TooLittle, Judgement::DependsOnGenerator),
            (Fails, TooLittle, Judgement::DependsOnGenerator),
            (Holds, Nothing, Judgement::DependsOnGenerator),
            (Fails, Nothing, Judgement::DependsOnGenerator),
            (Nothing, Holds, Judgement::DependsOnGenerator),
            (Nothing, Fails, Judgement::DependsOnGenerator),
            (Nothing, TooLittle, Judgement::DependsOnGenerator),
            (TooLittle, Holds, Judgement::TooLittle),
            (TooLittle, Fails, Judgement::TooLittle),
            (TooLittle, TooLittle, Judgement::TooLittle),
            (TooLittle, Nothing, Judgement::TooLittle),
        ] {
            let readings = Readings {
                measured,
                without_generator,
            };
            assert_eq!(readings.settle(), judgement, "{readings:?}");
        }
    }
}
