//! A client asks for a WebSocket.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::tungstenite::http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
    USER_AGENT,
};

use crate::byte_stream::{ByteStream, failure};
use crate::limits::Limits;
use crate::watched::Watched;

/// What a client asks for (RFC 6455, 4.1).
#[derive(Debug, Clone, Copy)]
pub struct Handshake<'handshake> {
    /// The server, as it is named in `Host`.
    pub host: &'handshake str,
    /// Where it has a WebSocket.
    pub path: &'handshake str,
    /// What the bytes are, in `Sec-WebSocket-Protocol`; the server has to agree.
    pub sub_protocol: &'handshake str,
    /// What the client says it is.
    pub user_agent: &'handshake str,
}

/// Why there is no WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Host, path or one of the headers cannot be written in HTTP.
    #[error("the request cannot be written")]
    Request,
    /// The server answers with another status than 101.
    #[error("the server refuses with status {status}")]
    Refused {
        /// HTTP status.
        status: u16,
    },
    /// The connection broke. `InvalidData` is an answer that is none by RFC 6455.
    #[error(transparent)]
    Broken(io::Error),
}

impl<Stream: AsyncRead + AsyncWrite + Unpin> ByteStream<Stream> {
    /// Asks the server at the other end of `stream` for a WebSocket.
    ///
    /// # Errors
    /// The connection broke, or the server refused it.
    pub async fn connect(
        stream: Stream,
        handshake: Handshake<'_>,
        limits: Limits,
    ) -> Result<Self, ConnectError> {
        let Handshake { host, path, .. } = handshake;
        let request = Request::builder()
            .uri(format!("wss://{host}{path}"))
            .header(HOST, host)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, generate_key())
            .header(SEC_WEBSOCKET_PROTOCOL, handshake.sub_protocol)
            .header(USER_AGENT, handshake.user_agent)
            .body(())
            .map_err(|_| ConnectError::Request)?;
        let config = Some(limits.config());
        // Boxed: it is large, and short.
        let opening = Box::pin(client_async_with_config(
            request,
            Watched::new(stream),
            config,
        ));
        match opening.await {
            Ok((socket, _)) => Ok(Self::of_client(socket)),
            Err(Error::Http(answer)) => Err(ConnectError::Refused {
                status: answer.status().as_u16(),
            }),
            Err(error) => Err(ConnectError::Broken(failure(error))),
        }
    }
}
