//! Which file of a crate may know which: read from the sources, held by tests.
//!
//! A file *knows* another where it names something of it: by `use`, or by a path that starts at `crate`,
//! `self`, `super` or a module that is declared there. Tests know what they like. Files that know each other
//! in a [circle](circles) are one thing in several files: none can be read, tested or moved alone.
//! Rooms lie on [floors], and know nothing above.
//!
//! ```
//! use architecture::circles::circles;
//! use architecture::folder_of;
//! use architecture::imports::Imports;
//! use architecture::sources::Sources;
//!
//! let sources = Sources::read(&folder_of("protocol"), "lib.rs")?;
//! assert!(circles(&Imports::of(&sources)).is_empty());
//! # Ok::<(), architecture::sources::SourceError>(())
//! ```

pub mod circles;
pub mod floors;
pub mod imports;
pub mod sources;

use std::path::{Path, PathBuf};

/// The crates of the workspace, by their folders, from the lowest on.
pub const CRATES: [&str; 7] = [
    "protocol",
    "websocket",
    "reports",
    "scenarios",
    "reference-server",
    "simulator",
    "architecture",
];

/// Where a crate's sources are.
pub fn folder_of(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.join(name).join("src")
}
