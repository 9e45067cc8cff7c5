//! The way of a device's question from any listener to its instance, what is counted there, and
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
use crate::service::question::{Answer, Question};
use crate::service::refusal::Refusal;

/// What a fault leaves to a listener to do.
pub(crate) enum FaultEffect {
    /// To answer with this error.
    Refused(Answer),
    /// To flip bytes of its answer, chosen by this number.
    Corrupt(u64),
}

impl Server {
    /// Answers a device, and counts how long that took. Where a fault cuts the connection,
    /// there is no answer, and this never ends.
    pub(super) async fn ask(&self, client: &Client, question: &Question<'_>) -> Answer {
        let began = Instant::now();
        let (mut answer, draw) = match self.fault_effect(client, occasion(question)).await {
            None => (self.instances.answer(question, Timestamp::now()), None),
            Some(FaultEffect::Refused(answer)) => (answer, None),
            Some(FaultEffect::Corrupt(draw)) => (
                self.instances.answer(question, Timestamp::now()),
                Some(draw),
            ),
        };
        if self.store.settled().await.is_err() {
            answer = self.instances.refuse(&Refusal::Internal, Timestamp::now());
        }
        let (protocol, took) = (question.origin.protocol, began.elapsed());
        self.tally.requests.add(&question.operation, protocol, took);
        if let Some(log) = &self.diagnostics {
            self.log(log, question, (&answer, took));
        }
        // Last, for the log tells what the service has answered.
        if let Some(draw) = draw {
            corrupt(&mut answer.body, draw);
        }
        answer
    }

    /// A question to an instance that there is not is nobody's operation.
    fn log(
        &self,
        log: &DiagnosticLog,
        question: &Question<'_>,
        (answer, took): (&Answer, Duration),
    ) {
        let Some(instance) = self.instances.by_id_scope(question.id_scope) else {
            return;
        };
        let operation = Operation {
            category: Category::DeviceOperations,
            kind: "Registration",
            name: match question.operation {
                DeviceOperation::Register => "AttestationAttempt",
                DeviceOperation::OperationStatus(_) => "GetOperationStatus",
                DeviceOperation::RegistrationStatus => "GetRegistrationState",
            },
            instance: instance.name(),
            subscription: instance.subscription(),
            id: question.registration_id.as_str(),
            protocol: shown(question.origin.protocol),
            api_version: question.api_version,
            peer: question.origin.peer,
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

fn occasion<'a>(question: &Question<'a>) -> Occasion<'a> {
    Occasion {
        operation: match question.operation {
            DeviceOperation::Register => FaultOperation::Register,
            _ => FaultOperation::Poll,
        },
        protocol: question.origin.protocol.into(),
        device: question.registration_id.as_str(),
        instance: Some(question.id_scope),
        hub: None,
        region: None,
    }
}
