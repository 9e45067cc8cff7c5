//! The DPS instances behind one global endpoint. A device names its instance by id scope, the
//! service side by the host name it connects to.

use std::sync::Arc;

use fleetstorm_protocol::ids::RegistrationId;
use fleetstorm_protocol::registration::TpmAttestation;
use jiff::Timestamp;

use super::refusal::Refusal;
use super::request::{RegistrationRequest, ServiceResponse};
use super::{Service, tpm_challenge};
use crate::counters::LiveCounters;

/// Every instance of a server.
pub struct Instances {
    services: Vec<Arc<Service>>,
    tally: Arc<LiveCounters>,
}

impl Instances {
    /// In their order.
    pub(crate) fn new(services: Vec<Arc<Service>>, tally: Arc<LiveCounters>) -> Self {
        Self { services, tally }
    }

    /// The instance with an id scope, whatever its case.
    pub fn by_id_scope(&self, id_scope: &str) -> Option<&Arc<Service>> {
        let mut services = self.services.iter();
        services.find(|service| service.id_scope().eq_ignore_ascii_case(id_scope))
    }

    /// The instance whose service endpoint has a host name, whatever its case.
    pub fn by_service_name(&self, host_name: &str) -> Option<&Arc<Service>> {
        let mut services = self.services.iter();
        services.find(|service| service.name().eq_ignore_ascii_case(host_name))
    }

    /// Every instance, in the order of the configuration.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.iter()
    }

    /// Answers a device: its instance does.
    pub fn answer(&self, request: &RegistrationRequest<'_>, now: Timestamp) -> ServiceResponse {
        match self.by_id_scope(request.id_scope) {
            Some(service) => service.answer(request, now),
            None => self.refuse(&Refusal::ScopeNotFound, now),
        }
    }

    /// The answer to what never became a request.
    pub fn refuse(&self, refusal: &Refusal, now: Timestamp) -> ServiceResponse {
        self.tally.refused(refusal.code());
        refusal.answer(now)
    }

    /// Challenges a TPM before it asks anything; see [`Service::challenge_tpm`]. One that names no
    /// instance hears of that, too, when it registers.
    ///
    /// # Errors
    /// It presents no keys that can be challenged.
    pub fn challenge_tpm(
        &self,
        id_scope: &str,
        id: &RegistrationId,
        tpm: &TpmAttestation,
        now: Timestamp,
    ) -> Result<Vec<u8>, Refusal> {
        match self.by_id_scope(id_scope) {
            Some(service) => service.challenge_tpm(id, tpm, now),
            None => tpm_challenge::forgotten(tpm),
        }
    }
}
