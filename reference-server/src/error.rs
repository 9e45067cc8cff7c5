//! Why a server does not start, whichever part of it can't.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::store::error::StoreError;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A port is taken, or the address is not this machine's.
    #[error("failed to listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The configuration can't be used.
    #[error("{key}: {problem}")]
    Config {
        /// The key.
        key: &'static str,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A file can't be read or written.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// An enrollment can't be used; later lines were not read.
    #[error("enrollment {line}: {problem}")]
    Enrollment {
        /// Line of the stream, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// A thread or a signal handler can't be had, or nobody reads the announcement.
    #[error("the server could not start: {0}")]
    Start(#[from] io::Error),
}

impl From<StoreError> for ServeError {
    fn from(StoreError { path, problem }: StoreError) -> Self {
        Self::File { path, problem }
    }
}

/// A file can't be read or written, for this reason.
pub(crate) fn file_error(path: &Path, problem: &io::Error) -> ServeError {
    ServeError::File {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}
