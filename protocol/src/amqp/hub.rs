//! Messages on the links of a device to its hub: its twin, and direct methods.

use bytes::Bytes;
use fe2o3_amqp_types::messaging::MessageId;
use fe2o3_amqp_types::primitives::SimpleValue;
use serde_amqp::value::Value;

use super::message::{Message, number_of_value, whole_number};
use crate::DecodeError;

const OPERATION: &str = "operation";
const RESOURCE: &str = "resource";
const STATUS: &str = "status";
const VERSION: &str = "version";
const REPORTED: &str = "/properties/reported";
const DESIRED_SUBSCRIPTION: &str = "/notifications/twin/properties/desired";
const DESIRED: &str = "/properties/desired";
const METHOD_NAME: &str = "IoThub-methodname";
const METHOD_STATUS: &str = "IoThub-status";

/// What a device asks of its twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TwinOperation {
    /// The whole twin.
    Get,
    /// A merge patch of its reported properties.
    PatchReported,
    /// To be told of changes of its desired properties.
    SubscribeDesired,
    /// Not to be told any more.
    UnsubscribeDesired,
}

/// A request on the twin's link.
#[derive(Debug, Clone, PartialEq)]
pub struct TwinRequest {
    /// Echoed with its type.
    pub correlation_id: Option<MessageId>,
    /// What it asks.
    pub operation: TwinOperation,
    /// JSON of a patch.
    pub body: Bytes,
}

impl TwinRequest {
    /// Reads it.
    ///
    /// # Errors
    /// No such operation on such a resource.
    pub fn of(message: &Message) -> Result<Self, DecodeError> {
        let operation = message.annotation_text(OPERATION).unwrap_or_default();
        let resource = message.annotation_text(RESOURCE).unwrap_or_default();
        let operation = match (operation, resource) {
            ("GET", _) => TwinOperation::Get,
            ("PATCH", REPORTED) => TwinOperation::PatchReported,
            ("PUT", DESIRED_SUBSCRIPTION) => TwinOperation::SubscribeDesired,
            ("DELETE", DESIRED_SUBSCRIPTION) => TwinOperation::UnsubscribeDesired,
            _ => {
                let problem = format!("{operation} of \"{resource}\" is unknown");
                return Err(DecodeError::new("twin operation", problem));
            }
        };
        Ok(Self {
            correlation_id: message.properties.correlation_id.clone(),
            operation,
            body: message.text(),
        })
    }

    /// The message that asks it.
    pub fn message(self) -> Message {
        let (operation, resource) = match self.operation {
            TwinOperation::Get => ("GET", None),
            TwinOperation::PatchReported => ("PATCH", Some(REPORTED)),
            TwinOperation::SubscribeDesired => ("PUT", Some(DESIRED_SUBSCRIPTION)),
            TwinOperation::UnsubscribeDesired => ("DELETE", Some(DESIRED_SUBSCRIPTION)),
        };
        let resource = resource.map_or(Value::Null, |text| Value::String(text.into()));
        Message::of_data(self.body)
            .with_correlation(self.correlation_id)
            .with_annotation(OPERATION, Value::String(operation.into()))
            .with_annotation(RESOURCE, resource)
            .with_annotation(VERSION, Value::Null)
    }
}

/// What a hub sends on the twin's link.
#[derive(Debug, Clone, PartialEq)]
pub enum TwinMessage {
    /// An answer.
    Answer {
        /// Of the request.
        correlation_id: Option<MessageId>,
        /// HTTP status.
        status: u16,
        /// Version of the reported properties, after a patch.
        version: Option<u64>,
        /// JSON: the twin, or an error; or nothing.
        body: Bytes,
    },
    /// Desired properties changed.
    Desired {
        /// Their version now.
        version: u64,
        /// JSON merge patch.
        body: Bytes,
    },
}

impl TwinMessage {
    /// Reads it.
    ///
    /// # Errors
    /// Neither a status nor the resource of a change.
    pub fn of(message: &Message) -> Result<Self, DecodeError> {
        let annotated = |name| message.annotation(name).and_then(number_of_value);
        let version = annotated(VERSION);
        if let Some(status) = annotated(STATUS) {
            let status = u16::try_from(status)
                .map_err(|_| DecodeError::new("twin answer", "has no HTTP status"))?;
            return Ok(Self::Answer {
                correlation_id: message.properties.correlation_id.clone(),
                status,
                version,
                body: message.text(),
            });
        }
        if message.annotation_text(RESOURCE) == Some(DESIRED) {
            return Ok(Self::Desired {
                version: version.unwrap_or_default(),
                body: message.text(),
            });
        }
        Err(DecodeError::new(
            "twin message",
            "is neither answer nor change",
        ))
    }

    /// The message that says it.
    pub fn message(self) -> Message {
        let long = |number: u64| Value::Long(i64::try_from(number).unwrap_or(i64::MAX));
        match self {
            Self::Answer {
                correlation_id,
                status,
                version,
                body,
            } => {
                let message = Message::of_data(body)
                    .with_correlation(correlation_id)
                    .with_annotation(STATUS, Value::Int(status.into()));
                match version {
                    Some(version) => message.with_annotation(VERSION, long(version)),
                    None => message,
                }
            }
            Self::Desired { version, body } => Message::of_data(body)
                .with_annotation(RESOURCE, Value::String(DESIRED.into()))
                .with_annotation(VERSION, long(version)),
        }
    }
}

/// A direct method's call.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodCall {
    /// Comes back with the result.
    pub correlation_id: Option<MessageId>,
    /// Name of the method.
    pub name: String,
    /// JSON.
    pub payload: Bytes,
}

impl MethodCall {
    /// Reads it.
    ///
    /// # Errors
    /// It has no name.
    pub fn of(message: &Message) -> Result<Self, DecodeError> {
        let name = message
            .application_text(METHOD_NAME)
            .ok_or_else(|| DecodeError::new(METHOD_NAME, "is missing"))?;
        Ok(Self {
            correlation_id: message.properties.correlation_id.clone(),
            name: name.into(),
            payload: message.text(),
        })
    }

    /// The message that calls it.
    pub fn message(self) -> Message {
        Message::of_data(self.payload)
            .with_correlation(self.correlation_id)
            .with_application(METHOD_NAME, SimpleValue::String(self.name))
    }
}

/// What a device answers to a direct method.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodResult {
    /// Of the call.
    pub correlation_id: Option<MessageId>,
    /// The device's own status.
    pub status: i32,
    /// JSON.
    pub payload: Bytes,
}

impl MethodResult {
    /// Reads it.
    ///
    /// # Errors
    /// It has no status.
    pub fn of(message: &Message) -> Result<Self, DecodeError> {
        let status = message
            .application_property(METHOD_STATUS)
            .ok_or_else(|| DecodeError::new(METHOD_STATUS, "is missing"))?;
        let status = whole_number(status)
            .and_then(|status| i32::try_from(status).ok())
            .ok_or_else(|| DecodeError::new(METHOD_STATUS, "is no whole number of 32 bits"))?;
        Ok(Self {
            correlation_id: message.properties.correlation_id.clone(),
            status,
            payload: message.text(),
        })
    }

    /// The message that says it.
    pub fn message(self) -> Message {
        Message::of_data(self.payload)
            .with_correlation(self.correlation_id)
            .with_application(METHOD_STATUS, SimpleValue::Int(self.status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_read_back() {
        let correlation_id = Some(MessageId::String("twin:1".into()));
        let again = |message: Message| Message::read(message.to_bytes()).expect("own message");
        for operation in [
            TwinOperation::Get,
            TwinOperation::PatchReported,
            TwinOperation::SubscribeDesired,
            TwinOperation::UnsubscribeDesired,
        ] {
            let asked = TwinRequest {
                correlation_id: correlation_id.clone(),
                operation,
                body: "{}".into(),
            };
            assert_eq!(TwinRequest::of(&again(asked.clone().message())), Ok(asked));
        }
        for said in [
            TwinMessage::Answer {
                correlation_id: correlation_id.clone(),
                status: 204,
                version: Some(3),
                body: Bytes::new(),
            },
            TwinMessage::Desired {
                version: 4,
                body: "{\"a\":1}".into(),
            },
        ] {
            assert_eq!(TwinMessage::of(&again(said.clone().message())), Ok(said));
        }
        let call = MethodCall {
            correlation_id: correlation_id.clone(),
            name: "reboot".into(),
            payload: "{}".into(),
        };
        assert_eq!(MethodCall::of(&again(call.clone().message())), Ok(call));
        let result = MethodResult {
            correlation_id,
            status: 200,
            payload: "null".into(),
        };
        assert_eq!(
            MethodResult::of(&again(result.clone().message())),
            Ok(result)
        );
    }

    #[test]
    fn a_methods_status_is_any_number_of_its_device() {
        let answered = |status: SimpleValue| {
            let message = Message::of_data("").with_application(METHOD_STATUS, status);
            let read = Message::read(message.to_bytes()).expect("own message");
            MethodResult::of(&read).map(|result| result.status).ok()
        };
        for (written, status) in [
            (SimpleValue::Int(-1), Some(-1)),
            (SimpleValue::Int(i32::MIN), Some(i32::MIN)),
            (SimpleValue::Byte(-7), Some(-7)),
            (SimpleValue::Long(-404), Some(-404)),
            (SimpleValue::Ulong(200), Some(200)),
            (SimpleValue::String("-5".into()), Some(-5)),
            (SimpleValue::Long(i64::MIN), None),
            (SimpleValue::Ulong(u64::MAX), None),
            (SimpleValue::Bool(true), None),
        ] {
            assert_eq!(answered(written.clone()), status, "{written:?}");
        }
    }
}
