//! Bytes to questions and answers to bytes, one file a protocol. No DPS logic here.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fleetstorm_protocol::attestation::Protocol;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

use crate::api_versions::ApiVersions;
use crate::counters::Tally;
use crate::diagnostics::DiagnosticLog;
use crate::fault::Faults;
use crate::fault::line::{Cuttable, Line};
use crate::fault::outage::Outages;
use crate::hub::registry::HubRegistry;
use crate::limits::Limits;
use crate::patience::Patient;
use crate::possession;
use crate::service::Service;
use crate::service::instances::Instances;
use crate::service::question::Origin;
use crate::store::Store;

pub(crate) mod amqp;
pub(crate) mod control;
pub(crate) mod http;
pub(crate) mod mqtt;

mod ask;
mod body;
mod claim;
mod dps_amqp;
mod dps_mqtt;
mod dps_service;
mod expiry;
mod hub_amqp;
mod hub_http;
mod hub_mqtt;
mod packet;
mod websocket;

/// What every connection can reach.
pub(crate) struct Host {
    /// Name of the global endpoint.
    pub(crate) global_endpoint: String,
    /// The DPS instances.
    pub(crate) instances: Instances,
    /// Its hubs.
    pub(crate) hubs: Arc<HubRegistry>,
    /// Which versions of their API are served.
    pub(crate) hub_versions: ApiVersions,
    /// What is counted.
    pub(crate) tally: Arc<Tally>,
    /// How long clients are waited for.
    pub(crate) limits: Limits,
    /// Where operations are logged, if anywhere.
    pub(crate) diagnostics: Option<DiagnosticLog>,
    /// What goes wrong on purpose.
    pub(crate) faults: Faults,
    /// Which hubs are down.
    pub(crate) outages: Outages,
    /// What outlives the server: what it answers is kept there before.
    pub(crate) store: Store,
    /// Whether devices are served.
    pub(crate) ready: AtomicBool,
}

/// What a conversation of packets runs over, whatever carries it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<Carrier: AsyncRead + AsyncWrite + Unpin> Stream for Carrier {}

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
    pub(crate) line: Arc<Line>,
}

impl Client {
    /// Reads it off a finished handshake.
    pub(crate) fn of(
        stream: &TlsStream<Patient<Cuttable>>,
        peer: Option<IpAddr>,
        line: Arc<Line>,
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

    /// Where its questions come from.
    pub(crate) fn origin(&self, protocol: Protocol) -> Origin {
        Origin {
            protocol,
            peer: self.peer,
        }
    }
}

impl Host {
    /// Waits for the end of a conversation: `stop`, or that nothing more is kept, for then nothing that
    /// it says would be true.
    pub(crate) async fn end(&self, client: &Client, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            () = self.store.failed() => client.line.reset_it(),
        }
    }

    /// Does something at a hub that a client may have asked for within its conversation; one that is down, or
    /// goes down, resets it.
    pub(crate) async fn while_up<Done>(
        &self,
        hub: &str,
        client: &Client,
        work: impl Future<Output = Done>,
    ) -> Done {
        tokio::select! {
            biased;
            () = self.outages.of(Some(hub)) => {
                client.line.reset_it();
                std::future::pending().await
            }
            done = work => done,
        }
    }

    /// The hub that a client asked for by name.
    pub(crate) fn hub_of(&self, client: &Client) -> Option<&str> {
        self.hub_named(client.server_name.as_deref()?)
    }

    /// The instance whose service endpoint a client asked for by name.
    pub(crate) fn service_named(&self, asked: &str) -> Option<&Arc<Service>> {
        self.instances.by_service_name(asked)
    }

    /// The hub with a host name.
    pub(crate) fn hub_named(&self, asked: &str) -> Option<&str> {
        self.hubs
            .host_names()
            .find(|host| host.eq_ignore_ascii_case(asked))
    }
}
