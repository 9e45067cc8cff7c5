//! Why the service says no, and the body that says it (DPS documentation, "Error codes").

use fleetstorm_protocol::service_error::{ServiceError, code};
use fleetstorm_protocol::timestamp;
use jiff::Timestamp;
use uuid::Uuid;

use super::request::ServiceResponse;

/// Longest detail for the diagnostic log, in characters.
const MAX_DETAIL: usize = 400;

/// A request that is not answered with what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Malformed body, path or query.
    #[error("{0}")]
    BadRequest(String),
    /// No proof, a wrong signature, an expired token.
    #[error("Unauthorized")]
    Unauthorized,
    /// Certificate unknown, expired, in another name or not chaining to an enrollment: for this reason,
    /// which its device is not told.
    #[error("Invalid certificate")]
    InvalidCertificate(String),
    /// No such instance.
    #[error("ID scope not found")]
    ScopeNotFound,
    /// No such enrollment.
    #[error("Enrollment not found")]
    EnrollmentNotFound,
    /// No such operation, or another device's.
    #[error("Operation not found")]
    OperationNotFound,
    /// No registration of the device.
    #[error("Registration not found")]
    RegistrationNotFound,
    /// The policy that signed does not open it.
    #[error("Forbidden: the shared access policy lacks the permission")]
    Forbidden,
    /// It is there already.
    #[error("{0}")]
    Conflict(String),
    /// It has another entity tag.
    #[error("Precondition failed: it has another etag")]
    PreconditionFailed,
    /// There are as many as there may be.
    #[error("{0}")]
    QuotaExceeded(String),
    /// No such path.
    #[error("Resource not found")]
    PathNotFound,
    /// The path exists, not with this method.
    #[error("Method not allowed")]
    MethodNotAllowed,
    /// A body that does not come.
    #[error("Request timeout")]
    TooSlow,
    /// More than 96 KB.
    #[error("Request body too large")]
    TooLarge,
    /// Not JSON, by its own word.
    #[error("Unsupported media type")]
    UnsupportedMediaType,
    /// Too often.
    #[error("Throttled")]
    Throttled {
        /// Seconds until it is not.
        retry_after: u32,
    },
    /// A defect of the server.
    #[error("Internal server error")]
    Internal,
}

impl Refusal {
    /// DPS error code.
    pub fn code(&self) -> u32 {
        match self {
            Self::BadRequest(_) => code::BAD_REQUEST,
            Self::Unauthorized => code::UNAUTHORIZED,
            Self::InvalidCertificate(_) => code::INVALID_CERTIFICATE,
            Self::ScopeNotFound | Self::PathNotFound => code::SCOPE_NOT_FOUND,
            Self::EnrollmentNotFound | Self::RegistrationNotFound => code::ENROLLMENT_NOT_FOUND,
            Self::Forbidden => code::FORBIDDEN,
            Self::Conflict(_) => code::CONFLICT,
            Self::PreconditionFailed => code::PRECONDITION_FAILED,
            Self::QuotaExceeded(_) => code::QUOTA_EXCEEDED,
            Self::OperationNotFound => code::OPERATION_NOT_FOUND,
            Self::MethodNotAllowed => code::METHOD_NOT_ALLOWED,
            Self::TooSlow => code::REQUEST_TIMEOUT,
            Self::TooLarge => code::TOO_LARGE,
            Self::UnsupportedMediaType => code::UNSUPPORTED_MEDIA_TYPE,
            Self::Throttled { .. } => code::THROTTLED,
            Self::Internal => code::INTERNAL,
        }
    }

    /// The answer that says it.
    pub fn answer(&self, now: Timestamp) -> ServiceResponse {
        let error = ServiceError {
            error_code: self.code(),
            tracking_id: Uuid::new_v4().to_string(),
            message: self.to_string(),
            info: std::collections::BTreeMap::new(),
            timestamp_utc: timestamp::format(now),
        };
        ServiceResponse {
            status: error.http_status(),
            retry_after: match self {
                Self::Throttled { retry_after } => Some(*retry_after),
                _ => None,
            },
            body: serde_json::to_vec(&error).expect("text and numbers are JSON"),
            detail: match self {
                // It may tell names that its device made up.
                Self::InvalidCertificate(problem) => Some(format!("{problem:.MAX_DETAIL$}").into()),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_certificate_is_refused_is_for_the_log_alone_and_short_there() {
        let expired = Refusal::InvalidCertificate("it has expired".into());
        let answer = expired.answer(Timestamp::UNIX_EPOCH);
        let told = String::from_utf8(answer.body).expect("JSON");
        assert!(!told.contains("expired"), "{told}");
        assert_eq!(answer.detail.as_deref(), Some("it has expired"));
        let long = Refusal::InvalidCertificate("ä".repeat(60_000));
        let detail = long.answer(Timestamp::UNIX_EPOCH).detail.expect("why");
        assert_eq!(detail.chars().count(), MAX_DETAIL);
    }
}
