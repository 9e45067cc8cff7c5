//! The machine that a run was made on.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{bytes, counted};

/// What measurements of a run depend on beside the service. What nobody says is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Its host name.
    pub name: Option<String>,
    /// Cores that the simulator could use.
    pub cores: u64,
    /// The processor's model.
    pub cpu: Option<String>,
    /// All of its memory.
    pub memory_bytes: Option<u64>,
    /// The kernel's release.
    pub kernel: Option<String>,
}

impl Machine {
    /// Whether the same work takes as long on another one, as far as that can be seen from outside.
    pub fn is_like(&self, other: &Self) -> bool {
        self.cores == other.cores && self.cpu == other.cpu
    }
}

/// Like `2 cores, AMD EPYC 9R14, 7.8 GiB, Linux 6.1.0`.
impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&counted(self.cores, "core"))?;
        if let Some(cpu) = &self.cpu {
            write!(f, ", {cpu}")?;
        }
        if let Some(memory) = self.memory_bytes {
            write!(f, ", {}", bytes(memory))?;
        }
        match &self.kernel {
            Some(kernel) => write!(f, ", Linux {kernel}"),
            None => Ok(()),
        }
    }
}
