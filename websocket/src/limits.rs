//! How much of a WebSocket is kept in memory.

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// How much of a WebSocket is kept in memory, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest message, and longest frame.
    pub message: usize,
    /// First size of the read buffer.
    pub buffer: usize,
}

impl Limits {
    /// Each write is a message at once; while the peer reads nothing, two of the longest wait.
    pub(crate) fn config(self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(self.buffer)
            .write_buffer_size(0)
            .max_write_buffer_size(2 * self.message)
            .max_message_size(Some(self.message))
            .max_frame_size(Some(self.message))
    }
}
