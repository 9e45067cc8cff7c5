//! Why a link did not do what it was asked.

use fleetstorm_reports::Fault;

/// Why a link did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkError {
    /// It broke.
    Broken(Fault),
    /// The peer refused the connection; in terms of HTTP.
    Refused {
        /// HTTP status.
        status: u16,
    },
}

impl From<Fault> for LinkError {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}
