//! Who is at the other end.

use std::net::IpAddr;
use std::sync::Arc;

use fleetstorm_protocol::attestation::Protocol;
use rustls::pki_types::CertificateDer;
use tokio_rustls::server::TlsStream;

use crate::fault::kill_switch::{Cuttable, KillSwitch};
use crate::possession;
use crate::service::request::Origin;
use crate::write_timeout::WriteTimeout;

/// What the handshake told of a client.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// The name it asked for (SNI).
    pub(crate) server_name: Option<String>,
    /// Its certificates, leaf first, if it has proven to hold the leaf's key.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// Why those that it showed prove nothing, if so.
    pub(crate) unproven: Option<String>,
    /// Its address.
    pub(crate) peer: Option<IpAddr>,
    /// Cuts its connection.
    pub(crate) line: Arc<KillSwitch>,
}

impl Client {
    /// Reads it off a finished handshake.
    pub(crate) fn of(
        stream: &TlsStream<WriteTimeout<Cuttable>>,
        peer: Option<IpAddr>,
        line: Arc<KillSwitch>,
    ) -> Self {
        let (_, connection) = stream.get_ref();
        let shown = connection.peer_certificates().unwrap_or_default();
        let unproven = shown.first().and_then(possession::unproven);
        let proven = if unproven.is_none() { shown } else { &[] };
        Self {
            server_name: connection.server_name().map(str::to_owned),
            certificates: proven.to_vec(),
            unproven,
            peer,
            line,
        }
    }

    /// Where its requests come from.
    pub(crate) fn origin(&self, protocol: Protocol) -> Origin {
        Origin {
            protocol,
            peer: self.peer,
        }
    }
}
