//! Why something is not kept.

use std::path::PathBuf;

/// Why something is not kept, or can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub(crate) struct StoreError {
    /// The folder.
    pub(crate) path: PathBuf,
    /// Why, and what to do.
    pub(crate) problem: String,
}
