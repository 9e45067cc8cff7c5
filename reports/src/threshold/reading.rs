//! What one look at some figures comes to.

use super::expression::Threshold;
use super::figures::Figures;
use super::result::{TimeSpan, WithoutGenerator};
use crate::readings::{GeneratorShare, Reading, Readings};
use crate::units;

/// What one reading comes to, and what was measured, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub reading: Reading,
    pub observed: String,
}

impl Read {
    pub(super) fn nothing() -> Self {
        Self {
            reading: Reading::Nothing,
            observed: "no samples".into(),
        }
    }

    pub(super) fn too_little() -> Self {
        Self {
            reading: Reading::TooLittle,
            observed: "not enough samples".into(),
        }
    }
}

pub(super) fn without_generator(reads: &Readings<Read>, share: GeneratorShare) -> WithoutGenerator {
    WithoutGenerator {
        observed: reads.without_generator.observed.clone(),
        share,
    }
}

/// A part of the run, for people.
pub(super) fn stretch(over: TimeSpan) -> String {
    let moment = |us| match us {
        0 => "0 s".into(),
        us => units::duration(us),
    };
    format!("from {} to {}", moment(over.from_us), moment(over.to_us))
}

impl Threshold {
    /// Both readings of some figures.
    pub(super) fn read_both(&self, figures: &Readings<Figures>) -> Readings<Read> {
        if self.subject.is_read_once() {
            return Readings::both(self.read(&figures.measured));
        }
        figures.as_ref().map(|figures| self.read(figures))
    }

    fn read(&self, figures: &Figures) -> Read {
        let Self {
            subject,
            condition,
            terms,
            ..
        } = self;
        let samples = subject.samples(figures);
        if terms.samples.is_some_and(|least| samples < least) {
            return Read::too_little();
        }
        let Some(value) = subject.observe(figures) else {
            return Read::nothing();
        };
        Read {
            reading: if condition.holds(value) {
                Reading::Holds
            } else {
                Reading::Fails
            },
            observed: subject.shown(value, figures, condition.limit),
        }
    }
}
