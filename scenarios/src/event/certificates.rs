//! What time does to certificates: nobody has to make it happen.

use super::effects::{Effects, IntentChange};
use super::proof::{Proof, proven};
use super::refs::{Read, Refs, percent};
use super::selector::Selector;
use crate::keys::{Fields, Reader, Section, Variant, keys};
use crate::parse::kinds::{Share, Text};

/// The certificates that devices of a batch began with expire: whoever shows one from then on is refused.
/// They carry that moment from the beginning, so it is a time, not a condition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expiry {
    /// Index of their cohort.
    pub cohort: u16,
    /// How many of it, 0 to 1; the seed chooses which.
    pub share: f64,
}

keys! {
    struct ExpiryKeys: "Certificates that expire." {
        "share" share: default Share = 1,
            "How many of the cohort's devices; the seed chooses which.";
        "cohort" cohort: required Text,
            "Whose certificates; attestation x509-*.";
    }
}

/// By the word that scenario files use.
pub(crate) const READERS: [Variant<Read<Expiry>>; 1] = [Variant {
    word: Expiry::NAME,
    about: "The certificates that devices of a batch began with expire at that moment; rolled ones hold.",
    keys: &[ExpiryKeys::KEYS],
    read: Expiry::read,
}];

impl Expiry {
    /// The word scenario files use.
    pub(super) const NAME: &str = "expire-batch";

    fn read(reader: &mut Reader<'_>, refs: &Refs<'_>) -> Option<Self> {
        let keys = ExpiryKeys::take(reader);
        Some(Self {
            cohort: proven(&keys.cohort.written()?, refs, Proof::Certificate)?,
            share: keys.share.read?,
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
