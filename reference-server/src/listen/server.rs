//! What listeners serve from.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::client::Client;
use crate::api_versions::ApiVersions;
use crate::counters::LiveCounters;
use crate::diagnostics::DiagnosticLog;
use crate::fault::Faults;
use crate::fault::outage::Outages;
use crate::hub::hubs::Hubs;
use crate::hub::registry::Hub;
use crate::limits::Limits;
use crate::service::Service;
use crate::service::instances::Instances;
use crate::store::Store;

/// What every connection can reach.
pub(crate) struct Server {
    /// Name of the global endpoint.
    pub(crate) global_endpoint: String,
    /// The DPS instances.
    pub(crate) instances: Arc<Instances>,
    /// Its hubs.
    pub(crate) hubs: Hubs,
    /// Which versions of their API are served.
    pub(crate) hub_versions: ApiVersions,
    /// What is counted.
    pub(crate) tally: Arc<LiveCounters>,
    /// How long clients are waited for.
    pub(crate) limits: Limits,
    /// Where operations are logged, if anywhere.
    pub(crate) diagnostics: Option<Arc<DiagnosticLog>>,
    /// What goes wrong on purpose.
    pub(crate) faults: Faults,
    /// Which hubs are down.
    pub(crate) outages: Outages,
    /// What outlives the server: what it answers is kept there before.
    pub(crate) store: Store,
    /// Whether devices are served.
    pub(crate) ready: AtomicBool,
}

impl Server {
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
    pub(crate) fn hub_of(&self, client: &Client) -> Option<&Arc<Hub>> {
        self.hubs.named(client.server_name.as_deref()?)
    }

    /// The instance whose service endpoint a client asked for by name.
    pub(crate) fn service_named(&self, asked: &str) -> Option<&Arc<Service>> {
        self.instances.by_service_name(asked)
    }
}
