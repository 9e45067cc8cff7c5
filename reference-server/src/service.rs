//! DPS itself: a request and a time in, an answer out. No transport, no clock.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use fleetstorm_protocol::http::{DeviceOperation, MAX_BODY};
use fleetstorm_protocol::ids::{OperationId, RegistrationId};
use fleetstorm_protocol::registration::{
    DeviceRegistration, RegistrationOperationStatus, RegistrationStatus, TpmAttestation,
};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::api_versions::ApiVersions;
use crate::counters::LiveCounters;
use crate::counters::instance::LiveInstanceCounters;
use crate::hub::assignment::LinkedRegistry;
use crate::regions::Regions;
use crate::service::config::InstanceConfig;
use crate::service::custom::call::{Call, Preparation};
use crate::store::Store;
use access::AccessPolicies;
use attestation::{Attestation, Attested, Credential};
use enrollment_list::EnrollmentList;
use issuing::{CertificateRequest, CredentialPolicies};
use linked_hub::LinkedHub;
use operation::{Asking, Processing, Progress, Registration};
use placement::Placement;
use refusal::Refusal;
use registrations::Registrations;
use request::{RegistrationRequest, ServiceResponse};
use server::ServerSettings;
use throttle::Throttle;
use tpm_challenge::Challenges;

pub mod access;
pub mod administration;
pub mod allocation;
pub mod config;
pub mod custom;
pub mod enrollment_list;
pub mod failure;
pub(crate) mod fitness;
pub mod instances;
pub mod issuing;
pub mod linked_hub;
pub mod refusal;
pub mod request;
pub mod server;
pub mod throttle;

mod attestation;
pub(crate) mod chain;
mod completion;
mod device_keys;
mod kept;
mod operation;
mod placement;
mod registrations;
pub(crate) mod signing_certificate;
mod tpm_challenge;
mod under_way;

/// Devices that speak an older one stay at their hub, where their enrollment says nothing about
/// that (DPS documentation, "Reprovisioning devices": "2018-04-01 and earlier").
const FIRST_WITH_REPROVISIONING: &str = "2018-11-01";

/// One DPS instance.
pub struct Service {
    id_scope: String,
    name: String,
    subscription: String,
    api_versions: ApiVersions,
    retry_after: u32,
    processing: Processing,
    enrollments: EnrollmentList,
    access: AccessPolicies,
    challenges: Challenges,
    throttle: Throttle,
    registrations: Registrations,
    placement: Placement,
    credential_policies: CredentialPolicies,
    calls: mpsc::Sender<Call>,
    last_call: AtomicU64,
    tally: Arc<LiveCounters>,
    meter: Arc<LiveInstanceCounters>,
    store: Store,
}

impl Service {
    /// An instance of a server that lets in whom `enrollments` names; whoever takes `calls` tells it
    /// what they came to.
    pub(crate) fn new(
        server: ServerSettings<'_>,
        config: &InstanceConfig,
        (enrollments, access): (EnrollmentList, AccessPolicies),
        hubs: Vec<Arc<dyn LinkedRegistry>>,
        calls: mpsc::Sender<Call>,
        tally: Arc<LiveCounters>,
    ) -> Self {
        Self {
            id_scope: config.id_scope.clone(),
            name: config.name.clone(),
            subscription: config.subscription.clone(),
            api_versions: ApiVersions::of_dps(server.api_versions),
            retry_after: config.retry_after_seconds,
            processing: Processing::new(
                config.processing_p50_us,
                config.processing_p99_us,
                server.seed,
            ),
            enrollments,
            access,
            challenges: Challenges::default(),
            throttle: Throttle::new(config.throttle),
            registrations: Registrations::new(),
            placement: Placement {
                links: LinkedHub::all(server, config),
                regions: Regions::new(server.regions),
                hubs,
            },
            credential_policies: CredentialPolicies::default(),
            calls,
            last_call: AtomicU64::new(0),
            meter: tally.instance(&config.name),
            tally,
            store: Store::default(),
        }
    }

    /// The same, with CAs that sign certificates for its devices.
    pub(crate) fn issuing(mut self, credential_policies: CredentialPolicies) -> Self {
        self.credential_policies = credential_policies;
        self
    }

    /// What devices name it by.
    pub fn id_scope(&self) -> &str {
        &self.id_scope
    }

    /// Host name of its service endpoint.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose it is.
    pub fn subscription(&self) -> &str {
        &self.subscription
    }

    /// Whether it serves a version of its APIs.
    ///
    /// # Errors
    /// It does not: in the real service's words.
    pub fn knows(&self, api_version: &str) -> Result<(), Refusal> {
        if self.api_versions.serve(api_version) {
            return Ok(());
        }
        let problem = format!("Unsupported API version {api_version:.40}.");
        Err(Refusal::BadRequest(problem))
    }

    /// How often it has been asked, and may be.
    pub fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// Answers a device that named this instance.
    pub fn answer(&self, request: &RegistrationRequest<'_>, now: Timestamp) -> ServiceResponse {
        let resource = format!(
            "{}/registrations/{}",
            request.id_scope, request.registration_id
        );
        let answered = self
            .is_understood(request)
            .and_then(|()| match &request.operation {
                DeviceOperation::Register => self.register(request, &resource, now),
                DeviceOperation::OperationStatus(operation) => {
                    self.operation_status(request, operation, &resource, now)
                }
                DeviceOperation::RegistrationStatus => {
                    self.registration_status(request, &resource, now)
                }
            });
        answered.unwrap_or_else(|refusal| {
            if request.operation == DeviceOperation::Register {
                self.meter.registrations_failed.add();
            }
            if matches!(refusal, Refusal::Throttled { .. }) {
                self.meter.throttled.of(request.origin.protocol).add();
            }
            self.refuse(&refusal, now)
        })
    }

    /// What holds for every request, whatever carried it.
    fn is_understood(&self, request: &RegistrationRequest<'_>) -> Result<(), Refusal> {
        // Over MQTT and AMQP a device need not name one.
        request.api_version.map_or(Ok(()), |it| self.knows(it))?;
        // Transports stop reading somewhere above; where too much begins is the same for all.
        if request.body.len() > MAX_BODY {
            return Err(Refusal::TooLarge);
        }
        Ok(())
    }

    /// The answer to what never became a request.
    pub fn refuse(&self, refusal: &Refusal, now: Timestamp) -> ServiceResponse {
        self.tally.refused(refusal.code());
        refusal.answer(now)
    }

    /// Challenges a TPM before it asks anything (SASL `TPM`): the activation blob that only it can
    /// open. Over HTTPS the same is the 401 that answers a register. One that nobody enrolled is
    /// challenged all the same: it hears of that when it registers, where every client understands it.
    ///
    /// # Errors
    /// It presents no keys that can be challenged.
    pub fn challenge_tpm(
        &self,
        id: &RegistrationId,
        tpm: &TpmAttestation,
        now: Timestamp,
    ) -> Result<Vec<u8>, Refusal> {
        let blob = match attestation::enrolled_tpm(&self.enrollments, id, tpm) {
            Some(enrolled) => self.challenges.issue(&id.canonical(), &enrolled, now)?,
            None => tpm_challenge::forgotten(tpm)?,
        };
        self.tally.tpm_challenges.add();
        Ok(blob)
    }

    fn register(
        &self,
        request: &RegistrationRequest<'_>,
        resource: &str,
        now: Timestamp,
    ) -> Result<ServiceResponse, Refusal> {
        let id = request.registration_id;
        let registration = body_of(request)?;
        let attestation = attestation::attest(
            &self.enrollments,
            &self.challenges,
            id,
            &registration,
            request,
            resource,
            now,
        );
        let protocol = request.origin.protocol;
        match &attestation {
            Ok(Attestation::Challenged(_)) => {}
            attestation => self.meter.attested(protocol, attestation.is_ok()),
        }
        match attestation? {
            Attestation::Challenged(tpm) => {
                let blob = self.challenges.issue(&id.canonical(), &tpm, now)?;
                self.tally.tpm_challenges.add();
                json(401, None, &tpm_challenge::body(&blob))
            }
            Attestation::Attested(attested) if !attested.settings.enabled => {
                let state = operation::disabled_state(id.as_str(), now);
                let operation_id = operation::new_operation_id(id.as_str());
                let status = Some(RegistrationStatus::Disabled);
                json(
                    200,
                    None,
                    &RegistrationOperationStatus {
                        operation_id,
                        status,
                        registration_state: Some(state),
                    },
                )
            }
            Attestation::Attested(attested) => {
                let asking = Asking {
                    region: request
                        .origin
                        .peer
                        .and_then(|peer| self.placement.regions.of(peer)),
                    is_settled: request
                        .api_version
                        .is_some_and(|version| version < FIRST_WITH_REPROVISIONING),
                };
                let call = self.prepare_call(id, &attested, &registration, request)?;
                let request = self.credential_policies.read(
                    registration.csr.as_deref(),
                    attested.settings.written.credential_policy_name.as_deref(),
                    id,
                    request.api_version,
                )?;
                self.accept(id, attested, asking, (call, request), now)
            }
        }
    }

    /// Starts an operation; a device that asks again while one is under way gets that.
    fn accept(
        &self,
        id: &RegistrationId,
        attested: Attested,
        asking: Asking,
        (mut call, request): (Option<Preparation<'_>>, Option<CertificateRequest<'_>>),
        now: Timestamp,
    ) -> Result<ServiceResponse, Refusal> {
        self.throttle.registration(now)?;
        let issued = request.map(|request| request.issue(now)).transpose()?;
        if issued.is_some() {
            self.meter.certificates_issued.add();
        }
        let issued = issued.map(Box::new);
        let key: Box<str> = id.canonical().into();
        let mut registrations = self.registrations.of(&key);
        let under_way = registrations
            .get_mut(&key)
            .filter(|known| matches!(known.progress, Progress::Assigning { .. }));
        let mut ask = |known: &mut Registration| {
            let call = call.as_mut()?;
            Some(self.ask_webhook(call, known))
        };
        let (operation_id, number) = if let Some(known) = under_way {
            known.renew(attested, asking);
            known.issued = issued;
            self.keep(known);
            self.foresee(&key, known);
            (known.operation_id.to_string(), ask(known))
        } else {
            let processing = self.processing.of(&key);
            let before = registrations.get(&key);
            let id = before.map_or(id, |before| &before.registration_id);
            let mut started = Registration::accepted(id, attested, asking, processing, now);
            started.issued = issued;
            match before {
                Some(before) => started.succeed(before),
                None => self.registrations.count_one_more()?,
            }
            let begun = (started.operation_id.to_string(), ask(&mut started));
            self.keep(&started);
            self.foresee(&key, &started);
            registrations.insert(key, started);
            begun
        };
        drop(registrations);
        if let Some((call, number)) = call.zip(number) {
            self.call(call, number)?;
        }
        self.tally.registrations_accepted.add();
        let status = Some(RegistrationStatus::Assigning);
        let accepted = RegistrationOperationStatus {
            operation_id,
            status,
            registration_state: None,
        };
        json(202, Some(self.retry_after), &accepted)
    }

    fn operation_status(
        &self,
        request: &RegistrationRequest<'_>,
        operation: &OperationId,
        resource: &str,
        now: Timestamp,
    ) -> Result<ServiceResponse, Refusal> {
        let key = request.registration_id.canonical();
        let mut registrations = self.registrations.of(key.as_str());
        let known = registrations
            .get_mut(key.as_str())
            .ok_or(Refusal::OperationNotFound)?;
        if !self.is_shown(known, request, resource, now) {
            return Err(known.credential.not_shown());
        }
        self.throttle.poll(&mut known.polls, now)?;
        if *known.operation_id != *operation.as_str() {
            return Err(Refusal::OperationNotFound);
        }
        self.complete(known, now);
        let (status, code, retry_after) = match known.progress {
            Progress::Assigning { .. } => {
                (RegistrationStatus::Assigning, 202, Some(self.retry_after))
            }
            Progress::Assigned { .. } => (RegistrationStatus::Assigned, 200, None),
            Progress::Failed { .. } => (RegistrationStatus::Failed, 200, None),
        };
        let mut registration_state = self.state(known)?;
        if status == RegistrationStatus::Assigned {
            registration_state.issued_certificate_chain =
                known.issued.as_ref().map(|issued| issued.chain());
        }
        let registration_state = Some(registration_state);
        drop(registrations);
        let answer = RegistrationOperationStatus {
            operation_id: operation.to_string(),
            status: Some(status),
            registration_state,
        };
        json(code, retry_after, &answer)
    }

    fn registration_status(
        &self,
        request: &RegistrationRequest<'_>,
        resource: &str,
        now: Timestamp,
    ) -> Result<ServiceResponse, Refusal> {
        let key = request.registration_id.canonical();
        let mut registrations = self.registrations.of(key.as_str());
        let known = registrations
            .get_mut(key.as_str())
            .ok_or(Refusal::EnrollmentNotFound)?;
        if !self.is_shown(known, request, resource, now) {
            return Err(known.credential.not_shown());
        }
        if body_of(request)?.csr.is_some() {
            let problem = "csr: is for registering, and not for looking up";
            return Err(Refusal::BadRequest(problem.into()));
        }
        self.complete(known, now);
        let state = self.state(known)?;
        drop(registrations);
        json(200, None, &state)
    }
}

/// What a device says of itself, which has to be the one that asks.
fn body_of(request: &RegistrationRequest<'_>) -> Result<DeviceRegistration, Refusal> {
    let body = DeviceRegistration::from_body(request.body)
        .map_err(|e| Refusal::BadRequest(e.to_string()))?;
    let id = request.registration_id;
    match body.registration_id.as_deref() {
        Some(other) if !other.eq_ignore_ascii_case(id.as_str()) => Err(Refusal::BadRequest(
            format!("registrationId: \"{other}\" is not \"{id}\""),
        )),
        _ => Ok(body),
    }
}

impl Credential {
    fn not_shown(&self) -> Refusal {
        match self {
            Self::Certificate(_) => {
                Refusal::InvalidCertificate("it is not the one that registered".into())
            }
            Self::SymmetricKey(_) | Self::Tpm { .. } => Refusal::Unauthorized,
        }
    }
}

fn json(
    status: u16,
    retry_after: Option<u32>,
    body: &impl Serialize,
) -> Result<ServiceResponse, Refusal> {
    let body = serde_json::to_vec(body).map_err(|_| Refusal::Internal)?;
    Ok(ServiceResponse {
        status,
        retry_after,
        body,
        detail: None,
    })
}

#[cfg(test)]
mod tests;
