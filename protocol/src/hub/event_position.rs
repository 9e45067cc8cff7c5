//! From where on telemetry is read.

/// Where to read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventPosition {
    /// All that is kept.
    Earliest,
    /// What comes from now on.
    Latest,
    /// A message on.
    From(u64),
    /// What came from then on, in milliseconds of Unix time.
    Since(i64),
}
