//! Runs a flow against links, and stamps where the time goes.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::attestation::Protocol;
use fleetstorm_protocol::ids::IdScope;
use fleetstorm_protocol::registration::{DeviceRegistration, TpmAttestation};
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::tpm::IdentityKey;
use fleetstorm_reports::{Breach, Fault, Outcome, Phase};
use fleetstorm_scenarios::Release;
use rustls::sign::CertifiedKey;

use self::member::Member;
use super::backoff::{Backoff, Moment};
use super::conditions::{CohortProfile, Conditions, Goal};
use super::flow::{Action, Assignment, Flow};
use super::phase_clock::PhaseClock;
use super::prover::Prover;
use crate::fleet::tpm::VirtualTpm;
use crate::fleet::{Credential, Identity};
use crate::generator::delay::Delay;
use crate::link::dial::{Secured, Way};
use crate::link::hub::HubLink;
use crate::link::{DpsLink, LinkError, Proof, Registrant, Request, Response};
use crate::stopwatch::unix_now;

mod hub;
pub mod member;

/// Life of a SAS token, seconds: the SDKs' default.
const SAS_LIFE: i64 = 3600;

/// One device on its way.
pub struct Drive<'run> {
    conditions: &'run Conditions,
    profile: &'run CohortProfile,
    identity: &'run Identity,
    release: Release,
    past: Past<'run>,
    delay: Delay,
}

/// What a device has behind it, which its twin shows.
enum Past<'run> {
    /// Nothing that anybody knows of.
    New,
    /// It was at this hub, by its host name, and has reported all that it has to report.
    AtHub(&'run str),
    /// The same with another owner.
    Sold,
}

impl<'run> Drive<'run> {
    /// A device that is about to start; `delay` is what its task measures of the generator.
    pub fn new(
        conditions: &'run Conditions,
        identity: &'run Identity,
        release: Release,
        delay: Delay,
    ) -> Self {
        Self {
            delay,
            conditions,
            profile: conditions.profile(release.cohort),
            identity,
            release,
            past: Past::New,
        }
    }

    /// One that has been at a hub before, where it has reported all that it has to report.
    pub fn again(self, last_hub: &'run str) -> Self {
        Self {
            past: Past::AtHub(last_hub),
            ..self
        }
    }

    /// The same, for another owner.
    pub fn sold(self) -> Self {
        Self {
            past: Past::Sold,
            ..self
        }
    }

    /// It starts now.
    pub fn clock(&self) -> PhaseClock {
        let kind = (self.profile.cohort.attestation as u8, self.owner());
        let clock = self.conditions.clock;
        let counts = Arc::clone(&self.conditions.device_counters);
        PhaseClock::start(clock, self.delay.clone(), counts, self.release, kind)
    }

    /// Index of the instance that it belongs to.
    pub fn owner(&self) -> u8 {
        self.identity.owner
    }

    /// From the first connection to the twin.
    /// The session with the hub comes along, where there is one.
    pub async fn run(&self, clock: &mut PhaseClock) -> (Outcome, Option<(Member, HubLink)>) {
        let assignment = match self.register(clock).await {
            Ok(assignment) => assignment,
            Err(outcome) => return (outcome, None),
        };
        clock.registered(self.conditions.hubs.get(&assignment.hub).copied());
        self.conditions.tally_of(&assignment.hub).assigned.add();
        if self.conditions.goal == Goal::Registered {
            return (Outcome::Registered, None);
        }
        clock.enter(Phase::HubConnect);
        match self.member(assignment) {
            Ok(member) => {
                let (outcome, hub) = self.settle(&member, clock).await;
                (outcome, hub.map(|hub| (member, hub)))
            }
            Err(outcome) => (outcome, None),
        }
    }

    /// Until its hub is in hand, or it has failed; either way it does not wait for its good-bye to DPS.
    async fn register(&self, clock: &mut PhaseClock) -> Result<Assignment, Outcome> {
        let mut link = None;
        let registered = self.register_over(&mut link, clock).await;
        if let Some(link) = link {
            self.conditions.goodbyes.say(link.close());
        }
        registered
    }

    async fn register_over(
        &self,
        link: &mut Option<DpsLink>,
        clock: &mut PhaseClock,
    ) -> Result<Assignment, Outcome> {
        let registrant = Registrant {
            id_scope: self.id_scope(),
            registration_id: &self.identity.registration_id,
        };
        let body = self.registration_body()?;
        let mut sas = match &self.identity.credential {
            Credential::SymmetricKey(key) => Some(self.dps_proof(|data| key.sign(data))),
            // A certificate is shown in TLS; a TPM waits for its challenge.
            Credential::X509(_) | Credential::Tpm(_) => None,
        };
        let backoff = Backoff::new(self.profile.cohort.retry, self.release.transport.protocol());
        let mut flow = match self.attests_on_opening() {
            Some(_) => Flow::attested(backoff),
            None => Flow::new(
                matches!(self.identity.credential, Credential::Tpm(_)),
                backoff,
            ),
        };
        let mut action = Action::Register;
        loop {
            action = match action {
                Action::Register => {
                    let request = Request::Register(&body);
                    self.request(registrant, request, sas.as_deref(), link, &mut flow, clock)
                        .await
                }
                Action::Prove(blob) => {
                    let key = self.activate(&blob, clock.phase())?;
                    sas = Some(self.dps_proof(|data| key.sign(data)));
                    Action::Register
                }
                Action::Wait(wait) => {
                    if flow.is_tried() {
                        clock.tries_again();
                    }
                    if flow.is_accepted() {
                        clock.enter(Phase::Assign);
                    }
                    clock.sleep(wait).await;
                    flow.after_wait()
                }
                Action::Poll(operation) => {
                    clock.polls();
                    let request = Request::OperationStatus(&operation);
                    self.request(registrant, request, sas.as_deref(), link, &mut flow, clock)
                        .await
                }
                Action::Connect(assignment) => return Ok(assignment),
                Action::End(outcome) => return Err(outcome),
            };
        }
    }

    /// Asks over the link; over a new one where there is none, or the server has closed it since.
    async fn request(
        &self,
        registrant: Registrant<'_>,
        request: Request<'_>,
        sas: Option<&str>,
        link: &mut Option<DpsLink>,
        flow: &mut Flow,
        clock: &mut PhaseClock,
    ) -> Action {
        let response = self
            .try_request(registrant, request, sas, link, flow, clock)
            .await;
        match response {
            Ok(response) => {
                if response.status == 429 {
                    clock.throttled();
                }
                let action = flow.answered(&response, self.moment(clock));
                if let Some(outcome) = unreadable(&action) {
                    self.conditions
                        .device_counters
                        .examples
                        .note(outcome, &response.body);
                } else if is_over(request, &response, &action) {
                    clock.heard_of_registration();
                }
                action
            }
            Err(error) => {
                self.conditions.failed(error);
                clock.failed(error);
                flow.failed(error, clock.phase(), self.moment(clock))
            }
        }
    }

    async fn try_request(
        &self,
        registrant: Registrant<'_>,
        request: Request<'_>,
        sas: Option<&str>,
        link: &mut Option<DpsLink>,
        flow: &Flow,
        clock: &mut PhaseClock,
    ) -> Result<Response, LinkError> {
        let open = link.take().filter(|link| !link.is_closed());
        let mut open = match open {
            Some(open) => open,
            // What comes between polls is part of the assignment.
            None if flow.is_accepted() => self.reopen(registrant, sas).await?,
            None => self.open(registrant, sas, clock).await?,
        };
        clock.enter(flow.phase());
        if !is_poll(request) {
            clock.asked_for_registration();
        }
        let response = open.request(registrant, request, sas).await?;
        *link = Some(open);
        Ok(response)
    }

    /// The chance of each wait is its own.
    fn moment(&self, clock: &PhaseClock) -> Moment {
        Moment {
            elapsed: clock.elapsed(),
            chance: self
                .profile
                .chance
                .uniform(self.release.device, clock.waits()),
        }
    }

    async fn open(
        &self,
        registrant: Registrant<'_>,
        sas: Option<&str>,
        clock: &mut PhaseClock,
    ) -> Result<DpsLink, LinkError> {
        let (host, port) = (&self.conditions.endpoint, self.dps_port());
        let dialer = &self.conditions.dialer;
        clock.enter(Phase::Resolve);
        let address = dialer.resolve(host, port).await?;
        clock.enter(Phase::Connect);
        let stream = dialer.connect(address, self.way(host)).await?;
        clock.enter(Phase::Tls);
        let stream = dialer.secure(host, stream, self.certificate()).await?;
        clock.enter(Phase::Open);
        self.speak(registrant, stream, sas, Some(clock)).await
    }

    /// Another connection, because the server closed the first between polls.
    async fn reopen(
        &self,
        registrant: Registrant<'_>,
        sas: Option<&str>,
    ) -> Result<DpsLink, LinkError> {
        let (host, port) = (&self.conditions.endpoint, self.dps_port());
        let (identity, way) = (self.certificate(), self.way(host));
        let dialling = self.conditions.dialer.dial(host, port, identity, way);
        let stream = dialling.await.map_err(|broken| broken.fault)?;
        self.speak(registrant, stream, sas, None).await
    }

    fn way(&self, host: &str) -> Way {
        Way {
            delay: self.delay.clone(),
            ..self.conditions.geography.way(self.release, host)
        }
    }

    async fn speak(
        &self,
        registrant: Registrant<'_>,
        stream: Secured,
        sas: Option<&str>,
        clock: Option<&mut PhaseClock>,
    ) -> Result<DpsLink, LinkError> {
        let (transport, host) = (self.release.transport, &self.conditions.endpoint);
        let sign = |key: &IdentityKey| self.dps_proof(|data| key.sign(data));
        let mut prover = self.attests_on_opening().map(|tpm| Prover {
            tpm,
            sign: &sign,
            clock,
        });
        let proof = match (&mut prover, sas) {
            (Some(prover), _) => Proof::Tpm(prover),
            (None, Some(sas)) => Proof::Sas(sas),
            (None, None) => Proof::None,
        };
        DpsLink::open(transport, stream, host, registrant, proof).await
    }

    /// The TPM, where it proves itself before the first request: over AMQP.
    fn attests_on_opening(&self) -> Option<&'run VirtualTpm> {
        match &self.identity.credential {
            Credential::Tpm(tpm) if self.release.transport.protocol() == Protocol::Amqp => {
                Some(tpm)
            }
            _ => None,
        }
    }

    fn registration_body(&self) -> Result<Vec<u8>, Outcome> {
        let tpm = match &self.identity.credential {
            Credential::X509(_) | Credential::SymmetricKey(_) => None,
            Credential::Tpm(tpm) => Some(TpmAttestation {
                endorsement_key: STANDARD.encode(tpm.endorsement_public().as_tpm2b()),
                storage_root_key: Some(STANDARD.encode(tpm.storage_root_public().as_tpm2b())),
            }),
        };
        let registration_id = Some(self.identity.registration_id.to_string());
        let registration = DeviceRegistration {
            registration_id,
            tpm,
            ..DeviceRegistration::default()
        };
        serde_json::to_vec(&registration).map_err(|_| Outcome::Broken {
            phase: Phase::Register,
            fault: Fault::Protocol(Breach::Request),
        })
    }

    /// The SAS token that proves the device to DPS.
    fn dps_proof(&self, sign: impl FnOnce(&[u8]) -> [u8; 32]) -> String {
        let (scope, id) = (self.id_scope(), &self.identity.registration_id);
        let resource = format!("{scope}/registrations/{id}");
        sas_token(&resource, Some("registration"), sign)
    }

    fn activate(&self, blob: &str, phase: Phase) -> Result<IdentityKey, Outcome> {
        let failed = Outcome::Broken {
            phase,
            fault: Fault::Activation,
        };
        let Credential::Tpm(tpm) = &self.identity.credential else {
            return Err(failed);
        };
        let blob = STANDARD.decode(blob).map_err(|_| failed)?;
        tpm.activate(&blob).map_err(|_| failed)
    }

    fn certificate(&self) -> Option<&'run Arc<CertifiedKey>> {
        match &self.identity.credential {
            Credential::X509(key) => Some(key),
            Credential::SymmetricKey(_) | Credential::Tpm(_) => None,
        }
    }

    fn id_scope(&self) -> &'run IdScope {
        &self.conditions.id_scopes[usize::from(self.owner())]
    }

    fn dps_port(&self) -> u16 {
        self.conditions.ports.of(self.release.transport)
    }
}

fn sas_token(
    resource: &str,
    key_name: Option<&str>,
    sign: impl FnOnce(&[u8]) -> [u8; 32],
) -> String {
    SasToken::format(resource, unix_now() + SAS_LIFE, key_name, sign)
}

fn is_poll(request: Request<'_>) -> bool {
    matches!(request, Request::OperationStatus(_))
}

/// Whether a registration has ended without a hub, or never began. A poll that is refused ends none.
fn is_over(request: Request<'_>, response: &Response, action: &Action) -> bool {
    let has_ended = matches!(
        action,
        Action::End(Outcome::AssignmentFailed { .. } | Outcome::Disabled)
    );
    has_ended || !is_poll(request) && response.status >= 300
}

/// How a device ends whose answer could not be read.
fn unreadable(action: &Action) -> Option<Outcome> {
    match action {
        Action::End(
            outcome @ Outcome::Broken {
                fault: Fault::Protocol(_),
                ..
            },
        ) => Some(*outcome),
        _ => None,
    }
}
