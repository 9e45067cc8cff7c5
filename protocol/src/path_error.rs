//! Why a path is no request.

use crate::error::DecodeError;

/// Why a path is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No such path: 404.
    #[error("no such path")]
    NotFound,
    /// The path exists, not with this method: 405.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// Bad id or missing api-version: 400.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}
