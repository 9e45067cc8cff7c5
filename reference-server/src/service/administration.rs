//! What the service side may ask of an instance: enrollments and registration records, whatever
//! carries the question.

use std::sync::atomic::Ordering;

use fleetstorm_protocol::enrollment::Enrollment;
use fleetstorm_protocol::ids::RegistrationId;
use fleetstorm_protocol::service_api::{
    BulkError, BulkItem, BulkMode, BulkOperation, BulkResult, MAX_BULK,
};
use jiff::Timestamp;
use serde_json::Value;

use super::access::AccessPolicies;
use super::enrollment_list::{Condition, EnrollmentList, Kind, Page, WriteError};
use super::operation::Registration;
use super::{Refusal, Service};

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
    pub fn bulk(
        &self,
        kind: Kind,
        bulk: &BulkOperation,
        now: Timestamp,
    ) -> Result<BulkResult, Refusal> {
        let items = &bulk.enrollments;
        if items.is_empty() || items.len() > MAX_BULK {
            return Err(Refusal::BadRequest(format!(
                "{} enrollments: a bulk operation has from 1 to {MAX_BULK}",
                items.len()
            )));
        }
        if let Some(other) = items.iter().find(|item| kind_of(&item.enrollment) != kind) {
            let id = other.enrollment.id();
            return Err(Refusal::BadRequest(format!(
                "\"{id}\" is of the other kind of enrollment"
            )));
        }
        let errors: Vec<_> = items
            .iter()
            .filter_map(|item| Some((item, self.one_of_bulk(kind, bulk.mode, item, now).err()?)))
            .map(|(item, error)| {
                let id = item.enrollment.id().to_owned();
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
        kind: Kind,
        mode: BulkMode,
        item: &BulkItem,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        let condition = match (mode, &item.etag) {
            (BulkMode::Create, _) => Condition::Absent,
            (BulkMode::UpdateIfMatchETag, Some(tag)) => Condition::Is(tag),
            (BulkMode::Update | BulkMode::UpdateIfMatchETag, _) => Condition::Exists,
            (BulkMode::Delete, _) => {
                let id = item.enrollment.id();
                return self.enrollments.remove(kind, id, Condition::None);
            }
        };
        self.enrollments
            .put(&item.enrollment, condition, now)
            .map(drop)
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
    /// There is none.
    pub fn remove_registration(&self, id: &str) -> Result<(), Refusal> {
        let key = id.to_ascii_lowercase();
        let mut registrations = self.registrations.of(key.as_str());
        let removed = registrations.remove(key.as_str());
        removed.ok_or(Refusal::RegistrationNotFound)?;
        self.forget(&key);
        drop(registrations);
        self.registration_count.fetch_sub(1, Ordering::Relaxed);
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

fn kind_of(enrollment: &Enrollment) -> Kind {
    match enrollment {
        Enrollment::Individual(_) => Kind::Individual,
        Enrollment::Group(_) => Kind::Group,
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
