//! Messages in HTTP: properties are headers
//! (IoT Hub REST reference, "Device: send device event, receive device bound notification").

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::hub::{Message, SystemProperties};
use fleetstorm_protocol::timestamp;
use hyper::header::{ETAG, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hub::HubRefusal;
use crate::hub::message_queue::Delivery;
use crate::hub::telemetry::Received;

/// Begins the names of application properties.
const APPLICATION: &str = "iothub-app-";

/// Reads a message of headers and a body.
pub(in crate::listen) fn of_request(headers: &HeaderMap, body: &[u8]) -> Message {
    let mut message = Message {
        body: body.to_vec(),
        ..Message::default()
    };
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        add(&mut message, name.as_str(), value);
    }
    message
}

fn add(message: &mut Message, name: &str, value: String) {
    match (
        field(&mut message.system, name),
        name.strip_prefix(APPLICATION),
    ) {
        (Some(field), _) => *field = Some(value),
        (None, Some(name)) => message.properties.push((name.to_owned(), value)),
        // Headers are about more than the message.
        (None, None) => {}
    }
}

fn field<'a>(system: &'a mut SystemProperties, header: &str) -> Option<&'a mut Option<String>> {
    Some(match header {
        "iothub-messageid" => &mut system.message_id,
        "iothub-correlationid" => &mut system.correlation_id,
        "iothub-userid" => &mut system.user_id,
        "iothub-to" => &mut system.to,
        "iothub-contenttype" => &mut system.content_type,
        "iothub-contentencoding" => &mut system.content_encoding,
        "iothub-expiry" => &mut system.expiry,
        "iothub-creationtimeutc" => &mut system.creation_time,
        "iothub-ack" => &mut system.acknowledgement,
        _ => return None,
    })
}

/// Longest body that is shown whole; what is beyond is cut off.
const MAX_SHOWN: usize = 4096;

/// A message of a device in JSON: its properties by their names, its body as text.
pub(in crate::listen) fn document(received: &Received) -> Value {
    let Message {
        system,
        properties,
        body,
    } = &received.message;
    let others = system
        .others
        .iter()
        .map(|(name, value)| (name.as_str(), value));
    let system: BTreeMap<&str, &String> = fields(system)
        .filter_map(|(name, value)| Some((name, value.as_ref()?)))
        .chain(others)
        .collect();
    let properties: BTreeMap<&str, &String> = properties
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    let module = received.device.module_id();
    let mut document = json!({
        "deviceId": received.device.device_id(),
        "enqueuedTimeUtc": timestamp::format(received.enqueued),
        "systemProperties": system,
        "properties": properties,
        "body": String::from_utf8_lossy(&body[..body.len().min(MAX_SHOWN)]),
    });
    if let Some(module) = module {
        document["moduleId"] = module.into();
    }
    document
}

/// Writes a delivered message's properties as headers; its lock is the entity tag. A property
/// that no header can hold is left out.
pub(super) fn headers(delivery: &Delivery, headers: &mut HeaderMap) {
    let mut insert = |name: &str, value: &str| {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    };
    insert(ETAG.as_str(), &format!("\"{}\"", delivery.lock));
    insert("iothub-sequencenumber", &delivery.sequence.to_string());
    insert("iothub-deliverycount", &delivery.deliveries.to_string());
    insert("iothub-enqueuedtime", &timestamp::format(delivery.enqueued));
    for (name, value) in fields(&delivery.message.system) {
        if let Some(value) = value {
            insert(name, value);
        }
    }
    for (name, value) in &delivery.message.properties {
        insert(&format!("{APPLICATION}{name}"), value);
    }
}

/// System properties by the names of their headers.
fn fields(system: &SystemProperties) -> impl Iterator<Item = (&'static str, &Option<String>)> {
    let fields = [
        ("iothub-messageid", &system.message_id),
        ("iothub-correlationid", &system.correlation_id),
        ("iothub-userid", &system.user_id),
        ("iothub-to", &system.to),
        ("iothub-contenttype", &system.content_type),
        ("iothub-contentencoding", &system.content_encoding),
        ("iothub-expiry", &system.expiry),
        ("iothub-creationtimeutc", &system.creation_time),
        ("iothub-ack", &system.acknowledgement),
    ];
    fields.into_iter()
}

/// One message of a batch.
#[derive(Deserialize)]
struct Batched {
    body: String,
    #[serde(default = "in_base64", rename = "base64Encoded")]
    base64_encoded: bool,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

fn in_base64() -> bool {
    true
}

/// Reads a batch (`application/vnd.microsoft.iothub.json`): an array of messages whose bodies are
/// base64 unless they say that they are not.
///
/// # Errors
/// It is none.
pub(super) fn batch(body: &[u8]) -> Result<Vec<Message>, HubRefusal> {
    let malformed = |problem: String| HubRefusal::Malformed(format!("batch: {problem}"));
    let batch: Vec<Batched> =
        serde_json::from_slice(body).map_err(|problem| malformed(problem.to_string()))?;
    let read = |batched: Batched| {
        let mut message = Message {
            body: if batched.base64_encoded {
                let body = STANDARD.decode(&batched.body);
                body.map_err(|problem| malformed(problem.to_string()))?
            } else {
                batched.body.into_bytes()
            },
            ..Message::default()
        };
        for (name, value) in batched.properties {
            add(&mut message, &name.to_ascii_lowercase(), value);
        }
        Ok(message)
    };
    batch.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_messages_are_told_from_others() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("iothub-messageid", "7"),
            ("iothub-app-level", "high"),
            ("iothub-to", "/devices/d/messages/events"),
            ("user-agent", "x"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let message = of_request(&headers, b"body");
        assert_eq!(message.system.message_id.as_deref(), Some("7"));
        assert_eq!(
            message.properties,
            [("level".to_owned(), "high".to_owned())]
        );
        assert_eq!(message.body, b"body");
    }

    #[test]
    fn a_batch_is_read_as_the_sdk_writes_it() {
        let read = batch(
            br#"[{"body": "aGk=", "properties":{"iothub-app-a":"1"}},{"body":"x","base64Encoded":false}]"#,
        )
        .expect("a batch");
        let bodies: Vec<_> = read.iter().map(|message| message.body.as_slice()).collect();
        assert_eq!(bodies, [&b"hi"[..], b"x"]);
        assert_eq!(read[0].properties, [("a".to_owned(), "1".to_owned())]);
        for bad in ["", "{}", r#"[{"body":"?"}]"#, r#"[{"properties":{}}]"#] {
            assert!(batch(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
