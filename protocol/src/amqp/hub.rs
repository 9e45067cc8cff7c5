//! What an IoT hub makes of AMQP: nodes of a device and of the service, and the messages on their
//! links.

use bytes::Bytes;
use fe2o3_amqp_types::messaging::MessageId;
use fe2o3_amqp_types::primitives::SimpleValue;
use serde_amqp::value::Value;

use super::message::{Message, number_of_value, whole_number};
use super::{address, cbs, events};
use crate::ids::{ClientId, DeviceId, ModuleId};
use crate::{DecodeError, query};

const OPERATION: &str = "operation";
const RESOURCE: &str = "resource";
const STATUS: &str = "status";
const VERSION: &str = "version";
const REPORTED: &str = "/properties/reported";
const DESIRED_SUBSCRIPTION: &str = "/notifications/twin/properties/desired";
const DESIRED: &str = "/properties/desired";
const SERVICE_MESSAGES: &str = "messages/devicebound";
const FEEDBACK: &str = "messages/serviceBound/feedback";
/// Telemetry, by the hub's own name for it.
pub const TELEMETRY: &str = "messages/events";
const METHOD_NAME: &str = "IoThub-methodname";
const METHOD_STATUS: &str = "IoThub-status";

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubNode {
    /// `$cbs`.
    Claims,
    /// `/devices/{id}/messages/events`: telemetry to the cloud.
    Events(ClientId),
    /// `/devices/{id}/messages/devicebound`: messages to the device.
    DeviceBound(ClientId),
    /// `/devices/{id}/methods/devicebound`: direct methods, both ways.
    Methods(ClientId),
    /// `/devices/{id}/twin`: the twin, both ways.
    Twin(ClientId),
    /// `/messages/devicebound`: the service's messages to any device, which each message names.
    ServiceMessages,
    /// `/messages/serviceBound/feedback`: what became of those messages.
    Feedback,
    /// `$management`: what there is of telemetry.
    Management,
    /// `/messages/events` and its `$management`: telemetry, which a back end reads as of an event hub.
    Telemetry,
    /// `/messages/events/ConsumerGroups/{group}/Partitions/{partition}`, or the same behind the event
    /// hub's name: telemetry of devices.
    Partition {
        /// `messages/events`, or the name.
        entity: String,
        /// The consumer group.
        group: String,
        /// Which.
        partition: String,
    },
}

impl HubNode {
    /// Reads an address in any of the SDKs' forms; words in any case, ids percent-encoded or not. A
    /// module's has `/modules/{id}` behind its device.
    ///
    /// # Errors
    /// No such node.
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        let unknown = || DecodeError::new("link address", format!("\"{text}\" is no node"));
        let path = address::path(text);
        if path.eq_ignore_ascii_case(cbs::NODE) {
            return Ok(Self::Claims);
        }
        if path.eq_ignore_ascii_case(SERVICE_MESSAGES) {
            return Ok(Self::ServiceMessages);
        }
        if path.eq_ignore_ascii_case(FEEDBACK) {
            return Ok(Self::Feedback);
        }
        if path.eq_ignore_ascii_case(events::MANAGEMENT) {
            return Ok(Self::Management);
        }
        if let Some(node) = of_telemetry(path) {
            return Ok(node);
        }
        let is = |segment: &str, word: &str| segment.eq_ignore_ascii_case(word);
        let segments: Vec<&str> = path.split('/').collect();
        let (client, node) = match segments.as_slice() {
            [devices, id, modules, module, node @ ..]
                if is(devices, "devices") && is(modules, "modules") =>
            {
                let module = ModuleId::parse(&query::decode("module id", module)?)?;
                let device = DeviceId::parse(&query::decode("device id", id)?)?;
                (ClientId::of_module(device.as_str(), &module), node)
            }
            [devices, id, node @ ..] if is(devices, "devices") => {
                let device = DeviceId::parse(&query::decode("device id", id)?)?;
                (device.into(), node)
            }
            _ => return Err(unknown()),
        };
        match node {
            [messages, events] if is(messages, "messages") && is(events, "events") => {
                Ok(Self::Events(client))
            }
            [messages, bound] if is(messages, "messages") && is(bound, "devicebound") => {
                Ok(Self::DeviceBound(client))
            }
            [methods, bound] if is(methods, "methods") && is(bound, "devicebound") => {
                Ok(Self::Methods(client))
            }
            [twin] if is(twin, "twin") => Ok(Self::Twin(client)),
            _ => Err(unknown()),
        }
    }

    /// Writes the address as the Node SDK does.
    pub fn address(&self) -> String {
        let (client, node) = match self {
            Self::Claims => return cbs::NODE.into(),
            Self::ServiceMessages => return format!("/{SERVICE_MESSAGES}"),
            Self::Feedback => return format!("/{FEEDBACK}"),
            Self::Management => return events::MANAGEMENT.into(),
            Self::Telemetry => return format!("/{TELEMETRY}"),
            Self::Partition {
                entity,
                group,
                partition,
            } => return format!("/{entity}/ConsumerGroups/{group}/Partitions/{partition}"),
            Self::Events(client) => (client, "messages/events"),
            Self::DeviceBound(client) => (client, "messages/devicebound"),
            Self::Methods(client) => (client, "methods/devicebound"),
            Self::Twin(client) => (client, "twin"),
        };
        let device = query::encode(client.device_id());
        match client.module_id() {
            None => format!("/devices/{device}/{node}"),
            Some(module) => format!("/devices/{device}/modules/{}/{node}", query::encode(module)),
        }
    }

    /// Whose it is.
    pub fn client(&self) -> Option<&ClientId> {
        match self {
            Self::Claims
            | Self::ServiceMessages
            | Self::Feedback
            | Self::Management
            | Self::Telemetry
            | Self::Partition { .. } => None,
            Self::Events(id) | Self::DeviceBound(id) | Self::Methods(id) | Self::Twin(id) => {
                Some(id)
            }
        }
    }
}

fn of_telemetry(path: &str) -> Option<HubNode> {
    let is = |segment: &str, word: &str| segment.eq_ignore_ascii_case(word);
    let segments: Vec<&str> = path.split('/').collect();
    let (entity, rest) = match segments.as_slice() {
        [messages, events, rest @ ..] if is(messages, "messages") && is(events, "events") => {
            (TELEMETRY, rest)
        }
        [name, rest @ ..] => (*name, rest),
        [] => return None,
    };
    match rest {
        [] if entity == TELEMETRY => Some(HubNode::Telemetry),
        [management] if entity == TELEMETRY && is(management, events::MANAGEMENT) => {
            Some(HubNode::Telemetry)
        }
        [groups, group, partitions, partition]
            if is(groups, "ConsumerGroups") && is(partitions, "Partitions") =>
        {
            Some(HubNode::Partition {
                entity: entity.to_owned(),
                group: (*group).to_owned(),
                partition: (*partition).to_owned(),
            })
        }
        _ => None,
    }
}

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

    fn device() -> ClientId {
        ClientId::parse("pump:1").expect("valid")
    }

    fn module() -> ClientId {
        ClientId::parse("pump:1/$edgeHub").expect("valid")
    }

    #[test]
    fn nodes_are_read_in_the_form_of_each_sdk() {
        for (text, node) in [
            ("$cbs", HubNode::Claims),
            ("amqps://hub.test/$cbs", HubNode::Claims),
            (
                "/devices/pump%3A1/messages/events",
                HubNode::Events(device()),
            ),
            (
                "amqps://hub.test/devices/pump:1/messages/events",
                HubNode::Events(device()),
            ),
            (
                "amqps://hub.test:5671/devices/pump%3A1/messages/deviceBound",
                HubNode::DeviceBound(device()),
            ),
            (
                "devices/pump:1/methods/deviceBound",
                HubNode::Methods(device()),
            ),
            ("/devices/pump:1/twin", HubNode::Twin(device())),
            (
                "/devices/pump%3A1/modules/%24edgeHub/messages/events",
                HubNode::Events(module()),
            ),
            (
                "amqps://hub.test:5671/devices/pump:1/modules/$edgeHub/twin",
                HubNode::Twin(module()),
            ),
            ("/messages/devicebound", HubNode::ServiceMessages),
            ("/messages/servicebound/feedback", HubNode::Feedback),
            ("$management", HubNode::Management),
            ("/messages/events", HubNode::Telemetry),
            (
                "amqps://hub.test/messages/events/$management",
                HubNode::Telemetry,
            ),
            (
                "messages/events/ConsumerGroups/$Default/Partitions/0",
                HubNode::Partition {
                    entity: "messages/events".into(),
                    group: "$Default".into(),
                    partition: "0".into(),
                },
            ),
            (
                "amqps://hub.test/hub/consumergroups/mine/partitions/1",
                HubNode::Partition {
                    entity: "hub".into(),
                    group: "mine".into(),
                    partition: "1".into(),
                },
            ),
            (
                "amqps://hub.test/messages/deviceBound",
                HubNode::ServiceMessages,
            ),
        ] {
            assert_eq!(HubNode::parse(text), Ok(node.clone()), "{text}");
            assert_eq!(HubNode::parse(&node.address()), Ok(node));
        }
        for text in [
            "",
            "/devices",
            "/devices/a",
            "/devices/a/modules/m",
            "/devices/a/modules//twin",
            "/devices/a/b/m/twin",
            "/devices/a b/twin",
            "0ne/registrations/a",
        ] {
            assert!(HubNode::parse(text).is_err(), "{text}");
        }
    }

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
