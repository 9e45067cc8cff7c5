//! A byte stream over a WebSocket (RFC 6455): what carries MQTT and AMQP through port 443, on both sides.
//!
//! The bytes are in binary messages, whose borders mean nothing: packets may be cut anywhere (MQTT 3.1.1, 6).
//! A text message breaks the stream, pings are answered by the library below, and messages beyond the
//! [`Limits`] are not read. TLS, dialling and the server's choice of a sub-protocol are the caller's.

mod byte_stream;
mod connect;
mod limits;
mod watched;

pub use byte_stream::ByteStream;
pub use connect::{ConnectError, Handshake};
pub use limits::Limits;
pub use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
