//! What is done to the bundled server's process.

use std::time::Duration;

use super::effects::{Effects, FaultChange};
use super::refs::Read;
use crate::keys::{Fields, Reader, Section, Variant, keys};
use crate::parse::kinds::{AnyDuration, Word, named};

/// The bundled server ends, and starts again with what it has kept: enrollments, registrations and twins.
/// Quotas, faults and hubs that events had changed are as at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// How it ends.
    pub end: End,
    /// How long nobody listens, beside what ending and starting take.
    pub off: Duration,
}

/// How a server ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum End {
    /// It is asked to, and says what it has counted.
    #[default]
    Stop,
    /// Without a chance to do anything about it (SIGKILL).
    Kill,
}

impl End {
    /// Both, in the order messages list them.
    pub const ALL: [Self; 2] = [Self::Stop, Self::Kill];

    /// The word scenario files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Kill => "kill",
        }
    }
}

named! {
    End: "way to end", End::ALL.map(|end| (end.name(), end));
}

keys! {
    struct RestartKeys: "A restart of the bundled server." {
        "off" off: default AnyDuration = "0s",
            "How long nobody listens.";
        "how" end: default Word<End> = "stop",
            "How it ends: asked to, or without a chance to do anything about it (SIGKILL).";
    }
}

/// By the word that scenario files use.
pub(crate) const READERS: [Variant<Read<Restart>>; 1] = [Variant {
    word: Restart::NAME,
    about: "The bundled server ends, and starts again with what it has kept: enrollments, registrations and twins. Quotas, faults and hubs are as at the start.",
    keys: &[RestartKeys::KEYS],
    read: |reader, _| Restart::read(reader),
}];

impl Restart {
    /// The word scenario files use.
    pub(super) const NAME: &str = "restart-server";

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let keys = RestartKeys::take(reader);
        Some(Self {
            end: keys.end.read?,
            off: keys.off.read?,
        })
    }

    pub(super) fn in_words(&self) -> String {
        let how = format!("{} ({})", Self::NAME, self.end.name());
        if self.off.is_zero() {
            how
        } else {
            format!("{how}, off for {:?}", self.off)
        }
    }

    pub(super) fn effects(&self) -> Effects<'static> {
        Effects {
            faults: Some(FaultChange::Gone),
            ..Effects::default()
        }
    }
}
