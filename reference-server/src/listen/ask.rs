//! The way of a device's request from any listener to its instance, what is counted there, and
//! which faults it meets.

use std::time::{Duration, Instant};

use fleetstorm_protocol::fault::{FaultOperation, FaultProtocol, Occasion};
use fleetstorm_protocol::http::DeviceOperation;
use fleetstorm_protocol::ids::ClientId;
use jiff::Timestamp;

use super::client::Client;
use super::server::Server;
use crate::counters::instance::shown;
use crate::diagnostics::DiagnosticLog;
use crate::diagnostics::record::{Category, Operation};
use crate::fault::answer::{corrupt, refusal};
use crate::fault::matcher::FaultHit;
use crate::service::refusal::Refusal;
use crate::service::request::{RegistrationRequest, ServiceResponse};

/// What a fault leaves to a listener to do.
pub(crate) enum FaultEffect {
    /// To answer with this error.
    Refused(ServiceResponse),
    /// To flip bytes of its answer, chosen by this number.
    Corrupt(u64),
}

impl Server {
    /// Answers a device, and counts how long that took. Where a fault cuts the connection,
    /// there is no answer, and this never ends.
    pub(super) async fn ask(
        &self,
        client: &Client,
        request: &RegistrationRequest<'_>,
    ) -> ServiceResponse {
        let began = Instant::now();
        let (mut answer, draw) = match self.fault_effect(client, occasion(request)).await {
            None => (self.instances.answer(request, Timestamp::now()), None),
            Some(FaultEffect::Refused(answer)) => (answer, None),
            Some(FaultEffect::Corrupt(draw)) => {
                (self.instances.answer(request, Timestamp::now()), Some(draw))
            }
        };
        if self.store.settled().await.is_err() {
            answer = self.instances.refuse(&Refusal::Internal, Timestamp::now());
        }
        let (protocol, took) = (request.origin.protocol, began.elapsed());
        self.tally.requests.add(&request.operation, protocol, took);
        if let Some(log) = &self.diagnostics {
            self.log(log, request, (&answer, took));
        }
        // Last, for the log tells what the service has answered.
        if let Some(draw) = draw {
            corrupt(&mut answer.body, draw);
        }
        answer
    }

    /// A request to an instance that there is not is nobody's operation.
    fn log(
        &self,
        log: &DiagnosticLog,
        request: &RegistrationRequest<'_>,
        (answer, took): (&ServiceResponse, Duration),
    ) {
        let Some(instance) = self.instances.by_id_scope(request.id_scope) else {
            return;
        };
        let operation = Operation {
            category: Category::DeviceOperations,
            kind: "Registration",
            name: match request.operation {
                DeviceOperation::Register => "AttestationAttempt",
                DeviceOperation::OperationStatus(_) => "GetOperationStatus",
                DeviceOperation::RegistrationStatus => "GetRegistrationState",
            },
            instance: instance.name(),
            subscription: instance.subscription(),
            id: request.registration_id.as_str(),
            protocol: shown(request.origin.protocol),
            api_version: request.api_version,
            peer: request.origin.peer,
            took,
        };
        log.log(&operation, answer.outcome(), Timestamp::now());
    }

    /// Waits as long as a fault wants, or ends the connection. Costs nothing without rules.
    pub(crate) async fn fault_effect(
        &self,
        client: &Client,
        occasion: Occasion<'_>,
    ) -> Option<FaultEffect> {
        if !self.faults.are_armed() {
            return None;
        }
        let region = self.faults.region_of(client.peer);
        match self.faults.apply(&Occasion { region, ..occasion })? {
            FaultHit::Wait(time) => {
                tokio::time::sleep(time).await;
                None
            }
            FaultHit::Refuse { code, retry_after } => {
                self.tally.refused(code);
                Some(FaultEffect::Refused(refusal(
                    code,
                    retry_after,
                    Timestamp::now(),
                )))
            }
            FaultHit::Corrupt(draw) => Some(FaultEffect::Corrupt(draw)),
            FaultHit::Drop => {
                client.line.drop_it();
                std::future::pending().await
            }
            FaultHit::Reset => {
                client.line.reset_it();
                std::future::pending().await
            }
        }
    }
}

/// What a device, or a module of it, does at a hub.
pub(super) fn at_hub<'a>(
    hub: &'a str,
    client: &'a ClientId,
    protocol: FaultProtocol,
    operation: FaultOperation,
) -> Occasion<'a> {
    Occasion {
        operation,
        protocol,
        device: client.device_id(),
        instance: None,
        hub: Some(hub),
        region: None,
    }
}

fn occasion<'a>(request: &RegistrationRequest<'a>) -> Occasion<'a> {
    Occasion {
        operation: match request.operation {
            DeviceOperation::Register => FaultOperation::Register,
            _ => FaultOperation::Poll,
        },
        protocol: request.origin.protocol.into(),
        device: request.registration_id.as_str(),
        instance: Some(request.id_scope),
        hub: None,
        region: None,
    }
}
