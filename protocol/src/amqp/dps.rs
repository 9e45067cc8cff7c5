//! What DPS makes of AMQP: one link a direction, requests and answers on them.

use bytes::Bytes;
use fe2o3_amqp_types::definitions::{
    AmqpError, Error as AmqpErrorBody, ErrorCondition, Fields, LinkError,
};
use fe2o3_amqp_types::messaging::{MessageId, Rejected};
use fe2o3_amqp_types::primitives::SimpleValue;
use serde_amqp::primitives::Symbol;
use serde_amqp::value::Value;

use super::address;
use super::message::{Message, number};
use crate::http::DeviceOperation;
use crate::ids::{IdScope, OperationId, RegistrationId};
use crate::service_error::{ServiceError, code};
use crate::{DecodeError, query};

const OPERATION_TYPE: &str = "iotdps-operation-type";
const OPERATION_ID: &str = "iotdps-operation-id";
const REGISTER: &str = "iotdps-register";
const OPERATION_STATUS: &str = "iotdps-get-operationstatus";
const REGISTRATION: &str = "iotdps-get-registration";
/// Both spellings of the wait: the SDKs look it up case-sensitively, and disagree.
const RETRY_AFTER: [&str; 2] = ["retry-after", "Retry-After"];
/// The condition of a throttled request.
const THROTTLED: &str = "com.microsoft:device-container-throttled";
/// The condition of a malformed request.
const ARGUMENT_ERROR: &str = "com.microsoft:argument-error";

/// Address of both links, and user name of [`super::sasl::PLAIN`]:
/// `{idScope}/registrations/{registrationId}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpsAddress {
    /// The instance; still text, because it may name none.
    pub id_scope: String,
    /// The device.
    pub registration_id: RegistrationId,
}

impl DpsAddress {
    /// Reads it, bare or with a leading `/`, or behind `amqps://host` with or without port.
    ///
    /// # Errors
    /// The part that is missing or malformed.
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        let mut parts = address::path(text).split('/');
        let (Some(id_scope), Some("registrations"), Some(id), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(DecodeError::new(
                "link address",
                format!("\"{text}\" is not {{idScope}}/registrations/{{registrationId}}"),
            ));
        };
        Ok(Self {
            id_scope: query::decode("id scope", id_scope)?,
            registration_id: RegistrationId::parse(&query::decode("registration id", id)?)?,
        })
    }

    /// Writes it as the Node and C# SDKs do.
    pub fn format(scope: &IdScope, id: &RegistrationId) -> String {
        format!("{scope}/registrations/{id}")
    }
}

/// A message from a device.
#[derive(Debug, Clone, PartialEq)]
pub struct DpsRequest {
    /// Echoed with its type; the C and Java SDKs send none.
    pub correlation_id: Option<MessageId>,
    /// What it asks.
    pub operation: DeviceOperation,
    /// Body of a register. Poll bodies are of every kind and mean nothing.
    pub body: Bytes,
}

impl DpsRequest {
    /// Reads it.
    ///
    /// # Errors
    /// The operation is unknown, or lacks its id.
    pub fn of(message: &Message) -> Result<Self, DecodeError> {
        let kind = message.application_text(OPERATION_TYPE);
        let operation = match kind {
            Some(REGISTER) => DeviceOperation::Register,
            Some(OPERATION_STATUS) => {
                let id = message
                    .application_text(OPERATION_ID)
                    .ok_or_else(|| DecodeError::new(OPERATION_ID, "is missing"))?;
                DeviceOperation::OperationStatus(OperationId::parse(id)?)
            }
            Some(REGISTRATION) => DeviceOperation::RegistrationStatus,
            Some(other) => {
                let problem = format!("\"{other}\" is unknown");
                return Err(DecodeError::new(OPERATION_TYPE, problem));
            }
            None => return Err(DecodeError::new(OPERATION_TYPE, "is missing")),
        };
        let body = match operation {
            DeviceOperation::Register => message.text(),
            _ => Bytes::new(),
        };
        Ok(Self {
            correlation_id: message.properties.correlation_id.clone(),
            operation,
            body,
        })
    }

    /// The message that asks it.
    pub fn message(&self) -> Message {
        let (kind, id) = match &self.operation {
            DeviceOperation::Register => (REGISTER, None),
            DeviceOperation::OperationStatus(id) => (OPERATION_STATUS, Some(id)),
            DeviceOperation::RegistrationStatus => (REGISTRATION, None),
        };
        let mut message = Message::of_data(self.body.clone())
            .with_correlation(self.correlation_id.clone())
            .with_application(OPERATION_TYPE, SimpleValue::String(kind.into()));
        if let Some(id) = id {
            message =
                message.with_application(OPERATION_ID, SimpleValue::String(id.as_str().into()));
        }
        message
    }
}

/// An answer that is no refusal: one Data section of JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct DpsResponse {
    /// Of the request.
    pub correlation_id: Option<MessageId>,
    /// Seconds to wait before the next poll.
    pub retry_after: Option<u32>,
    /// JSON.
    pub body: Bytes,
}

impl DpsResponse {
    /// Reads it.
    ///
    /// # Errors
    /// The body is no Data section.
    pub fn of(message: Message) -> Result<Self, DecodeError> {
        let retry_after = RETRY_AFTER
            .iter()
            .find_map(|name| number(message.application_property(name)?))
            .and_then(|seconds| u32::try_from(seconds).ok());
        match message.body {
            super::message::Body::Data(body) => Ok(Self {
                correlation_id: message.properties.correlation_id,
                retry_after,
                body,
            }),
            _ => Err(DecodeError::new("answer", "is no Data section")),
        }
    }

    /// The message that says it.
    pub fn message(self) -> Message {
        let mut message = Message::of_data(self.body).with_correlation(self.correlation_id);
        if let Some(seconds) = self.retry_after {
            // As an int: the C SDK takes no other number.
            let seconds = SimpleValue::Int(i32::try_from(seconds).unwrap_or(i32::MAX));
            for name in RETRY_AFTER {
                message = message.with_application(name, seconds.clone());
            }
        }
        message
    }
}

/// The outcome of a request that is refused: `body`, the JSON error, as description.
/// A wait stands in the info of both, in both spellings.
pub fn rejection(status: u16, retry_after: Option<u32>, body: &[u8]) -> Rejected {
    let (description, info) = match retry_after {
        None => (String::from_utf8_lossy(body).into_owned(), None),
        Some(seconds) => {
            let mut fields = Fields::new();
            for name in RETRY_AFTER {
                let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
                fields.insert(Symbol::from(name), Value::Int(seconds));
            }
            (with_wait(body, seconds), Some(fields))
        }
    };
    Rejected {
        error: Some(AmqpErrorBody::new(condition(status), description, info)),
    }
}

/// A refusal in terms of HTTP: status, wait, JSON body.
pub fn refusal_of(rejected: &Rejected) -> (u16, Option<u32>, Bytes) {
    let Some(error) = &rejected.error else {
        return (400, None, Bytes::new());
    };
    let body = error.description.clone().unwrap_or_default();
    let retry_after = RETRY_AFTER.iter().find_map(|name| {
        let wait = error.info.as_ref()?.get(&Symbol::from(*name))?;
        u32::try_from(super::message::number_of_value(wait)?).ok()
    });
    let status = ServiceError::from_body(body.as_bytes())
        .map_or_else(|_| status(&error.condition), |error| error.http_status());
    (status, retry_after, body.into())
}

fn with_wait(body: &[u8], seconds: u32) -> String {
    let waiting = ServiceError::from_body(body).ok().and_then(|mut error| {
        for name in RETRY_AFTER {
            error.info.insert(name.into(), seconds.to_string());
        }
        serde_json::to_string(&error).ok()
    });
    waiting.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}

/// The condition that the SDKs know for a status.
fn condition(status: u16) -> ErrorCondition {
    match status {
        401 | 403 => AmqpError::UnauthorizedAccess.into(),
        404 => AmqpError::NotFound.into(),
        405 => AmqpError::NotAllowed.into(),
        412 => AmqpError::PreconditionFailed.into(),
        413 => LinkError::MessageSizeExceeded.into(),
        429 => ErrorCondition::Custom(Symbol::from(THROTTLED)),
        500.. => AmqpError::InternalError.into(),
        _ => ErrorCondition::Custom(Symbol::from(ARGUMENT_ERROR)),
    }
}

/// The status of a condition, where no JSON tells it.
fn status(condition: &ErrorCondition) -> u16 {
    match condition {
        ErrorCondition::AmqpError(AmqpError::UnauthorizedAccess) => 401,
        ErrorCondition::AmqpError(AmqpError::NotFound) => 404,
        ErrorCondition::AmqpError(AmqpError::NotAllowed) => 405,
        ErrorCondition::AmqpError(AmqpError::PreconditionFailed) => 412,
        ErrorCondition::AmqpError(AmqpError::InternalError) => 500,
        ErrorCondition::LinkError(LinkError::MessageSizeExceeded) => 413,
        ErrorCondition::Custom(name) if name.as_str() == THROTTLED => 429,
        _ => u16::try_from(code::BAD_REQUEST / 1000).unwrap_or(400),
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Body;
    use super::*;

    #[test]
    fn addresses_of_all_sdks_are_read() {
        for text in [
            "0ne/registrations/d:1",
            "/0ne/registrations/d:1",
            "amqps://global.test/0ne/registrations/d:1",
            "amqps://global.test:5671/0ne/registrations/d%3a1",
        ] {
            let address = DpsAddress::parse(text).expect(text);
            assert_eq!(
                (address.id_scope.as_str(), address.registration_id.as_str()),
                ("0ne", "d:1")
            );
        }
        for text in [
            "",
            "0ne",
            "0ne/registrations",
            "0ne/registrations/a/b",
            "$cbs",
            "x/y/z",
        ] {
            assert!(DpsAddress::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn poll_bodies_of_every_kind_are_ignored() {
        let asked = DpsRequest {
            correlation_id: Some(MessageId::Ulong(7)),
            operation: DeviceOperation::OperationStatus(OperationId::parse("5.a").expect("valid")),
            body: Bytes::new(),
        };
        for body in [
            Body::Empty,
            Body::Sequence,
            Body::Data("{}".into()),
            Body::Value(Value::String(String::new())),
            Body::Value(Value::String(OPERATION_STATUS.into())),
        ] {
            let mut message = asked.message();
            message.body = body;
            let read = Message::read(message.to_bytes()).expect("own message");
            assert_eq!(DpsRequest::of(&read).expect("a poll"), asked);
        }
    }

    #[test]
    fn a_wait_is_written_in_both_spellings() {
        let response = DpsResponse {
            correlation_id: Some(MessageId::String("c".into())),
            retry_after: Some(3),
            body: "{}".into(),
        };
        let message = Message::read(response.clone().message().to_bytes()).expect("own message");
        for name in ["retry-after", "Retry-After"] {
            assert_eq!(
                message.application_property(name),
                Some(&SimpleValue::Int(3))
            );
        }
        assert_eq!(DpsResponse::of(message).expect("reads"), response);
    }

    #[test]
    fn a_refusal_keeps_status_wait_and_body() {
        let body = br#"{"errorCode":429001,"trackingId":"t","message":"m","timestampUtc":""}"#;
        let rejected = rejection(429, Some(5), body);
        let error = rejected.error.as_ref().expect("an error");
        assert_eq!(
            error.condition,
            ErrorCondition::Custom(Symbol::from("com.microsoft:device-container-throttled"))
        );
        let (status, wait, body) = refusal_of(&rejected);
        assert_eq!((status, wait), (429, Some(5)));
        let error = ServiceError::from_body(&body).expect("JSON");
        assert_eq!(error.info.get("Retry-After").map(String::as_str), Some("5"));
        for status in [400, 401, 404, 405, 412, 413, 500] {
            let (read, wait, body) = refusal_of(&rejection(status, None, b"no JSON"));
            assert_eq!((read, wait, &body[..]), (status, None, &b"no JSON"[..]));
        }
    }
}
