//! How sure what is kept is.

use serde::{Deserialize, Serialize};

/// What an answer waits for, where there is a data folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// That the operating system has what it tells of: the process may die.
    #[default]
    Process,
    /// That the disk has it: the machine may lose its power.
    Disk,
}
