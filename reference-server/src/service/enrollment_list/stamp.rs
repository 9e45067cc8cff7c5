//! When entries were written.

use jiff::Timestamp;

/// When an entry was written, and which writing that was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Grows with each writing of any entry; the entity tag.
    pub revision: u64,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

impl Stamp {
    /// The entity tag of an entry, in quotes, as it also stands in its JSON.
    pub(super) fn tag(self) -> String {
        format!("\"{:016x}\"", self.revision)
    }
}
