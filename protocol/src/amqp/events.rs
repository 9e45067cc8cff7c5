//! A hub's telemetry as a back end reads it: as of an event hub with one partition (Event Hubs
//! documentation, "AMQP 1.0 protocol guide", "AMQP request-response operations").

use fe2o3_amqp_types::primitives::SimpleValue;
use jiff::Timestamp;
use serde_amqp::primitives::{Array, OrderedMap, Timestamp as Milliseconds};
use serde_amqp::value::Value;

use super::hub_message::from_device;
use super::message::{Body, Message};
use crate::hub::EventPosition;
use crate::ids::ClientId;
use crate::{DecodeError, hub};

/// Address of the node that tells of the event hub, on both links.
pub const MANAGEMENT: &str = "$management";
/// The one partition.
pub const PARTITION: &str = "0";

const OPERATION: &str = "operation";
const TYPE: &str = "type";
const NAME: &str = "name";
const EVENT_HUB: &str = "com.microsoft:eventhub";
const PARTITION_TYPE: &str = "com.microsoft:partition";
/// What stands before the name in a selector.
const ANNOTATION: &str = "amqp.annotation.";

impl EventPosition {
    /// Reads a selector, like `amqp.annotation.x-opt-offset > '@latest'`.
    ///
    /// # Errors
    /// It selects by something else.
    pub fn parse(selector: &str) -> Result<Self, DecodeError> {
        let unknown = || DecodeError::new("selector", format!("\"{selector}\" is not understood"));
        let rest = selector
            .trim()
            .strip_prefix(ANNOTATION)
            .ok_or_else(unknown)?;
        let (name, value) = rest.split_once('>').ok_or_else(unknown)?;
        let (value, after) = match value.strip_prefix('=') {
            Some(value) => (value, 0),
            None => (value, 1),
        };
        let value = value.trim().trim_matches('\'');
        let number: i64 = match (name.trim(), value) {
            ("x-opt-offset", "@latest") => return Ok(Self::Latest),
            (_, number) => number.parse().map_err(|_| unknown())?,
        };
        let number = number.saturating_add(after);
        match name.trim() {
            "x-opt-offset" | "x-opt-sequence-number" => Ok(match u64::try_from(number) {
                Ok(number) if number > 0 => Self::From(number),
                _ => Self::Earliest,
            }),
            "x-opt-enqueued-time" | "x-opt-enqueuedtimeutc" => Ok(Self::Since(number)),
            _ => Err(unknown()),
        }
    }
}

/// A message of a device, as a back end reads it.
pub fn event(
    client: &ClientId,
    message: &hub::Message,
    sequence: u64,
    enqueued: Timestamp,
) -> Message {
    let number = i64::try_from(sequence).unwrap_or(i64::MAX);
    let time = || Value::Timestamp(Milliseconds::from_milliseconds(enqueued.as_millisecond()));
    let text = |text: &str| Value::String(text.to_owned());
    let mut event = from_device(message)
        .with_annotation("x-opt-sequence-number", Value::Long(number))
        .with_annotation("x-opt-offset", text(&number.to_string()))
        .with_annotation("x-opt-enqueued-time", time())
        .with_annotation("iothub-enqueuedtime", time())
        .with_annotation("iothub-message-source", text("Telemetry"))
        .with_annotation("iothub-connection-device-id", text(client.device_id()));
    if let Some(module) = client.module_id() {
        event = event.with_annotation("iothub-connection-module-id", text(module));
    }
    for (name, value) in &message.system.others {
        event = match name.as_str() {
            "sub" => event.with_annotation("dt-subject", text(value)),
            "ifid" => event.with_annotation("iothub-interface-id", text(value)),
            _ => event,
        };
    }
    event
}

/// A question about the event hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManagementQuestion {
    /// About itself.
    EventHub {
        /// As the client calls it.
        name: String,
    },
    /// About a partition.
    Partition {
        /// As the client calls the event hub.
        name: String,
        /// Which.
        partition: String,
    },
}

impl ManagementQuestion {
    /// Reads it.
    ///
    /// # Errors
    /// Another operation.
    pub fn of(message: &Message) -> Result<Self, DecodeError> {
        let text = |name| message.application_text(name).unwrap_or_default();
        let name = text(NAME).to_owned();
        match (text(OPERATION), text(TYPE)) {
            ("READ", EVENT_HUB) => Ok(Self::EventHub { name }),
            ("READ", PARTITION_TYPE) => Ok(Self::Partition {
                name,
                partition: text("partition").to_owned(),
            }),
            (operation, kind) => {
                let problem = format!("{operation} of \"{kind}\" is unknown");
                Err(DecodeError::new("management operation", problem))
            }
        }
    }
}

/// What stands in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionExtent {
    /// Number of the first message that is kept.
    pub first: u64,
    /// Number of the next one.
    pub next: u64,
    /// When the last one came.
    pub last_enqueued: Timestamp,
}

/// The answer about the event hub itself.
pub fn about_event_hub(name: &str, created: Timestamp) -> Message {
    answer([
        (NAME, Value::String(name.to_owned())),
        ("created_at", time(created)),
        ("partition_count", Value::Int(1)),
        (
            "partition_ids",
            Value::Array(Array(vec![Value::String(PARTITION.to_owned())])),
        ),
    ])
}

/// The answer about its partition.
pub fn about_partition(name: &str, extent: PartitionExtent) -> Message {
    let long = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let last = long(extent.next) - 1;
    answer([
        (NAME, Value::String(name.to_owned())),
        ("partition", Value::String(PARTITION.to_owned())),
        ("begin_sequence_number", Value::Long(long(extent.first))),
        ("last_enqueued_sequence_number", Value::Long(last)),
        ("last_enqueued_offset", Value::String(last.to_string())),
        ("last_enqueued_time_utc", time(extent.last_enqueued)),
        (
            "is_partition_empty",
            Value::Bool(extent.first == extent.next),
        ),
    ])
}

/// The answer that there is none.
pub fn no_answer(status: u16, description: &str) -> Message {
    stated(Message::default(), status, description)
}

fn answer<const N: usize>(properties: [(&str, Value); N]) -> Message {
    let mut map = OrderedMap::new();
    for (name, value) in properties {
        map.insert(Value::String(name.to_owned()), value);
    }
    let message = Message {
        body: Body::Value(Value::Map(map)),
        ..Message::default()
    };
    stated(message, 200, "OK")
}

fn stated(message: Message, status: u16, description: &str) -> Message {
    message
        .with_application("status-code", SimpleValue::Int(status.into()))
        .with_application(
            "status-description",
            SimpleValue::String(description.into()),
        )
}

fn time(time: Timestamp) -> Value {
    Value::Timestamp(Milliseconds::from_milliseconds(time.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_the_clients_write_them() {
        use EventPosition::{Earliest, From, Latest, Since};
        for (selector, position) in [
            ("amqp.annotation.x-opt-offset > '@latest'", Latest),
            ("amqp.annotation.x-opt-offset > '-1'", Earliest),
            ("amqp.annotation.x-opt-offset >= '7'", From(7)),
            ("amqp.annotation.x-opt-sequence-number > '7'", From(8)),
            ("amqp.annotation.x-opt-sequence-number > 7", From(8)),
            (
                "amqp.annotation.x-opt-enqueued-time > '1700000000000'",
                Since(1_700_000_000_001),
            ),
            ("amqp.annotation.x-opt-enqueuedtimeutc >= 5", Since(5)),
        ] {
            assert_eq!(EventPosition::parse(selector), Ok(position), "{selector}");
        }
        for selector in [
            "",
            "x > 1",
            "amqp.annotation.x > 1",
            "amqp.annotation.x-opt-offset > 'x'",
        ] {
            assert!(EventPosition::parse(selector).is_err(), "{selector}");
        }
    }

    #[test]
    fn answers_read_back() {
        for message in [
            about_event_hub("hub", Timestamp::UNIX_EPOCH),
            about_partition(
                "hub",
                PartitionExtent {
                    first: 3,
                    next: 5,
                    last_enqueued: Timestamp::UNIX_EPOCH,
                },
            ),
            no_answer(404, "no such partition"),
        ] {
            let read = Message::read(message.to_bytes()).expect("own message");
            assert!(read.application_property("status-code").is_some());
        }
    }
}
