//! The error body of every 4xx and 5xx answer (DPS REST API, "Error codes").

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::DecodeError;

/// Error body; the first three digits of the code are the HTTP status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceError {
    /// Like 401002: the HTTP status and three digits of detail.
    pub error_code: u32,
    /// Names the answer in the service's logs.
    #[serde(default)]
    pub tracking_id: String,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// Details; left out when empty.
    #[serde(
        default,
        deserialize_with = "null_as_empty",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub info: BTreeMap<String, String>,
    /// When, RFC 3339 with seven fractional digits.
    #[serde(default)]
    pub timestamp_utc: String,
}

impl ServiceError {
    /// Reads the body of a 4xx or 5xx answer.
    ///
    /// # Errors
    /// Not JSON, or without `errorCode`.
    pub fn from_body(body: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(body)
            .map_err(|problem| DecodeError::new("error body", problem.to_string()))
    }

    /// The HTTP status that the code carries; 500 for a code that carries none.
    pub fn http_status(&self) -> u16 {
        let status = u16::try_from(self.error_code / 1000).ok();
        status
            .filter(|status| (400..600).contains(status))
            .unwrap_or(500)
    }
}

/// Some answers of the service write `"info": null` for "no details".
fn null_as_empty<'de, D: Deserializer<'de>>(
    value: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

/// The codes the reference server answers with. Those marked "seen" stand in
/// captures of the real service; the others follow its numbering.
pub mod code {
    /// Malformed body, path or query.
    pub const BAD_REQUEST: u32 = 400_004;
    /// An operation that failed: the custom allocation webhook refused, or gave no good answer (seen).
    pub const CUSTOM_ALLOCATION_FAILED: u32 = 400_207;
    /// An operation that failed: there is no hub to assign the device to (as the C SDK reads it).
    pub const NO_HUB: u32 = 400_208;
    /// An operation that failed: the hub refused the device (as the C SDK reads it).
    pub const HUB_REFUSED: u32 = 400_209;
    /// Wrong signature or expired SAS token (seen).
    pub const UNAUTHORIZED: u32 = 401_000;
    /// Certificate unknown, expired or not chaining to an enrollment (seen).
    pub const INVALID_CERTIFICATE: u32 = 401_002;
    /// The id scope names no instance.
    pub const SCOPE_NOT_FOUND: u32 = 404_000;
    /// No such operation.
    pub const OPERATION_NOT_FOUND: u32 = 404_203;
    /// No enrollment for the registration id (seen).
    pub const ENROLLMENT_NOT_FOUND: u32 = 404_201;
    /// The policy of the token does not open it.
    pub const FORBIDDEN: u32 = 403_000;
    /// A quota is used up.
    pub const QUOTA_EXCEEDED: u32 = 403_002;
    /// It is there already.
    pub const CONFLICT: u32 = 409_000;
    /// It has another entity tag.
    pub const PRECONDITION_FAILED: u32 = 412_000;
    /// Method not allowed on the path.
    pub const METHOD_NOT_ALLOWED: u32 = 405_000;
    /// The body did not come in time.
    pub const REQUEST_TIMEOUT: u32 = 408_000;
    /// Body over 96 KB.
    pub const TOO_LARGE: u32 = 413_000;
    /// Not application/json.
    pub const UNSUPPORTED_MEDIA_TYPE: u32 = 415_000;
    /// Over a throttle.
    pub const THROTTLED: u32 = 429_001;
    /// The service's own fault.
    pub const INTERNAL: u32 = 500_001;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from the service (github.com/microsoft/vscode-iot-workbench issue 590).
    #[test]
    fn the_captured_refusal_is_read() {
        let body = br#"{"errorCode":401002,"trackingId":"t","message":"Invalid certificate","timestampUtc":"2019-03-15T19:43:02.7904455Z"}"#;
        let error = ServiceError::from_body(body).expect("capture");
        assert_eq!(
            (error.error_code, error.http_status()),
            (code::INVALID_CERTIFICATE, 401)
        );
        assert_eq!(serde_json::to_vec(&error).expect("serialises"), body);
    }

    #[test]
    fn only_the_code_is_required() {
        let error = ServiceError::from_body(br#"{"errorCode":404201,"info":null,"more":1}"#)
            .expect("reads");
        assert_eq!((error.http_status(), error.info.len()), (404, 0));
        for body in ["", "<html>", "{}", r#"{"errorCode":"401002"}"#] {
            assert!(ServiceError::from_body(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn codes_that_carry_no_status_count_as_internal() {
        for error_code in [0, 5, 200_000, 999_999, u32::MAX] {
            let error =
                ServiceError::from_body(format!(r#"{{"errorCode":{error_code}}}"#).as_bytes())
                    .expect("reads");
            assert_eq!(error.http_status(), 500, "{error_code}");
        }
    }
}
