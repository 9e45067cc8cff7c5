//! What somebody at the keyboard, or a signal, asks of a run.

/// By a key or a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorCommand {
    /// Release no more, let those under way end, write the report.
    Stop,
    /// Leave now; the report is still written.
    Leave,
}
