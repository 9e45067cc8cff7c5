//! What a peer broke of the protocol: a code in the record, and words for people.

/// Which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Breach {
    /// Bytes that are no message of the protocol.
    Unreadable,
    /// A message where another was due.
    Unexpected,
    /// More than a device takes.
    TooLong,
    /// A WebSocket that was not opened as asked for.
    Upgrade,
    /// A login that does not go as SASL has it.
    Login,
    /// An answer that is not the documented JSON.
    Answer,
    /// An answer to a poll that has no status.
    NoStatus,
    /// A status that there is not.
    Status,
    /// An operation that nobody can poll.
    OperationId,
    /// An assignment without a hub, or a device's name there.
    NoHub,
    /// An assignment of a TPM without its hub key.
    NoHubKey,
    /// A request that can't be written; nobody else's fault.
    Request,
}

impl Breach {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::Unreadable,
        Self::Unexpected,
        Self::TooLong,
        Self::Upgrade,
        Self::Login,
        Self::Answer,
        Self::NoStatus,
        Self::Status,
        Self::OperationId,
        Self::NoHub,
        Self::NoHubKey,
        Self::Request,
    ];

    /// In JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "protocol-unreadable",
            Self::Unexpected => "protocol-unexpected",
            Self::TooLong => "protocol-too-long",
            Self::Upgrade => "protocol-upgrade",
            Self::Login => "protocol-login",
            Self::Answer => "protocol-answer",
            Self::NoStatus => "protocol-no-status",
            Self::Status => "protocol-status",
            Self::OperationId => "protocol-operation-id",
            Self::NoHub => "protocol-no-hub",
            Self::NoHubKey => "protocol-no-hub-key",
            Self::Request => "protocol-request",
        }
    }

    /// For people: what came instead of what was due.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "bytes that are no message",
            Self::Unexpected => "another message than was due",
            Self::TooLong => "more than a device takes",
            Self::Upgrade => "the WebSocket was not opened as asked for",
            Self::Login => "the login does not go as SASL has it",
            Self::Answer => "the answer is not the documented JSON",
            Self::NoStatus => "the answer has no status",
            Self::Status => "the answer has an unknown status",
            Self::OperationId => "the operation has no usable id",
            Self::NoHub => "assigned without a hub or a device id",
            Self::NoHubKey => "assigned without the hub key of the TPM",
            Self::Request => "a request that can't be written",
        }
    }
}
