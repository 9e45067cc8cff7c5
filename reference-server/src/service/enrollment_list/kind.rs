//! What kinds of enrollments there are.

use crate::store::kind::Kind as Kept;

/// The two kinds of enrollments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One device.
    Individual,
    /// Many devices.
    Group,
}

impl Kind {
    /// As the store has it.
    pub(super) fn kept(self) -> Kept {
        match self {
            Self::Individual => Kept::Individual,
            Self::Group => Kept::Group,
        }
    }
}
