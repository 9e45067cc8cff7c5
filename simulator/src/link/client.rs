//! What devices say they are, and how much they take.

/// Longest answer that a device takes, bytes.
pub(super) const MAX_ANSWER: usize = 256 * 1024;
/// What devices say they are.
pub(super) const CLIENT_VERSION: &str = concat!("fleetstorm/", env!("CARGO_PKG_VERSION"));
