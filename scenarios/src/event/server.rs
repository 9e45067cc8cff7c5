//! What is done to the bundled server's process.

use std::time::Duration;

use super::effects::{Effects, FaultChange};
use super::refs::Read;
use crate::parse::optional::or;
use crate::parse::quantity;
use crate::table::Table;

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

/// By the word that scenario files use.
pub(crate) const READERS: [(&str, Read<Restart>); 1] =
    [(Restart::NAME, |_, table, _| Restart::read(table))];

impl Restart {
    /// The word scenario files use.
    pub(super) const NAME: &str = "restart-server";

    fn read(table: &mut Table<'_>) -> Option<Self> {
        let off = or(table.take("off"), Duration::ZERO, |value| {
            quantity::duration(&value)
        });
        let end = or(table.take("how"), End::default(), |value| {
            value.word("way to end", End::ALL.map(|end| (end.name(), end)))
        });
        Some(Self {
            end: end?,
            off: off?,
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
