//! What the service side may ask of an instance: enrollments and registration records, whatever
//! carries the request.

use fleetstorm_protocol::ids::RegistrationId;
use fleetstorm_protocol::service_api::{
    BulkError, BulkItem, BulkMode, BulkOperation, BulkResult, MAX_BULK,
};
use jiff::Timestamp;
use serde_json::Value;

use super::Service;
use super::access::AccessPolicies;
use super::enrollment_list::EnrollmentList;
use super::enrollment_list::condition::{Condition, WriteError};
use super::enrollment_list::kind::Kind;
use super::enrollment_list::page::Page;
use super::operation::Registration;
use super::refusal::Refusal;

impl Service {
    /// Who may ask.
    pub fn access(&self) -> &AccessPolicies {
        &self.access
    }

    /// Who may register.
    pub fn enrollments(&self) -> &EnrollmentList {
        &self.enrollments
    }

    /// Does the same with many enrollments; some may fail.
    ///
    /// # Errors
    /// More than [`MAX_BULK`], or not all of one kind: then nothing is done.
    pub fn bulk<'a>(
        &self,
        kind: Kind,
        bulk: &'a BulkOperation,
        now: Timestamp,
    ) -> Result<BulkResult, Refusal> {
        let items = &bulk.enrollments;
        if items.is_empty() || items.len() > MAX_BULK {
            return Err(Refusal::BadRequest(format!(
                "{} enrollments: a bulk operation has from 1 to {MAX_BULK}",
                items.len()
            )));
        }
        let name = |item: &'a BulkItem| match kind {
            Kind::Individual => item.registration_id(),
            Kind::Group => item.enrollment_group_id(),
        };
        let ids: Option<Vec<&str>> = items.iter().map(name).collect();
        let Some(ids) = ids else {
            let member = match kind {
                Kind::Individual => "registrationId",
                Kind::Group => "enrollmentGroupId",
            };
            return Err(Refusal::BadRequest(format!(
                "{member}: is missing from an enrollment, or that is of the other kind"
            )));
        };
        let errors: Vec<_> = items
            .iter()
            .zip(ids)
            .filter_map(|(item, id)| {
                let done = self.one_of_bulk((kind, id), bulk.mode, item, now);
                Some((id, done.err()?))
            })
            .map(|(id, error)| {
                let id = id.to_owned();
                let (registration_id, enrollment_group_id) = match kind {
                    Kind::Individual => (Some(id), None),
                    Kind::Group => (None, Some(id)),
                };
                BulkError {
                    registration_id,
                    enrollment_group_id,
                    error_status: error.to_string(),
                    error_code: Refusal::from(error).code(),
                }
            })
            .collect();
        Ok(BulkResult {
            is_successful: errors.is_empty(),
            errors,
        })
    }

    fn one_of_bulk(
        &self,
        (kind, id): (Kind, &str),
        mode: BulkMode,
        item: &BulkItem,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        let condition = match (mode, item.etag()) {
            (BulkMode::Create, _) => Condition::Absent,
            (BulkMode::UpdateIfMatchETag, Some(tag)) => Condition::Is(tag),
            (BulkMode::Update | BulkMode::UpdateIfMatchETag, _) => Condition::Exists,
            (BulkMode::Delete, _) => {
                return self.enrollments.remove(kind, id, Condition::None);
            }
        };
        let enrollment = item.enrollment();
        let enrollment = enrollment.map_err(|e| WriteError::Invalid(e.to_string()))?;
        self.enrollments.put(&enrollment, condition, now).map(drop)
    }

    /// An enrollment in the form of the service API; of an individual one with what its device has
    /// become.
    pub fn enrollment(&self, kind: Kind, id: &str, now: Timestamp) -> Option<Value> {
        let mut document = self.enrollments.get(kind, id)?;
        if kind == Kind::Individual
            && let Ok(state) = self.registration(id, now)
        {
            document["registrationState"] = state;
        }
        Some(document)
    }

    /// A device's registration record.
    ///
    /// # Errors
    /// There is none.
    pub fn registration(&self, id: &str, now: Timestamp) -> Result<Value, Refusal> {
        let key = RegistrationId::parse(id).map_err(|e| Refusal::BadRequest(e.to_string()))?;
        let key = key.canonical();
        let mut registrations = self.registrations.of(key.as_str());
        let known = registrations.get_mut(key.as_str());
        let known = known.ok_or(Refusal::RegistrationNotFound)?;
        self.complete(known, now);
        self.record(known).ok_or(Refusal::Internal)
    }

    /// Forgets a registration. The hub keeps the device; its next registration is its first.
    ///
    /// # Errors
    /// There is none, or not as the condition wants it.
    pub fn remove_registration(&self, id: &str, condition: Condition<'_>) -> Result<(), Refusal> {
        let key = id.to_ascii_lowercase();
        let mut registrations = self.registrations.of(key.as_str());
        let known = registrations.get(key.as_str());
        let known = known.ok_or(Refusal::RegistrationNotFound)?;
        let tag = known.state(None, None).etag;
        condition.admits(tag.as_deref().unwrap_or_default())?;
        registrations.remove(key.as_str());
        self.forget(&key);
        drop(registrations);
        self.registrations.count_one_less();
        Ok(())
    }

    /// Registration records of a group's devices.
    pub fn registrations_of(&self, group: &str, from: Option<&str>, limit: usize) -> Page {
        let show = |_: &str, known: &Registration| {
            let of = known.group.as_deref();
            let of_group = of.is_some_and(|name| name.eq_ignore_ascii_case(group));
            of_group.then(|| self.record(known)).flatten()
        };
        let (items, next) = self.registrations.page(from, limit, show);
        Page { items, next }
    }

    /// As the service side sees it: without what is the device's alone.
    fn record(&self, registration: &Registration) -> Option<Value> {
        let host_name = self.assigned_host_name(registration);
        serde_json::to_value(registration.state(host_name, None)).ok()
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Invalid(problem) => Self::BadRequest(problem),
            WriteError::Exists(_) => Self::Conflict(error.to_string()),
            WriteError::NotFound => Self::EnrollmentNotFound,
            WriteError::OtherTag => Self::PreconditionFailed,
            WriteError::Full(problem) => Self::QuotaExceeded(problem),
        }
    }
}
