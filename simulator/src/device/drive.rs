//! Runs a flow against links, and stamps where the time goes.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::attestation::{Protocol, TransportKind};
use fleetstorm_protocol::hub;
use fleetstorm_protocol::registration::{DeviceRegistration, TpmAttestation};
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::tpm::IdentityKey;
use fleetstorm_protocol::twin::DeviceTwin;
use fleetstorm_reports::{Fault, Outcome, Phase};
use fleetstorm_scenarios::Release;
use rustls::sign::CertifiedKey;

use super::flow::{Action, Assignment, Flow};
use super::prover::Prover;
use super::trip::Trip;
use super::{Conditions, Goal};
use crate::fleet::tpm::VirtualTpm;
use crate::fleet::{Credential, Identity};
use crate::link::dial::Secured;
use crate::link::hub::HubLink;
use crate::link::{Ask, Caller, DpsLink, LinkError, Proof};
use crate::stopwatch::unix_now;

/// Life of a SAS token, seconds: the SDKs' default.
const SAS_LIFE: i64 = 3600;

/// One device on its way.
pub struct Drive<'run> {
    conditions: &'run Conditions,
    identity: &'run Identity,
    release: Release,
}

impl<'run> Drive<'run> {
    /// A device that is about to start.
    pub fn new(conditions: &'run Conditions, identity: &'run Identity, release: Release) -> Self {
        Self {
            conditions,
            identity,
            release,
        }
    }

    /// From the first connection to the twin.
    /// The session with the hub comes along, where there is one.
    pub async fn run(&self, trip: &mut Trip) -> (Outcome, Option<HubLink>) {
        let assignment = match self.register(trip).await {
            Ok(assignment) => assignment,
            Err(outcome) => return (outcome, None),
        };
        trip.registered(self.conditions.hubs.get(&assignment.hub).copied());
        if self.conditions.goal == Goal::Registered {
            return (Outcome::Registered, None);
        }
        match self.connect(&assignment, trip).await {
            Ok(mut hub) => {
                let mut outcome = self.read_twin(&mut hub, trip).await;
                if outcome == Outcome::Provisioned {
                    let lived = self.live(&mut hub, trip).await;
                    outcome = lived.err().unwrap_or(outcome);
                }
                (outcome, Some(hub))
            }
            Err(outcome) => (outcome, None),
        }
    }

    async fn register(&self, trip: &mut Trip) -> Result<Assignment, Outcome> {
        let caller = Caller {
            id_scope: &self.conditions.id_scope,
            registration_id: &self.identity.registration_id,
        };
        let body = self.registration_body()?;
        let mut sas = match &self.identity.credential {
            Credential::SymmetricKey(key) => Some(self.dps_proof(|data| key.sign(data))),
            // A certificate is shown in TLS; a TPM waits for its challenge.
            Credential::X509(_) | Credential::Tpm(_) => None,
        };
        let mut link = self.open(caller, sas.as_deref(), trip).await?;
        let mut flow = match self.attests_on_opening() {
            Some(_) => Flow::attested(),
            None => Flow::new(matches!(self.identity.credential, Credential::Tpm(_))),
        };
        let mut action = Action::Register;
        loop {
            action = match action {
                Action::Register => {
                    trip.enter(flow.phase());
                    let asked = link.ask(caller, Ask::Register(&body), sas.as_deref()).await;
                    flow.answered(&asked.map_err(|error| ended(error, trip.phase()))?)
                }
                Action::Prove(blob) => {
                    let key = self.activate(&blob, trip.phase())?;
                    sas = Some(self.dps_proof(|data| key.sign(data)));
                    Action::Register
                }
                Action::Wait(wait) => {
                    if flow.is_accepted() {
                        trip.enter(Phase::Assign);
                    }
                    tokio::time::sleep(wait).await;
                    flow.after_wait()
                }
                Action::Poll(operation) => {
                    trip.polled();
                    if link.is_closed() {
                        link = self.reopen(caller, sas.as_deref(), Phase::Assign).await?;
                    }
                    let asked = link
                        .ask(caller, Ask::OperationStatus(&operation), sas.as_deref())
                        .await;
                    flow.answered(&asked.map_err(|error| ended(error, trip.phase()))?)
                }
                Action::Connect(assignment) => {
                    link.close().await;
                    return Ok(assignment);
                }
                Action::End(outcome) => {
                    link.close().await;
                    return Err(outcome);
                }
            };
        }
    }

    async fn open(
        &self,
        caller: Caller<'_>,
        sas: Option<&str>,
        trip: &mut Trip,
    ) -> Result<DpsLink, Outcome> {
        let (host, port) = (&self.conditions.endpoint, self.dps_port());
        let dialer = &self.conditions.dialer;
        trip.enter(Phase::Resolve);
        let address = dialer
            .resolve(host, port)
            .await
            .map_err(|fault| broken(trip, fault))?;
        trip.enter(Phase::Connect);
        let stream = dialer
            .connect(address)
            .await
            .map_err(|fault| broken(trip, fault))?;
        trip.enter(Phase::Tls);
        let stream = dialer
            .secure(host, stream, self.certificate())
            .await
            .map_err(|fault| broken(trip, fault))?;
        trip.enter(Phase::Open);
        let link = self.speak(caller, stream, sas, Some(trip)).await;
        link.map_err(|error| ended(error, trip.phase()))
    }

    /// A second connection, because the server closed the first between polls.
    async fn reopen(
        &self,
        caller: Caller<'_>,
        sas: Option<&str>,
        phase: Phase,
    ) -> Result<DpsLink, Outcome> {
        let dialling = self.conditions.dialer.dial(
            &self.conditions.endpoint,
            self.dps_port(),
            self.certificate(),
        );
        let stream = dialling.await.map_err(|broken| Outcome::Broken {
            phase,
            fault: broken.fault,
        })?;
        self.speak(caller, stream, sas, None)
            .await
            .map_err(|error| ended(error, phase))
    }

    async fn speak(
        &self,
        caller: Caller<'_>,
        stream: Secured,
        sas: Option<&str>,
        trip: Option<&mut Trip>,
    ) -> Result<DpsLink, LinkError> {
        let (transport, host) = (self.release.transport, &self.conditions.endpoint);
        let sign = |key: &IdentityKey| self.dps_proof(|data| key.sign(data));
        let mut prover = self.attests_on_opening().map(|tpm| Prover {
            tpm,
            sign: &sign,
            trip,
        });
        let proof = match (&mut prover, sas) {
            (Some(prover), _) => Proof::Tpm(prover),
            (None, Some(sas)) => Proof::Sas(sas),
            (None, None) => Proof::None,
        };
        DpsLink::open(transport, stream, host, caller, proof).await
    }

    /// The TPM, where it proves itself before the first question: over AMQP.
    fn attests_on_opening(&self) -> Option<&'run VirtualTpm> {
        match &self.identity.credential {
            Credential::Tpm(tpm) if self.release.transport.protocol() == Protocol::Amqp => {
                Some(tpm)
            }
            _ => None,
        }
    }

    async fn connect(&self, assignment: &Assignment, trip: &mut Trip) -> Result<HubLink, Outcome> {
        // The hub key comes out of the TPM before the device turns to its hub.
        let sas = self.hub_proof(assignment)?;
        trip.enter(Phase::HubConnect);
        let (transport, host) = (self.hub_transport(), &assignment.hub);
        let port = self.conditions.ports.of(transport);
        let dialling = self.conditions.dialer.dial(host, port, self.certificate());
        let stream = dialling.await.map_err(|inner| broken(trip, inner.fault))?;
        let opening = HubLink::open(transport, stream, host, &assignment.device_id, sas);
        opening.await.map_err(|error| ended(error, trip.phase()))
    }

    async fn read_twin(&self, hub: &mut HubLink, trip: &mut Trip) -> Outcome {
        trip.enter(Phase::Twin);
        let twin = match hub.read_twin().await {
            Ok(twin) => twin,
            Err(error) => return ended(error, Phase::Twin),
        };
        trip.leave();
        if self.is_as_asked(&twin) {
            Outcome::Provisioned
        } else {
            Outcome::TwinMismatch
        }
    }

    /// What comes after provisioning.
    async fn live(&self, hub: &mut HubLink, trip: &mut Trip) -> Result<(), Outcome> {
        let after = self.conditions.after.get(usize::from(self.release.cohort));
        let Some(after) = after else { return Ok(()) };
        if let Some(patch) = &after.reported {
            trip.enter(Phase::Report);
            let reported = hub.report(patch).await;
            reported.map_err(|error| ended(error, Phase::Report))?;
            trip.leave();
        }
        if after.messages > 0 {
            trip.enter(Phase::Telemetry);
            for sequence in 1..=after.messages {
                let message = format!(r#"{{"sequence":{sequence}}}"#);
                let sent = hub.send(message.as_bytes()).await;
                sent.map_err(|error| ended(error, Phase::Telemetry))?;
                trip.sent();
            }
            trip.leave();
        }
        Ok(())
    }

    fn is_as_asked(&self, twin: &DeviceTwin) -> bool {
        let asked = self
            .conditions
            .desired
            .get(usize::from(self.release.cohort));
        asked.is_none_or(|asked| {
            asked
                .iter()
                .all(|(key, value)| twin.desired.get(key) == Some(value))
        })
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
            payload: None,
        };
        serde_json::to_vec(&registration).map_err(|_| Outcome::Broken {
            phase: Phase::Register,
            fault: Fault::Protocol,
        })
    }

    /// The SAS token that proves the device to DPS.
    fn dps_proof(&self, sign: impl FnOnce(&[u8]) -> [u8; 32]) -> String {
        let (scope, id) = (&self.conditions.id_scope, &self.identity.registration_id);
        let resource = format!("{scope}/registrations/{id}");
        sas_token(&resource, Some("registration"), sign)
    }

    /// The SAS token that proves a device without certificate to its hub.
    fn hub_proof(&self, assignment: &Assignment) -> Result<Option<String>, Outcome> {
        let resource = hub::sas_resource(&assignment.hub, &assignment.device_id);
        Ok(match (&self.identity.credential, &assignment.hub_key) {
            (Credential::SymmetricKey(key), _) => {
                Some(sas_token(&resource, None, |data| key.sign(data)))
            }
            (_, Some(blob)) => {
                let key = self.activate(blob, Phase::HubConnect)?;
                Some(sas_token(&resource, None, |data| key.sign(data)))
            }
            (_, None) => None,
        })
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

    fn hub_transport(&self) -> TransportKind {
        let cohort = usize::from(self.release.cohort);
        let told = self.conditions.hub_transports.get(cohort);
        told.copied()
            .flatten()
            .unwrap_or_else(|| self.release.transport.at_hub())
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

fn broken(trip: &Trip, fault: Fault) -> Outcome {
    Outcome::Broken {
        phase: trip.phase(),
        fault,
    }
}

fn ended(error: LinkError, phase: Phase) -> Outcome {
    match error {
        LinkError::Broken(fault) => Outcome::Broken { phase, fault },
        LinkError::Refused { status } => Outcome::Refused {
            phase,
            status,
            code: 0,
        },
    }
}
