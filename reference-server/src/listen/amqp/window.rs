//! What of a session may be sent (part 2, 2.5.6).

/// What may be sent.
pub(super) struct Window {
    /// The same number both ways.
    pub(super) channel: u16,
    /// Longest frame that the peer takes.
    pub(super) peer_frame: usize,
    pub(super) next_outgoing_id: u32,
    pub(super) remote_incoming_window: u32,
    pub(super) next_delivery: u32,
}

impl Window {
    /// Whether the peer takes another transfer.
    pub(super) fn is_open(&self) -> bool {
        self.remote_incoming_window > 0
    }

    /// A transfer was sent.
    pub(super) fn spend(&mut self) {
        self.next_outgoing_id = self.next_outgoing_id.wrapping_add(1);
        self.remote_incoming_window -= 1;
    }

    /// A delivery id that was not used.
    pub(super) fn next_delivery(&mut self) -> u32 {
        let id = self.next_delivery;
        self.next_delivery = id.wrapping_add(1);
        id
    }
}
