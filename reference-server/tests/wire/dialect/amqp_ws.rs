//! AMQP in the messages of a WebSocket.

use fleetstorm_protocol::attestation::TransportKind;
use rustls::ALL_VERSIONS;

use super::{Dialect, amqp};
use crate::tls::dial;
use crate::websocket::Socket;

/// AMQP over WebSocket over TLS, at the path of the C# SDK.
pub const DIALECT: Dialect = Dialect {
    transport: TransportKind::AmqpWs,
    ask: |server, caller, ask| {
        let certificate = caller.certificate.as_ref();
        let host = &server.global_endpoint;
        let wire = dial(server, server.https, host, certificate, ALL_VERSIONS);
        let mut socket = Socket::open(wire, host, "/", "AMQPWSB10");
        amqp::converse(&mut socket, caller, ask)
    },
};
