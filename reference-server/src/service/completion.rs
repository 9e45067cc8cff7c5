//! How an operation ends, and what is told of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::registration::DeviceRegistrationResult;
use fleetstorm_protocol::sas::SasToken;
use jiff::Timestamp;

use super::attestation::Credential;
use super::failure::Failure;
use super::operation::{HubAssignment, Progress, Registration};
use super::refusal::Refusal;
use super::request::RegistrationRequest;
use super::tpm_challenge::{HmacKey, PresentedTpm};
use super::{Service, placement};
use crate::hub::authentication::Authentication;

/// Most operations that are ended in one go.
const IN_ONE_GO: usize = 64;

impl Service {
    /// Sees to it that an operation ends in time.
    pub(super) fn foresee(&self, key: &str, registration: &Registration) {
        if let Progress::Assigning { done } = registration.progress {
            self.registrations.under_way.add(done, key);
        }
    }

    /// Takes a device that is assigned out of the place that it has left, if any. Until that is done it is
    /// kept with its registration, so that it is done in the end.
    pub(super) fn take_out(&self, registration: &mut Registration) {
        let left = registration.previous.as_ref();
        if left.is_some_and(|left| self.placement.is_out_of(left)) {
            registration.previous = None;
            self.keep(registration);
        }
    }

    /// When the next operation will end, if any is under way.
    pub(crate) fn next_end(&self) -> Option<Timestamp> {
        self.registrations.under_way.first()
    }

    /// Waits until another operation is the next to end.
    pub(crate) async fn next_end_changed(&self) {
        self.registrations.under_way.first_changed().await;
    }

    /// Ends the first of the operations whose time is over; see [`Service::next_end`] for whether there
    /// are more.
    pub(crate) fn complete_ended(&self, now: Timestamp) {
        for key in self.registrations.under_way.take(now, IN_ONE_GO) {
            if let Some(registration) = self.registrations.of(&key).get_mut(&*key) {
                self.complete(registration, now);
            }
        }
    }

    /// Ends an operation once its processing time is over: whoever comes first does it, the device that
    /// asks or [`Service::complete_ended`].
    pub(super) fn complete(&self, registration: &mut Registration, now: Timestamp) {
        let Progress::Assigning { done } = registration.progress else {
            return;
        };
        if now < done || registration.awaits_webhook() {
            return;
        }
        match self.assign(registration, done, now) {
            Ok((assigned, left)) => {
                registration.progress = assigned;
                registration.previous = left;
                self.keep(registration);
                self.take_out(registration);
                registration.forget_choice();
            }
            Err(why) => {
                self.meter.registrations_failed.add();
                self.tally.failed(why.code());
                registration.progress = Progress::Failed { at: done, why };
                self.keep(registration);
            }
        }
    }

    /// Assigns a hub: the identity and its twin stand in the hub's registry before any device
    /// hears of it. With it comes the place that the device leaves.
    fn assign(
        &self,
        registration: &Registration,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<(Progress, Option<HubAssignment>), Failure> {
        let link = self.placement.allocate(registration)?;
        let (authentication, hub_key) = match (&registration.issued, &registration.credential) {
            (Some(issued), _) => (Authentication::certificate(issued.thumbprint()), None),
            (None, Credential::Certificate(thumbprint)) => {
                (Authentication::certificate(*thumbprint), None)
            }
            (None, Credential::SymmetricKey(keys)) => {
                let authentication = Authentication::Sas {
                    primary: keys.primary().clone(),
                    secondary: Some(keys.secondary().clone()),
                };
                (authentication, None)
            }
            (
                None,
                Credential::Tpm {
                    key,
                    storage_root_key,
                    ..
                },
            ) => {
                // Without a storage root key none can be wrapped: the TPM keeps the one that it has.
                let key = storage_root_key.as_ref().map_or(*key, |_| HmacKey::new());
                (Authentication::key(key.into()), Some(key))
            }
        };
        let assigned = Progress::Assigned {
            hub: link.hub,
            at,
            hub_key,
            substatus: placement::outcome(registration, link),
        };
        let left = self
            .placement
            .place(registration, link, authentication, now)?;
        self.tally.registrations_assigned.add();
        if let Some(tally) = self.tally.hub(link.hub) {
            tally.assignments.add();
        }
        self.meter.assigned(link.hub);
        Ok((assigned, left))
    }

    /// Whether a request comes from the device that registered. Over a new connection a TPM shows
    /// that it could open another challenge.
    pub(super) fn is_shown(
        &self,
        registration: &mut Registration,
        request: &RegistrationRequest<'_>,
        resource: &str,
        now: Timestamp,
    ) -> bool {
        let credential = &mut registration.credential;
        if credential.is_shown_by(request, resource, now) {
            return true;
        }
        let Credential::Tpm {
            key,
            endorsement_key,
            ..
        } = credential
        else {
            return false;
        };
        let token = request.sas.and_then(|token| SasToken::parse(token).ok());
        let id = request.registration_id.canonical();
        let solved = token.and_then(|token| {
            self.challenges
                .solved(&id, endorsement_key, &token, resource, now)
        });
        let Some(solved) = solved else {
            return false;
        };
        // The hub's key stays wrapped for the TPM that registered last: a double that asks can't open it.
        *key = solved;
        true
    }

    pub(super) fn assigned_host_name(&self, registration: &Registration) -> Option<&str> {
        match registration.progress {
            Progress::Assigned { hub, .. } => {
                self.placement.hubs.get(hub).map(|hub| hub.host_name())
            }
            Progress::Assigning { .. } | Progress::Failed { .. } => None,
        }
    }

    /// registrationState; a TPM's hub key is wrapped anew for each answer, so that none is kept.
    pub(super) fn state(
        &self,
        registration: &Registration,
    ) -> Result<DeviceRegistrationResult, Refusal> {
        let wrapped_key = match (&registration.credential, &registration.progress) {
            (
                Credential::Tpm {
                    endorsement_key,
                    storage_root_key: Some(storage_root_key),
                    ..
                },
                Progress::Assigned {
                    hub_key: Some(key), ..
                },
            ) => {
                let tpm = PresentedTpm::known(endorsement_key, storage_root_key)?;
                Some(STANDARD.encode(tpm.wrap(key)?))
            }
            _ => None,
        };
        Ok(registration.state(self.assigned_host_name(registration), wrapped_key))
    }
}
