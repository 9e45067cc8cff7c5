//! HTTPS binding of the device API: paths and headers (DPS REST API, "Runtime registration").

use crate::ids::{IdScope, OperationId, RegistrationId};
use crate::path_error::PathError;
use crate::{api_version, query};

/// The api-version the simulator's devices send, as the current SDKs do.
pub const API_VERSION: &str = "2019-03-31";

/// Largest body DPS takes, in bytes (DPS documentation, "Quotas and limits").
pub const MAX_BODY: usize = 96 * 1024;

/// What a device asks over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRequest {
    /// The instance; still text, because it may name none.
    pub id_scope: String,
    /// The device.
    pub registration_id: RegistrationId,
    /// What it wants.
    pub operation: DeviceOperation,
    /// In which version of the API.
    pub api_version: String,
}

/// The three device operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceOperation {
    /// `PUT …/register`
    Register,
    /// `GET …/operations/{operationId}`
    OperationStatus(OperationId),
    /// `POST …/registrations/{registrationId}`
    RegistrationStatus,
}

impl DeviceRequest {
    /// Reads method, path and query. Percent-encoded segments are decoded;
    /// a missing `api-version` is malformed.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn parse(method: &str, path: &str, query: Option<&str>) -> Result<Self, PathError> {
        let segments: Vec<&str> = path.split('/').collect();
        let ["", id_scope, registrations, registration_id, rest @ ..] = segments.as_slice() else {
            return Err(PathError::NotFound);
        };
        if !registrations.eq_ignore_ascii_case("registrations") {
            return Err(PathError::NotFound);
        }
        let (expected_method, operation_id) = match rest {
            [] => ("POST", None),
            [word] if word.eq_ignore_ascii_case("register") => ("PUT", None),
            [word, id] if word.eq_ignore_ascii_case("operations") => ("GET", Some(id)),
            _ => return Err(PathError::NotFound),
        };
        if method != expected_method {
            return Err(PathError::MethodNotAllowed);
        }
        Ok(Self {
            api_version: api_version::of_query(query)?,
            id_scope: query::decode("id scope", id_scope)?,
            registration_id: RegistrationId::parse(&query::decode(
                "registration id",
                registration_id,
            )?)?,
            operation: match operation_id {
                Some(id) => DeviceOperation::OperationStatus(OperationId::parse(&query::decode(
                    "operation id",
                    id,
                )?)?),
                None if rest.is_empty() => DeviceOperation::RegistrationStatus,
                None => DeviceOperation::Register,
            },
        })
    }
}

/// `/{idScope}/registrations/{registrationId}/register?api-version=…`
pub fn register_path(scope: &IdScope, id: &RegistrationId) -> String {
    format!("/{scope}/registrations/{id}/register?api-version={API_VERSION}")
}

/// `/{idScope}/registrations/{registrationId}/operations/{operationId}?api-version=…`
pub fn operation_path(scope: &IdScope, id: &RegistrationId, operation: &OperationId) -> String {
    format!("/{scope}/registrations/{id}/operations/{operation}?api-version={API_VERSION}")
}

/// Reads a `Retry-After` header: whole seconds. An HTTP date counts as absent,
/// as in the SDKs.
pub fn parse_retry_after(value: &str) -> Option<u32> {
    query::seconds(value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const V: Option<&str> = Some("api-version=2019-03-31");

    #[test]
    fn own_paths_read_back() {
        let scope = IdScope::parse("0ne00111111").expect("valid");
        let id = RegistrationId::parse("Dev:1_a.b").expect("valid");
        let operation = OperationId::parse("5.316aac5bdc130deb.b1e02da8").expect("valid");
        let cases = [
            ("PUT", register_path(&scope, &id), DeviceOperation::Register),
            (
                "GET",
                operation_path(&scope, &id, &operation),
                DeviceOperation::OperationStatus(operation.clone()),
            ),
        ];
        for (method, target, operation) in cases {
            let (path, query) = target.split_once('?').expect("has a query");
            let request = DeviceRequest::parse(method, path, Some(query)).expect("own path");
            let expected = DeviceRequest {
                id_scope: "0ne00111111".into(),
                registration_id: id.clone(),
                operation,
                api_version: API_VERSION.into(),
            };
            assert_eq!(request, expected);
        }
    }

    #[test]
    fn segments_are_decoded_and_query_extras_ignored() {
        let request = DeviceRequest::parse(
            "GET",
            "/0ne%30/registrations/dev%3a1/operations/5%2e3%2Db",
            Some("forceRegistration=true&Api-Version=2021%2D06-01"),
        )
        .expect("percent-encoded as by the C SDK");
        assert_eq!(request.id_scope, "0ne0");
        assert_eq!(request.api_version, "2021-06-01");
        assert_eq!(request.registration_id.as_str(), "dev:1");
        assert_eq!(
            request.operation,
            DeviceOperation::OperationStatus(OperationId::parse("5.3-b").expect("valid"))
        );
    }

    #[test]
    fn refusals_tell_404_405_and_400_apart() {
        use PathError::{MethodNotAllowed, NotFound};
        let cases = [
            ("PUT", "", V, Some(NotFound)),
            ("PUT", "/", V, Some(NotFound)),
            ("PUT", "s/registrations/a/register", V, Some(NotFound)),
            ("PUT", "/s/devices/a/register", V, Some(NotFound)),
            ("PUT", "/s/registrations/a/unregister", V, Some(NotFound)),
            ("GET", "/s/registrations/a/operations", V, Some(NotFound)),
            (
                "GET",
                "/s/registrations/a/operations/1/2",
                V,
                Some(NotFound),
            ),
            (
                "GET",
                "/s/registrations/a/register",
                V,
                Some(MethodNotAllowed),
            ),
            (
                "put",
                "/s/registrations/a/register",
                V,
                Some(MethodNotAllowed),
            ),
            (
                "PUT",
                "/s/registrations/a/operations/1",
                V,
                Some(MethodNotAllowed),
            ),
            ("GET", "/s/registrations/a", V, Some(MethodNotAllowed)),
            ("PUT", "/s/registrations/a/register", None, None),
            (
                "PUT",
                "/s/registrations/a/register",
                Some("api-version="),
                None,
            ),
            ("PUT", "/s/registrations/a%2Fb/register", V, None),
            ("PUT", "/s/registrations//register", V, None),
            ("PUT", "/s/registrations/%ff/register", V, None),
            ("GET", "/s/registrations/a/operations/%20", V, None),
        ];
        for (method, path, query, expected) in cases {
            let error = DeviceRequest::parse(method, path, query).expect_err(path);
            match expected {
                Some(expected) => assert_eq!(error, expected, "{method} {path}"),
                None => assert!(
                    matches!(error, PathError::Malformed(_)),
                    "{method} {path}: {error}"
                ),
            }
        }
    }

    #[test]
    fn a_registration_is_looked_up_with_post() {
        let request = DeviceRequest::parse("POST", "/s/registrations/a", V).expect("look-up");
        assert_eq!(request.operation, DeviceOperation::RegistrationStatus);
    }

    #[test]
    fn retry_after_is_whole_seconds_or_absent() {
        assert_eq!(parse_retry_after(" 3 "), Some(3));
        for value in ["", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "3s"] {
            assert_eq!(parse_retry_after(value), None, "{value}");
        }
    }
}
