//! MQTT in the messages of a WebSocket.

use fleetstorm_protocol::attestation::TransportKind;
use rustls::ALL_VERSIONS;

use super::{Dialect, mqtt};
use crate::tls::dial;
use crate::websocket::Socket;

/// MQTT over WebSocket over TLS, as the Node SDK asks for it.
pub const DIALECT: Dialect = Dialect {
    transport: TransportKind::MqttWs,
    ask: |server, caller, ask| {
        let certificate = caller.certificate.as_ref();
        let host = &server.global_endpoint;
        let wire = dial(server, server.https, host, certificate, ALL_VERSIONS);
        let mut socket = Socket::open(wire, host, "/$iothub/websocket", "mqtt");
        mqtt::converse(&mut socket, caller, ask)
    },
};
