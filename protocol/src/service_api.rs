//! The service API's paths and documents (DPS REST API, "Individual Enrollment", "Enrollment
//! Group", "Device Registration State"). Clients differ in case and in trailing slashes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::enrollment::Enrollment;
use crate::path_error::PathError;
use crate::{DecodeError, api_version, query};

/// Enrollments that a bulk operation may have (DPS REST API, "Run Bulk Operation").
pub const MAX_BULK: usize = 10;

/// What the service side asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRequest {
    /// Of what.
    pub collection: Collection,
    /// What.
    pub operation: ServiceOperation,
    /// In which version of the API.
    pub api_version: String,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// `/enrollments`
    Enrollments,
    /// `/enrollmentGroups`
    EnrollmentGroups,
    /// `/registrations`
    Registrations,
}

impl Collection {
    /// The one that a path is about, whatever its case.
    pub fn of_path(path: &str) -> Option<Self> {
        let named = path.strip_prefix('/')?.split('/').next()?;
        match named.to_ascii_lowercase().as_str() {
            "enrollments" => Some(Self::Enrollments),
            "enrollmentgroups" => Some(Self::EnrollmentGroups),
            "registrations" => Some(Self::Registrations),
            _ => None,
        }
    }

    /// As header `x-ms-item-type` names it.
    pub fn item_type(self) -> &'static str {
        match self {
            Self::Enrollments => "Enrollment",
            Self::EnrollmentGroups => "EnrollmentGroup",
            Self::Registrations => "DeviceRegistration",
        }
    }
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceOperation {
    /// `GET /{collection}/{id}`
    Get(String),
    /// `PUT /{collection}/{id}`
    Put(String),
    /// `DELETE /{collection}/{id}`
    Delete(String),
    /// `POST /{collection}`
    Bulk,
    /// `POST /{collection}/query`
    Query,
    /// `POST /registrations/{enrollmentGroupId}/query`
    QueryGroup(String),
    /// `POST /{collection}/{id}/attestationmechanism`
    AttestationMechanism(String),
}

impl ServiceRequest {
    /// Reads method, path and query; a missing `api-version` is malformed.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn parse(method: &str, path: &str, query: Option<&str>) -> Result<Self, PathError> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let collection = Collection::of_path(path).ok_or(PathError::NotFound)?;
        let segments: Vec<&str> = path.split('/').collect();
        let ["", _, rest @ ..] = segments.as_slice() else {
            return Err(PathError::NotFound);
        };
        let is = |segment: &str, word: &str| segment.eq_ignore_ascii_case(word);
        let id = |segment: &str| query::decode("id", segment);
        let records = collection == Collection::Registrations;
        let operation = match (rest, method) {
            ([], "POST") if !records => ServiceOperation::Bulk,
            ([word], "POST") if is(word, "query") && !records => ServiceOperation::Query,
            ([written], "GET") => ServiceOperation::Get(id(written)?),
            ([written], "PUT") if !records => ServiceOperation::Put(id(written)?),
            ([written], "DELETE") => ServiceOperation::Delete(id(written)?),
            ([written, word], "POST") if is(word, "query") && records => {
                ServiceOperation::QueryGroup(id(written)?)
            }
            ([written, word], "POST") if is(word, "attestationmechanism") && !records => {
                ServiceOperation::AttestationMechanism(id(written)?)
            }
            ([] | [_], _) => return Err(PathError::MethodNotAllowed),
            _ => return Err(PathError::NotFound),
        };
        Ok(Self {
            collection,
            operation,
            api_version: api_version::of_query(query)?,
        })
    }
}

/// Body of a query. It gets everything of a collection, whatever its text: DPS does not read that (the
/// Azure CLI writes a Python dictionary there).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct QuerySpecification {
    /// Like `SELECT * FROM enrollments`.
    pub query: String,
}

/// Body of a bulk operation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkOperation {
    /// What is done with each.
    pub mode: BulkMode,
    /// With which; at most [`MAX_BULK`].
    #[serde(alias = "enrollmentGroups")]
    pub enrollments: Vec<BulkItem>,
}

/// One of them: an enrollment, or its id alone where it is removed. It is read when its turn comes,
/// so that what is wrong with one is no other's problem.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct BulkItem {
    document: Value,
}

impl BulkItem {
    /// The registration id of an individual enrollment.
    pub fn registration_id(&self) -> Option<&str> {
        self.document["registrationId"].as_str()
    }

    /// The id of a group.
    pub fn enrollment_group_id(&self) -> Option<&str> {
        self.document["enrollmentGroupId"].as_str()
    }

    /// The entity tag that it has to have, where the mode asks for it.
    pub fn etag(&self) -> Option<&str> {
        self.document["etag"].as_str()
    }

    /// All of it.
    ///
    /// # Errors
    /// It is no enrollment.
    pub fn enrollment(&self) -> Result<Enrollment, DecodeError> {
        Enrollment::deserialize(&self.document)
            .map_err(|problem| DecodeError::new("enrollment", problem.to_string()))
    }
}

/// What a bulk operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BulkMode {
    /// Enters what is not there.
    Create,
    /// Writes over what is there.
    Update,
    /// Writes over what is there and unchanged.
    #[serde(rename = "updateIfMatchETag")]
    UpdateIfMatchETag,
    /// Removes.
    Delete,
}

/// Answer to a bulk operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkResult {
    /// Whether all went well.
    pub is_successful: bool,
    /// What did not; there and empty where all did, for the C and Java SDKs read it.
    pub errors: Vec<BulkError>,
}

/// One that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkError {
    /// Which, if it is an individual enrollment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<String>,
    /// Which, if it is a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
    /// DPS error code.
    pub error_code: u32,
    /// For people.
    pub error_status: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart_whatever_their_case() {
        use Collection::{EnrollmentGroups, Enrollments, Registrations};
        use ServiceOperation as Op;
        for (method, path, collection, operation) in [
            (
                "GET",
                "/enrollments/a%3Ab",
                Enrollments,
                Op::Get("a:b".into()),
            ),
            ("PUT", "/Enrollments/a", Enrollments, Op::Put("a".into())),
            (
                "DELETE",
                "/enrollmentGroups/g",
                EnrollmentGroups,
                Op::Delete("g".into()),
            ),
            ("POST", "/enrollments/", Enrollments, Op::Bulk),
            ("POST", "/enrollmentGroups", EnrollmentGroups, Op::Bulk),
            ("POST", "/enrollments/query", Enrollments, Op::Query),
            (
                "POST",
                "/enrollmentgroups/g/attestationmechanism",
                EnrollmentGroups,
                Op::AttestationMechanism("g".into()),
            ),
            (
                "GET",
                "/registrations/d",
                Registrations,
                Op::Get("d".into()),
            ),
            (
                "POST",
                "/registrations/g/query",
                Registrations,
                Op::QueryGroup("g".into()),
            ),
        ] {
            let read = ServiceRequest::parse(method, path, Some("api-version=2021-10-01"));
            let expected = ServiceRequest {
                collection,
                operation,
                api_version: "2021-10-01".into(),
            };
            assert_eq!(read, Ok(expected), "{method} {path}");
        }
        for (method, path, query, error) in [
            ("GET", "/enrollments/a", None, "api-version"),
            ("PATCH", "/enrollments/a", Some("api-version=1"), "method"),
            ("PUT", "/registrations/a", Some("api-version=1"), "method"),
            ("GET", "/devices/a", Some("api-version=1"), "no such path"),
            (
                "POST",
                "/enrollments/a/b/c",
                Some("api-version=1"),
                "no such path",
            ),
            ("GET", "", Some("api-version=1"), "no such path"),
        ] {
            let problem = ServiceRequest::parse(method, path, query).expect_err(path);
            assert!(problem.to_string().contains(error), "{path}: {problem}");
        }
    }

    #[test]
    fn bulk_bodies_of_both_kinds_are_read() {
        let item =
            r#"{"enrollmentGroupId":"g","etag":"\"1\"","attestation":{"type":"symmetricKey"}}"#;
        let text = format!(r#"{{"mode":"updateIfMatchETag","enrollmentGroups":[{item}]}}"#);
        let bulk: BulkOperation = serde_json::from_str(&text).expect("documented form");
        assert_eq!(bulk.mode, BulkMode::UpdateIfMatchETag);
        let item = &bulk.enrollments[0];
        assert_eq!(item.enrollment().expect("an enrollment").id(), "g");
        assert_eq!(item.enrollment_group_id(), Some("g"));
        assert_eq!(item.etag(), Some("\"1\""));
        let text = r#"{"mode":"delete","enrollments":[{"registrationId":"d"}]}"#;
        let bulk: BulkOperation = serde_json::from_str(text).expect("an id is enough");
        assert_eq!(bulk.enrollments[0].registration_id(), Some("d"));
    }
}
