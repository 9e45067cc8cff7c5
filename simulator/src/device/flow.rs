//! What a device does next: a pure machine, answers in, actions out. It never awaits and reads no clock.
//!
//! ```text
//! register -> 401 challenge -> activate -> register with proof --+     (TPM only)
//!    |                                                            |
//!    +-> 202 <----------------------------------------------------+
//!         |  wait Retry-After
//!         +-> poll -> 202 -> wait ... -> 200 assigned -> (TPM: activate the hub key) -> hub
//!                                     -> 200 failed, disabled; 4xx -> end
//! ```
//! A failure anywhere (429, 5xx, a lost connection): what the retry profile says.

use std::time::Duration;

use fleetstorm_protocol::ids::{DeviceId, OperationId};
use fleetstorm_protocol::registration::{
    DeviceRegistrationResult, RegistrationOperationStatus, RegistrationStatus, TpmChallenge,
};
use fleetstorm_protocol::service_error::ServiceError;
use fleetstorm_reports::{Breach, Fault, Outcome, Phase};
use fleetstorm_scenarios::retry::{Setback, Step};

use super::backoff::{Backoff, Moment, setback_of};
use crate::link::{LinkError, Response};

/// One registration.
#[derive(Debug)]
pub struct Flow {
    has_tpm: bool,
    backoff: Backoff,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Register was asked; a TPM has not proven itself yet.
    Registering,
    /// Register was asked with the TPM's proof.
    Proving,
    /// 202 was given, or a status was asked.
    Assigning(OperationId),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Ask for registration.
    Register,
    /// Activate the TPM's identity key from this base64, then ask for registration with its proof.
    Prove(String),
    /// Wait, then do what [`Flow::after_wait`] says.
    Wait(Duration),
    /// Ask how the operation stands.
    Poll(OperationId),
    /// Connect to the hub.
    Connect(Assignment),
    /// Over.
    End(Outcome),
}

/// Where the device belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Host name of its hub.
    pub hub: String,
    /// Its name there.
    pub device_id: DeviceId,
    /// TPM: base64 of the blob that wraps its hub key.
    pub hub_key: Option<String>,
}

impl Flow {
    /// Starts: the first action is [`Action::Register`].
    pub fn new(has_tpm: bool, backoff: Backoff) -> Self {
        Self {
            has_tpm,
            backoff,
            state: State::Registering,
        }
    }

    /// Starts for a TPM that proves itself while its link is opened.
    pub fn attested(backoff: Backoff) -> Self {
        Self {
            has_tpm: true,
            backoff,
            state: State::Proving,
        }
    }

    /// In which phase an answer is awaited now.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Registering if self.has_tpm => Phase::Attest,
            State::Registering | State::Proving => Phase::Register,
            State::Assigning(_) => Phase::Assign,
        }
    }

    /// Whether register was accepted.
    pub fn is_accepted(&self) -> bool {
        matches!(self.state, State::Assigning(_))
    }

    /// Whether what came last was a failure.
    pub fn is_tried(&self) -> bool {
        self.backoff.is_tried()
    }

    /// Takes an answer.
    pub fn answered(&mut self, response: &Response, now: Moment) -> Action {
        match response.status {
            200 | 202 => self.accepted(response, now),
            401 if self.has_tpm && self.state == State::Registering => self.challenged(response),
            status => {
                let outcome = refused(self.phase(), status, &response.body);
                // Below 400 nothing was refused: to ask again would not help anybody.
                if status < 400 {
                    return Action::End(outcome);
                }
                self.wait(Setback::Status(status), response, now)
                    .unwrap_or(Action::End(outcome))
            }
        }
    }

    /// The link failed in `phase`: it could not be opened, or broke.
    pub fn failed(&mut self, error: LinkError, phase: Phase, now: Moment) -> Action {
        let wait = setback_of(error)
            .and_then(|setback| self.backoff.wait(self.step(), setback, None, now));
        wait.map_or_else(|| Action::End(ended(error, phase)), Action::Wait)
    }

    /// The wait is over.
    pub fn after_wait(&self) -> Action {
        match &self.state {
            State::Registering | State::Proving => Action::Register,
            State::Assigning(operation) => Action::Poll(operation.clone()),
        }
    }

    fn step(&self) -> Step {
        match self.state {
            State::Registering | State::Proving => Step::Register,
            State::Assigning(_) => Step::Poll,
        }
    }

    fn wait(&mut self, setback: Setback, response: &Response, now: Moment) -> Option<Action> {
        let told = response
            .retry_after
            .map(|seconds| Duration::from_secs(seconds.into()));
        let wait = self.backoff.wait(self.step(), setback, told, now);
        wait.map(Action::Wait)
    }

    fn challenged(&mut self, response: &Response) -> Action {
        match serde_json::from_slice::<TpmChallenge>(&response.body) {
            Ok(challenge) => {
                self.backoff.served();
                self.state = State::Proving;
                Action::Prove(challenge.authentication_key)
            }
            Err(_) => Action::End(refused(Phase::Attest, response.status, &response.body)),
        }
    }

    fn accepted(&mut self, response: &Response, now: Moment) -> Action {
        let broken = |phase, breach| {
            Action::End(Outcome::Broken {
                phase,
                fault: Fault::Protocol(breach),
            })
        };
        let Ok(answer) = serde_json::from_slice::<RegistrationOperationStatus>(&response.body)
        else {
            return broken(self.phase(), Breach::Answer);
        };
        // The status of HTTP says as much; Azure's identity service asks for no more, either.
        let accepted = (response.status == 202).then_some(RegistrationStatus::Assigning);
        let Some(status) = answer.status.or(accepted) else {
            return broken(self.phase(), Breach::NoStatus);
        };
        match status {
            // The SDKs that know `unassigned` keep polling.
            RegistrationStatus::Assigning | RegistrationStatus::Unassigned => {
                let Ok(operation) = OperationId::parse(&answer.operation_id) else {
                    return broken(self.phase(), Breach::OperationId);
                };
                // Which wait follows depends on what was asked, not on what will be.
                let wait = self.wait(Setback::Unfinished, response, now);
                self.state = State::Assigning(operation);
                wait.unwrap_or(Action::End(Outcome::TimedOut {
                    phase: Phase::Assign,
                }))
            }
            RegistrationStatus::Assigned => {
                match self.assignment(answer.registration_state.unwrap_or_default()) {
                    Ok(assignment) => Action::Connect(assignment),
                    Err(breach) => broken(Phase::Assign, breach),
                }
            }
            RegistrationStatus::Failed => {
                let code = answer
                    .registration_state
                    .and_then(|state| state.error_code)
                    .unwrap_or(0);
                Action::End(Outcome::AssignmentFailed { code })
            }
            RegistrationStatus::Disabled => Action::End(Outcome::Disabled),
            RegistrationStatus::Other(_) => broken(self.phase(), Breach::Status),
        }
    }

    fn assignment(&self, state: DeviceRegistrationResult) -> Result<Assignment, Breach> {
        // Nobody but a TPM could open one.
        let hub_key = state.tpm.filter(|_| self.has_tpm);
        let hub_key = hub_key.map(|tpm| tpm.authentication_key);
        if self.has_tpm && hub_key.is_none() {
            return Err(Breach::NoHubKey);
        }
        let hub = state.assigned_hub.filter(|hub| !hub.is_empty());
        let device_id = state.device_id.as_deref();
        let device_id = device_id.and_then(|id| DeviceId::parse(id).ok());
        Ok(Assignment {
            hub: hub.ok_or(Breach::NoHub)?,
            device_id: device_id.ok_or(Breach::NoHub)?,
            hub_key,
        })
    }
}

/// How a device ends whose link failed in `phase`.
pub fn ended(error: LinkError, phase: Phase) -> Outcome {
    match error {
        LinkError::Broken(fault) => Outcome::Broken { phase, fault },
        LinkError::Refused { status } => Outcome::Refused {
            phase,
            status,
            code: 0,
        },
    }
}

fn refused(phase: Phase, status: u16, body: &[u8]) -> Outcome {
    let code = ServiceError::from_body(body).map_or(0, |error| error.error_code);
    Outcome::Refused {
        phase,
        status,
        code,
    }
}

#[cfg(test)]
mod tests;
