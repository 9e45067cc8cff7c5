//! Messages between device and cloud as AMQP messages: IoT Hub's properties are the standard ones,
//! the application's its application properties.

use std::fmt::Write;

use fe2o3_amqp_types::messaging::MessageId;
use fe2o3_amqp_types::primitives::SimpleValue;
use jiff::Timestamp;
use serde_amqp::primitives::{Binary, Symbol, Timestamp as Milliseconds};
use serde_amqp::value::Value;

use super::message::Message;
use crate::hub;

/// Application property that asks for feedback.
const ACKNOWLEDGEMENT: &str = "iothub-ack";
/// Media type of feedback.
const FEEDBACK_TYPE: &str = "application/vnd.microsoft.iothub.feedback.json";
/// Annotations of a message to a device.
const SEQUENCE: &str = "x-opt-sequence-number";
const ENQUEUED: &str = "x-opt-enqueued-time";
/// Annotations of telemetry, and the short names of what they hold.
const ANNOTATED: [(&str, &str); 2] = [("iothub-interface-id", "ifid"), ("dt-subject", "sub")];

/// What a device sends.
pub fn telemetry(message: &Message) -> hub::Message {
    let properties = &message.properties;
    let symbol = |symbol: &Option<Symbol>| symbol.as_ref().map(|text| text.as_str().to_owned());
    let others = ANNOTATED.iter().filter_map(|(annotation, name)| {
        let text = message.annotation_text(annotation)?;
        Some(((*name).to_owned(), text.to_owned()))
    });
    let system = hub::SystemProperties {
        message_id: properties.message_id.as_ref().map(id_text),
        correlation_id: properties.correlation_id.as_ref().map(id_text),
        user_id: properties.user_id.as_ref().map(|id| lossy(id)),
        to: properties.to.clone(),
        content_type: symbol(&properties.content_type),
        content_encoding: symbol(&properties.content_encoding),
        expiry: properties.absolute_expiry_time.as_ref().and_then(time_text),
        creation_time: properties.creation_time.as_ref().and_then(time_text),
        acknowledgement: None,
        others: others.collect(),
    };
    let application = message.application_properties.0.iter();
    hub::Message {
        system,
        properties: application
            .map(|(name, value)| (name.clone(), value_text(value)))
            .collect(),
        body: message.text().to_vec(),
    }
}

/// What the service sends to a device: who is to get it stands in `to`.
pub fn from_service(message: &Message) -> hub::Message {
    let mut read = telemetry(message);
    let asks = |(name, _): &(String, String)| name == ACKNOWLEDGEMENT;
    if let Some(place) = read.properties.iter().position(asks) {
        read.system.acknowledgement = Some(read.properties.remove(place).1);
    }
    read
}

/// What a hub sends to a device.
pub fn to_device(message: &hub::Message, sequence: u64, enqueued: Timestamp) -> Message {
    let enqueued = Milliseconds::from_milliseconds(enqueued.as_millisecond());
    from_device(message)
        .with_annotation(
            SEQUENCE,
            Value::Long(i64::try_from(sequence).unwrap_or(i64::MAX)),
        )
        .with_annotation(ENQUEUED, Value::Timestamp(enqueued))
}

/// What became of messages, in JSON, as a hub tells the service.
pub fn feedback(hub: &str, records: Vec<u8>, now: Timestamp) -> Message {
    let now = Milliseconds::from_milliseconds(now.as_millisecond());
    let mut message = Message::of_data(records)
        .with_annotation("iothub-enqueuedtime", Value::Timestamp(now.clone()))
        .with_annotation(ENQUEUED, Value::Timestamp(now));
    let properties = &mut message.properties;
    properties.user_id = Some(Binary::from(hub.as_bytes().to_vec()));
    properties.content_type = Some(Symbol::from(FEEDBACK_TYPE));
    message
}

/// What a device sends, for it to send.
pub fn from_device(message: &hub::Message) -> Message {
    let system = &message.system;
    let text = |text: &Option<String>| text.clone().map(MessageId::String);
    let time = |text: &Option<String>| {
        let time: Timestamp = text.as_deref()?.parse().ok()?;
        Some(Milliseconds::from_milliseconds(time.as_millisecond()))
    };
    let mut sent = Message::of_data(message.body.clone());
    let properties = &mut sent.properties;
    properties.message_id = text(&system.message_id);
    properties.correlation_id = text(&system.correlation_id);
    properties.user_id = system
        .user_id
        .clone()
        .map(|id| Binary::from(id.into_bytes()));
    properties.to.clone_from(&system.to);
    properties.content_type = system.content_type.as_deref().map(Symbol::from);
    properties.content_encoding = system.content_encoding.as_deref().map(Symbol::from);
    properties.absolute_expiry_time = time(&system.expiry);
    properties.creation_time = time(&system.creation_time);
    let acknowledgement = system.acknowledgement.clone();
    let own = acknowledgement.map(|asked| (ACKNOWLEDGEMENT.to_owned(), asked));
    for (name, value) in message.properties.iter().cloned().chain(own) {
        sent = sent.with_application(&name, SimpleValue::String(value));
    }
    sent
}

fn id_text(id: &MessageId) -> String {
    match id {
        MessageId::Ulong(number) => number.to_string(),
        MessageId::String(text) => text.clone(),
        MessageId::Binary(bytes) => lossy(bytes),
        MessageId::Uuid(uuid) => uuid_text(uuid.as_ref()),
    }
}

/// `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
fn uuid_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&place) {
            text.push('-');
        }
        write!(text, "{byte:02x}").expect("a string takes it");
    }
    text
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn time_text(time: &Milliseconds) -> Option<String> {
    let time = Timestamp::from_millisecond(time.milliseconds()).ok()?;
    Some(time.to_string())
}

/// An application property as text, as IoT Hub's routes see it.
fn value_text(value: &SimpleValue) -> String {
    match value {
        SimpleValue::String(text) => text.clone(),
        SimpleValue::Symbol(text) => text.as_str().to_owned(),
        SimpleValue::Bool(yes) => yes.to_string(),
        SimpleValue::Ubyte(number) => number.to_string(),
        SimpleValue::Ushort(number) => number.to_string(),
        SimpleValue::Uint(number) => number.to_string(),
        SimpleValue::Ulong(number) => number.to_string(),
        SimpleValue::Byte(number) => number.to_string(),
        SimpleValue::Short(number) => number.to_string(),
        SimpleValue::Int(number) => number.to_string(),
        SimpleValue::Long(number) => number.to_string(),
        SimpleValue::Float(number) => number.to_string(),
        SimpleValue::Double(number) => number.to_string(),
        SimpleValue::Char(letter) => letter.to_string(),
        SimpleValue::Uuid(uuid) => uuid_text(uuid.as_ref()),
        SimpleValue::Binary(bytes) => lossy(bytes),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_to_a_device_would_read_the_same_from_one() {
        let message = hub::Message {
            system: hub::SystemProperties {
                message_id: Some("m-1".into()),
                correlation_id: Some("c-1".into()),
                user_id: Some("u".into()),
                to: Some("/devices/d/messages/devicebound".into()),
                content_type: Some("application/json".into()),
                content_encoding: Some("utf-8".into()),
                expiry: Some("2027-01-01T00:00:00Z".into()),
                creation_time: Some("2026-11-25T00:00:00.5Z".into()),
                ..hub::SystemProperties::default()
            },
            properties: vec![("a".into(), "1".into()), ("b".into(), String::new())],
            body: b"{}".to_vec(),
        };
        let sent = to_device(&message, 7, Timestamp::UNIX_EPOCH);
        assert_eq!(sent.annotation(SEQUENCE), Some(&Value::Long(7)));
        let read = Message::read(sent.to_bytes()).expect("own message");
        assert_eq!(telemetry(&read), message);
    }

    #[test]
    fn the_service_asks_for_feedback_by_an_application_property() {
        let mut asked = hub::Message::default();
        asked.system.acknowledgement = Some("full".into());
        asked.properties = vec![("a".into(), "1".into())];
        let read = Message::read(from_device(&asked).to_bytes()).expect("own message");
        assert_eq!(from_service(&read), asked);
    }

    #[test]
    fn properties_of_every_type_become_text() {
        for (value, text) in [
            (SimpleValue::Bool(true), "true"),
            (SimpleValue::Int(-7), "-7"),
            (SimpleValue::Double(1.5.into()), "1.5"),
            (SimpleValue::Null, ""),
            (
                SimpleValue::Uuid([0x1f; 16].into()),
                "1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f",
            ),
        ] {
            let message = Message::of_data("").with_application("p", value);
            let read = Message::read(message.to_bytes()).expect("own message");
            assert_eq!(telemetry(&read).properties, [("p".into(), text.into())]);
        }
    }
}
