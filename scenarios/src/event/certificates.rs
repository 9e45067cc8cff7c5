//! What time does to certificates: nobody has to make it happen.

use super::effects::{Effects, IntentChange};
use super::proof::{Proof, proven};
use super::refs::{Read, Refs, percent};
use super::selector::Selector;
use crate::parse::optional::or;
use crate::parse::quantity;
use crate::table::Table;

/// The certificates that devices of a batch began with expire: whoever shows one from then on is refused.
/// They carry that moment from the beginning, so it is a time, not a condition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expiry {
    /// Index of their cohort.
    pub cohort: u16,
    /// How many of it, 0 to 1; the seed chooses which.
    pub share: f64,
}

/// By the word that scenario files use.
pub(crate) const READERS: [(&str, Read<Expiry>); 1] =
    [(Expiry::NAME, |_, table, refs| Expiry::read(table, refs))];

impl Expiry {
    /// The word scenario files use.
    pub(super) const NAME: &str = "expire-batch";

    fn read(table: &mut Table<'_>, refs: &Refs<'_>) -> Option<Self> {
        let share = or(table.take("share"), 1.0, |value| quantity::share(&value));
        let cohort = proven(table, refs, Proof::Certificate);
        Some(Self {
            cohort: cohort?,
            share: share?,
        })
    }

    /// Whose.
    pub fn selector(&self) -> Selector {
        Selector {
            cohort: Some(self.cohort),
            share: self.share,
        }
    }

    pub(super) fn in_words(&self, refs: &Refs<'_>) -> String {
        let (share, cohort) = (percent(self.share), refs.cohort_name(self.cohort));
        format!("{}, {share} of {cohort}", Self::NAME)
    }

    pub(super) fn effects(&self) -> Effects<'static> {
        Effects {
            intended: Some(IntentChange::Expiry(self.selector())),
            ..Effects::default()
        }
    }
}
