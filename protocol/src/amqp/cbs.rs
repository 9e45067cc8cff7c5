//! Claims-based security: a SAS token put to the node `$cbs` (IoT Hub documentation,
//! "Control access: AMQP"; DPS has no such node).

use fe2o3_amqp_types::messaging::MessageId;
use fe2o3_amqp_types::primitives::SimpleValue;
use serde_amqp::value::Value;

use super::message::{Body, Message, number};
use crate::DecodeError;

/// Address of the node, on both links.
pub const NODE: &str = "$cbs";

const OPERATION: &str = "operation";
const PUT_TOKEN: &str = "put-token";
const TOKEN_TYPE: &str = "type";
const SAS_TOKEN: &str = "servicebus.windows.net:sastoken";
const NAME: &str = "name";
const STATUS: &str = "status-code";
const DESCRIPTION: &str = "status-description";

/// A put-token request.
#[derive(Debug, Clone, PartialEq)]
pub struct PutToken {
    /// Comes back as correlation id, with its AMQP type.
    pub message_id: Option<MessageId>,
    /// What the token is for, as the client writes it; the token's own text counts.
    pub name: String,
    /// SAS token.
    pub token: String,
}

impl PutToken {
    /// Reads it.
    ///
    /// # Errors
    /// Another operation, or no token.
    pub fn of(message: &Message) -> Result<Self, DecodeError> {
        let malformed = |problem: &str| DecodeError::new("put-token", problem);
        if message.application_text(OPERATION) != Some(PUT_TOKEN) {
            return Err(malformed("is not the operation"));
        }
        let token = message.text();
        let token = std::str::from_utf8(&token).map_err(|_| malformed("is not UTF-8"))?;
        if token.is_empty() {
            return Err(malformed("has no token"));
        }
        Ok(Self {
            message_id: message.properties.message_id.clone(),
            name: message.application_text(NAME).unwrap_or_default().into(),
            token: token.into(),
        })
    }

    /// The message that asks it.
    pub fn message(self) -> Message {
        let mut message = Message {
            body: Body::Value(Value::String(self.token)),
            ..Message::default()
        };
        message.properties.message_id = self.message_id;
        message.properties.to = Some(NODE.into());
        message.properties.reply_to = Some("cbs".into());
        message
            .with_application(OPERATION, SimpleValue::String(PUT_TOKEN.into()))
            .with_application(TOKEN_TYPE, SimpleValue::String(SAS_TOKEN.into()))
            .with_application(NAME, SimpleValue::String(self.name))
    }
}

/// The answer to a put-token.
#[derive(Debug, Clone, PartialEq)]
pub struct PutTokenAnswer {
    /// The request's message id.
    pub correlation_id: Option<MessageId>,
    /// HTTP status: 200, 401, 404.
    pub status: u16,
    /// For people.
    pub description: String,
}

impl PutTokenAnswer {
    /// Reads it.
    ///
    /// # Errors
    /// It has no status.
    pub fn of(message: &Message) -> Result<Self, DecodeError> {
        let status = message
            .application_property(STATUS)
            .and_then(number)
            .and_then(|status| u16::try_from(status).ok())
            .ok_or_else(|| DecodeError::new(STATUS, "is missing"))?;
        let description = message.application_text(DESCRIPTION).unwrap_or_default();
        Ok(Self {
            correlation_id: message.properties.correlation_id.clone(),
            status,
            description: description.into(),
        })
    }

    /// The message that says it.
    pub fn message(self) -> Message {
        Message {
            body: Body::Value(Value::Null),
            ..Message::default()
        }
        .with_correlation(self.correlation_id)
        .with_application(STATUS, SimpleValue::Int(self.status.into()))
        .with_application(DESCRIPTION, SimpleValue::String(self.description))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_every_type_come_back_as_they_were() {
        for id in [
            MessageId::Ulong(3),
            MessageId::String("3".into()),
            MessageId::Binary(vec![3].into()),
            MessageId::Uuid([3; 16].into()),
        ] {
            let asked = PutToken {
                message_id: Some(id.clone()),
                name: "hub/devices/d".into(),
                token: "SharedAccessSignature sr=x".into(),
            };
            let read = Message::read(asked.clone().message().to_bytes()).expect("own message");
            assert_eq!(PutToken::of(&read).expect("reads"), asked);
            let answer = PutTokenAnswer {
                correlation_id: Some(id),
                status: 200,
                description: "OK".into(),
            };
            let read = Message::read(answer.clone().message().to_bytes()).expect("own message");
            assert_eq!(PutTokenAnswer::of(&read).expect("reads"), answer);
        }
    }

    #[test]
    fn other_operations_and_empty_tokens_are_refused() {
        let asked = |operation: &str, token: &str| {
            let message = PutToken {
                message_id: None,
                name: String::new(),
                token: token.into(),
            }
            .message();
            let operation = SimpleValue::String(operation.into());
            PutToken::of(&message.with_application(OPERATION, operation))
        };
        assert!(asked("put-token", "t").is_ok());
        assert!(asked("put-token", "").is_err());
        assert!(asked("delete-token", "t").is_err());
    }
}
