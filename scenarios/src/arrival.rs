//! How the devices of a cohort come (k6's words): open, each at its time, or closed, the next whenever one
//! has ended. A file each shape: its keys, its checks, its timetable and its peak.
//!
//! The timetable of an open load is a pure function from a device's rank to its intended start.

mod all_at_once;
mod bursts;
mod closed;
mod constant_rate;
mod curve;
mod ramping_rate;
mod scatter;

use std::time::Duration;

use crate::chance::Chance;
use crate::keys::{Fields, Reader, Section, Variant, keys};
use crate::parse::kinds::{AnyDuration, kinds, words};
use crate::table::Value;
use bursts::BurstsKeys;
use closed::ClosedKeys;
use constant_rate::ConstantRateKeys;
use curve::Curve;
use ramping_rate::RampingRateKeys;

pub use all_at_once::AllAtOnce;
pub use bursts::Bursts;
pub use closed::Closed;
pub use constant_rate::ConstantRate;
pub use ramping_rate::{RampingRate, Stage};
pub use scatter::Scatter;

/// How the devices of a cohort come.
#[derive(Debug, Clone, PartialEq)]
pub enum Load {
    /// Each at its time, whatever becomes of those before it.
    Open(Arrival),
    /// So many at a time: nobody can say beforehand when.
    Closed(Closed),
}

/// When devices come that come at their time.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// What the rate does.
    pub shape: Shape,
    /// How devices are spread over it.
    pub spacing: Spacing,
    /// How much later it starts.
    pub delay: Duration,
}

/// What the rate of an arrival does.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// It stays.
    ConstantRate(ConstantRate),
    /// It changes.
    RampingRate(RampingRate),
    /// It is none but at some moments.
    Bursts(Bursts),
    /// It has no end.
    AllAtOnce(AllAtOnce),
}

/// How devices are spread over what the rate does.
#[derive(Debug, Clone, PartialEq)]
pub enum Spacing {
    /// Evenly.
    Even,
    /// Each by its own chance, a Poisson process of the same rate: where each device is; evenly, as long as
    /// nobody has dealt them out.
    Poisson(Option<Scatter>),
}

/// Reads the keys of a kind of load, but for those that every kind has.
pub(crate) type Read = fn(&mut Reader<'_>) -> Option<Load>;

keys! {
    struct SpacingKeys: "How devices are spread." {
        "spacing" spacing: default SpacingWord = "even",
            "Evenly, or each device by its own chance, as people and accidents come: a Poisson process of the same rate.";
    }
}

keys! {
    struct DelayKeys: "When it starts." {
        "delay" delay: default AnyDuration = "0s",
            "Everything comes this much later.";
    }
}

kinds! {
    SpacingWord -> Spacing: spacing, words(["even", "poisson"]);
}

fn spacing(value: &Value<'_>) -> Option<Spacing> {
    let is_even = value.word("spacing", [("even", true), ("poisson", false)])?;
    Some(if is_even {
        Spacing::Even
    } else {
        Spacing::Poisson(None)
    })
}

/// By the word that scenario files use, in the order messages list them.
pub(crate) const READERS: [Variant<Read>; 5] = [
    Variant {
        word: "constant-rate",
        about: "Evenly spaced, so many a second, until all have come.",
        keys: &[ConstantRateKeys::KEYS, SpacingKeys::KEYS, DelayKeys::KEYS],
        read: |reader| {
            let shape = ConstantRate::read(reader).map(Shape::ConstantRate);
            spaced(shape, reader)
        },
    },
    Variant {
        word: "ramping-rate",
        about: "Through stages; the last one's rate goes on until every device has come.",
        keys: &[RampingRateKeys::KEYS, SpacingKeys::KEYS, DelayKeys::KEYS],
        read: |reader| {
            let shape = RampingRate::read(reader).map(Shape::RampingRate);
            spaced(shape, reader)
        },
    },
    Variant {
        word: "bursts",
        about: "So many together, again and again.",
        keys: &[BurstsKeys::KEYS, DelayKeys::KEYS],
        read: |reader| Some(Shape::Bursts(Bursts::read(reader)?).into()),
    },
    Variant {
        word: "all-at-once",
        about: "Every device at the start.",
        keys: &[DelayKeys::KEYS],
        read: |_| Some(Shape::AllAtOnce(AllAtOnce).into()),
    },
    Variant {
        word: "closed",
        about: "So many devices at a time, the next whenever one has ended: a service that slows down slows them down, too.",
        keys: &[ClosedKeys::KEYS, DelayKeys::KEYS],
        read: |reader| Closed::read(reader).map(Load::Closed),
    },
];

/// An arrival whose devices come evenly, or each by its own chance.
fn spaced(shape: Option<Shape>, reader: &mut Reader<'_>) -> Option<Load> {
    let spacing = SpacingKeys::take(reader).spacing.read;
    Some(Load::Open(Arrival {
        spacing: spacing?,
        ..shape?.into()
    }))
}

impl From<Shape> for Arrival {
    /// Evenly, from the start on.
    fn from(shape: Shape) -> Self {
        Self {
            shape,
            spacing: Spacing::Even,
            delay: Duration::ZERO,
        }
    }
}

impl From<Shape> for Load {
    fn from(shape: Shape) -> Self {
        Self::Open(shape.into())
    }
}

impl Shape {
    fn curve(&self) -> &dyn Curve {
        match self {
            Self::ConstantRate(shape) => shape,
            Self::RampingRate(shape) => shape,
            Self::Bursts(shape) => shape,
            Self::AllAtOnce(shape) => shape,
        }
    }

    fn curve_mut(&mut self) -> &mut dyn Curve {
        match self {
            Self::ConstantRate(shape) => shape,
            Self::RampingRate(shape) => shape,
            Self::Bursts(shape) => shape,
            Self::AllAtOnce(shape) => shape,
        }
    }
}

impl Load {
    /// When devices come at their time: when that is.
    pub fn open(&self) -> Option<&Arrival> {
        match self {
            Self::Open(arrival) => Some(arrival),
            Self::Closed(_) => None,
        }
    }

    /// When the next comes whenever one has ended: how many at a time.
    pub fn closed(&self) -> Option<&Closed> {
        match self {
            Self::Open(_) => None,
            Self::Closed(closed) => Some(closed),
        }
    }

    /// The earliest that the device of `rank` (0 is the first) starts, since the run's start.
    pub fn release_at(&self, rank: u64) -> Duration {
        match self {
            Self::Open(arrival) => arrival.release_at(rank),
            Self::Closed(closed) => closed.begins,
        }
    }

    /// Lets it start so much later.
    pub(crate) fn delay(&mut self, by: Duration) {
        let delay = match self {
            Self::Open(arrival) => &mut arrival.delay,
            Self::Closed(closed) => &mut closed.begins,
        };
        *delay = delay.saturating_add(by);
    }

    /// Leaves this share of it, above zero: what remains for a cohort that shares it with others.
    pub(crate) fn scale(&mut self, share: f64) {
        match self {
            Self::Open(arrival) => arrival.scale(share),
            Self::Closed(closed) => closed.scale(share),
        }
    }

    /// Lets so many seconds pass in one.
    pub(crate) fn quicken(&mut self, times: f64) {
        match self {
            Self::Open(arrival) => arrival.quicken(times),
            Self::Closed(closed) => closed.begins = closed.begins.div_f64(times),
        }
    }

    /// Deals out so many devices by this chance, where they come by chance.
    pub(crate) fn deal(&mut self, devices: u64, chance: &Chance) {
        match self {
            Self::Open(arrival) => arrival.deal(devices, chance),
            Self::Closed(_) => {}
        }
    }
}

impl Arrival {
    /// Intended start of the device of `rank` (0 is the first), since the run's start.
    /// Never falls as `rank` grows; [`Duration::MAX`] when it is beyond all time.
    pub fn release_at(&self, rank: u64) -> Duration {
        let place = match &self.spacing {
            Spacing::Poisson(Some(scatter)) => scatter.place(rank),
            Spacing::Poisson(None) | Spacing::Even => rank as f64,
        };
        self.after_delay(self.shape.curve().start(place))
    }

    fn scale(&mut self, share: f64) {
        self.shape.curve_mut().scale(share);
    }

    fn quicken(&mut self, times: f64) {
        self.shape.curve_mut().quicken(times);
        self.delay = self.delay.div_f64(times);
    }

    fn deal(&mut self, devices: u64, chance: &Chance) {
        if let Spacing::Poisson(scatter) = &mut self.spacing {
            *scatter = Some(Scatter::new(devices, chance.clone()));
        }
    }

    /// When one more would come after so many, by the rate alone.
    pub fn until(&self, devices: u64) -> Duration {
        self.after_delay(self.shape.curve().until(devices as f64))
    }

    fn after_delay(&self, seconds: f64) -> Duration {
        let after = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        after.saturating_add(self.delay)
    }

    /// The most that come within a time; none where all come at once.
    pub fn peak(&self, window: Duration) -> Option<f64> {
        let even = self.shape.curve().peak(window.as_secs_f64())?;
        Some(match self.spacing {
            Spacing::Even => even,
            // By chance more may come than on average: four standard deviations, as good as never more.
            Spacing::Poisson(_) => even + 4.0 * even.sqrt(),
        })
    }

    /// How many devices are due by `elapsed`, were there any number of them: the inverse of
    /// [`Arrival::release_at`], exactly, for it is found by asking that.
    pub fn due(&self, elapsed: Duration) -> u64 {
        let (mut due, mut not_due) = (0, u64::MAX);
        while due < not_due {
            let rank = due + (not_due - due) / 2;
            if self.release_at(rank) <= elapsed {
                due = rank + 1;
            } else {
                not_due = rank;
            }
        }
        due
    }

    /// The same before a moment: a device whose start it is is not due before it.
    pub fn due_before(&self, moment: Duration) -> u64 {
        let last_moment = moment.checked_sub(Duration::from_nanos(1));
        last_moment.map_or(0, |last_moment| self.due(last_moment))
    }
}

#[cfg(test)]
mod tests;
