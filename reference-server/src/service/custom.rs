//! Custom allocation: what an enrollment's webhook is asked, and what its answer means (DPS
//! documentation, "Understand custom allocation policies"). The calls are made elsewhere, by whom
//! `Service::decide` is told.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fleetstorm_protocol::custom_allocation::{
    AllocationRequest, AllocationResponse, DeviceRuntimeContext, PresentedCertificate, WithheldKey,
    mask,
};
use fleetstorm_protocol::ids::RegistrationId;
use fleetstorm_protocol::registration::{DeviceRegistration, TpmAttestation};
use jiff::Timestamp;
use serde_json::Value;

use super::Service;
use super::attestation::{Attested, Credential};
use super::enrollment_list::kind::Kind;
use super::failure::Failure;
use super::operation::{Progress, Registration};
use super::refusal::Refusal;
use super::request::RegistrationRequest;
use crate::counters::instance::WebhookOutcome;
use crate::webhook::WebhookError;
use call::{Call, Preparation};
use choice::{Allocated, Custom};

pub mod call;
pub mod choice;

impl Service {
    /// Prepares a call for a device whose enrollment wants one.
    ///
    /// # Errors
    /// Too many calls wait.
    pub(super) fn prepare_call(
        &self,
        id: &RegistrationId,
        attested: &Attested,
        registration: &DeviceRegistration,
        request: &RegistrationRequest<'_>,
    ) -> Result<Option<Preparation<'_>>, Refusal> {
        let Some(webhook) = &attested.settings.webhook else {
            return Ok(None);
        };
        let place = self.calls.try_reserve().map_err(|_| Refusal::Throttled {
            retry_after: self.retry_after,
        })?;
        let (individual, group) = match &attested.group {
            Some(group) => (None, self.enrollments.get(Kind::Group, group)),
            None => (self.enrollments.get(Kind::Individual, id.as_str()), None),
        };
        let masked = |mut enrollment: Value| {
            mask(&mut enrollment);
            enrollment
        };
        let mut context = DeviceRuntimeContext {
            registration_id: id.to_string(),
            payload: registration.payload.clone(),
            ..DeviceRuntimeContext::default()
        };
        match &attested.credential {
            Credential::Certificate(_) => {
                let leaf = request.certificates.first();
                context.x509 = leaf.map(|leaf| PresentedCertificate {
                    client_certificate: STANDARD.encode(leaf),
                });
            }
            Credential::SymmetricKey(_) => context.symmetric_key = Some(WithheldKey {}),
            Credential::Tpm {
                endorsement_key,
                storage_root_key,
                ..
            } => {
                context.tpm = Some(TpmAttestation {
                    endorsement_key: STANDARD.encode(endorsement_key),
                    storage_root_key: storage_root_key.as_ref().map(|key| STANDARD.encode(key)),
                });
            }
        }
        Ok(Some(Preparation {
            place,
            webhook: webhook.clone(),
            request: AllocationRequest {
                individual_enrollment: individual.map(masked),
                enrollment_group: group.map(masked),
                device_runtime_context: context,
                linked_hubs: Vec::new(),
            },
        }))
    }

    /// Puts down in a registration that its webhook is asked; returns the call's number.
    pub(super) fn ask_webhook(
        &self,
        preparation: &mut Preparation<'_>,
        registration: &mut Registration,
    ) -> u64 {
        let number = self.last_call.fetch_add(1, Ordering::Relaxed) + 1;
        let offered = match self.placement.kept_at(registration) {
            Some(link) => Box::from([link]),
            None => registration.settings.hubs.clone(),
        };
        let request = &mut preparation.request;
        let links = offered
            .iter()
            .filter_map(|link| self.placement.links.get(*link));
        request.linked_hubs = links.map(|link| link.host_name.clone()).collect();
        if let Some(place) = &registration.previous {
            let context = &mut request.device_runtime_context;
            context.current_iot_hub_host_name = self
                .placement
                .hubs
                .get(place.hub)
                .map(|hub| hub.host_name().to_owned());
            context.current_device_id = Some(place.device_id.to_string());
        }
        registration.custom = Some(Box::new(Custom::CertificateRequest { number, offered }));
        number
    }

    /// Hands a call over. It is written here, where no registration is locked any more.
    pub(super) fn call(&self, preparation: Preparation<'_>, number: u64) -> Result<(), Refusal> {
        let Preparation {
            place,
            webhook,
            request,
        } = preparation;
        place.send(Call {
            id_scope: self.id_scope.clone(),
            registration_id: request.device_runtime_context.registration_id.clone(),
            number,
            webhook,
            body: serde_json::to_vec(&request).map_err(|_| Refusal::Internal)?,
        });
        Ok(())
    }

    /// A call is over: what it came to, if not to a hub. An answer that nobody waits for any more
    /// changes nothing.
    pub(crate) fn decide(
        &self,
        call: &Call,
        reply: Result<(u16, Bytes), WebhookError>,
        now: Timestamp,
    ) -> Option<Failure> {
        let key = call.registration_id.to_ascii_lowercase();
        let mut registrations = self.registrations.of(key.as_str());
        let known = registrations.get_mut(key.as_str())?;
        let Some(Custom::CertificateRequest { number, offered }) = known.custom.as_deref() else {
            return None;
        };
        if *number != call.number {
            return None;
        }
        let answered = self.understand(reply, offered);
        let failure = answered.as_ref().err().cloned();
        known.custom = Some(Box::new(Custom::Answered(answered)));
        if let Progress::Assigning { done } = &mut known.progress {
            *done = now.max(*done);
        }
        self.foresee(&key, known);
        drop(registrations);
        self.meter.called(called(failure.as_ref()));
        failure
    }

    fn understand(
        &self,
        reply: Result<(u16, Bytes), WebhookError>,
        offered: &[usize],
    ) -> Result<Allocated, Failure> {
        let (status, body) = reply.map_err(Failure::Webhook)?;
        if !(200..300).contains(&status) {
            return Err(Failure::WebhookStatus(status));
        }
        // A parser repeats what it did not expect.
        let answer = AllocationResponse::from_body(&body)
            .map_err(|e| Failure::WebhookAnswer(format!("the webhook's {:.200}", e.to_string())))?;
        let hub = answer.iot_hub_host_name.unwrap_or_default();
        if hub.is_empty() {
            return Err(Failure::WebhookHub(
                "the webhook's answer names no iotHubHostName".into(),
            ));
        }
        let named = |link: &usize| {
            let link = self.placement.links.get(*link);
            link.is_some_and(|link| link.host_name.eq_ignore_ascii_case(&hub))
        };
        let link = offered.iter().copied().find(named).ok_or_else(|| {
            Failure::WebhookHub(format!(
                "the webhook's answer names \"{hub:.253}\", which is none of the linkedHubs that it was told"
            ))
        })?;
        if let Some(twin) = &answer.initial_twin {
            twin.check().map_err(|problem| {
                Failure::WebhookAnswer(format!("the webhook's initialTwin: {problem:.200}"))
            })?;
        }
        Ok(Allocated {
            link,
            initial_twin: answer.initial_twin,
            payload: answer.payload,
        })
    }
}

impl Registration {
    /// Whether its webhook has yet to answer.
    pub(super) fn awaits_webhook(&self) -> bool {
        matches!(
            self.custom.as_deref(),
            Some(Custom::CertificateRequest { .. })
        )
    }

    /// Once the device is placed, only what it is told is kept of its webhook's choice.
    pub(super) fn forget_choice(&mut self) {
        if let Some(Custom::Answered(Ok(allocated))) = self.custom.as_deref_mut()
            && allocated.payload.is_some()
        {
            allocated.initial_twin = None;
        } else {
            self.custom = None;
        }
    }

    /// What its webhook chose.
    pub(super) fn allocated(&self) -> Option<&Result<Allocated, Failure>> {
        match self.custom.as_deref()? {
            Custom::Answered(answered) => Some(answered),
            Custom::CertificateRequest { .. } => None,
        }
    }
}

/// What a call came to, by the failure that it ended with, if it did.
fn called(failure: Option<&Failure>) -> WebhookOutcome {
    match failure {
        None => WebhookOutcome::Allocated,
        Some(Failure::WebhookStatus(_)) => WebhookOutcome::Refused,
        Some(Failure::Webhook(WebhookError::TooSlow(_))) => WebhookOutcome::TimedOut,
        Some(Failure::Webhook(WebhookError::TooLong)) => WebhookOutcome::BadAnswer,
        Some(Failure::Webhook(_)) => WebhookOutcome::Unreachable,
        Some(_) => WebhookOutcome::BadAnswer,
    }
}
