//! A message's properties in an MQTT topic: `$.mid=1&prop=value`, percent-encoded
//! (IoT Hub documentation, "Communicate using MQTT: sending device-to-cloud messages").

use super::message::{Message, SystemProperties};
use crate::{DecodeError, query};

/// How cloud-to-device messages name the feedback that their sender asks for.
const ACKNOWLEDGEMENT: &str = "iothub-ack";

/// Reads a bag. A property without `=` is empty.
///
/// # Errors
/// A name or value that is not UTF-8 when decoded, or a property without a name.
pub fn parse(bag: &str) -> Result<(SystemProperties, Vec<(String, String)>), DecodeError> {
    let mut system = SystemProperties::default();
    let mut properties = Vec::new();
    for pair in bag.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = query::decode("property", name)?;
        let value = query::decode("property", value)?;
        if name.is_empty() {
            return Err(DecodeError::new("property", "has no name"));
        }
        match name.strip_prefix("$.") {
            Some(short) => match system.by_short_name(short) {
                Some(field) => *field = Some(value),
                None => system.others.push((short.to_owned(), value)),
            },
            None if name == ACKNOWLEDGEMENT => system.acknowledgement = Some(value),
            None => properties.push((name, value)),
        }
    }
    Ok((system, properties))
}

/// The message of a topic's bag and its payload.
///
/// # Errors
/// The bag is malformed.
pub fn message(bag: &str, body: &[u8]) -> Result<Message, DecodeError> {
    let (system, properties) = parse(bag)?;
    Ok(Message {
        system,
        properties,
        body: body.to_vec(),
    })
}

/// Writes a bag; `$` becomes `%24`, as IoT Hub writes it.
pub fn format(system: &SystemProperties, properties: &[(String, String)]) -> String {
    let mut bag = String::new();
    let mut add = |name: &str, value: &str| {
        if !bag.is_empty() {
            bag.push('&');
        }
        bag.push_str(&format!("{}={}", query::encode(name), query::encode(value)));
    };
    for (short, value) in system.named() {
        add(&format!("$.{short}"), value);
    }
    if let Some(value) = &system.acknowledgement {
        add(ACKNOWLEDGEMENT, value);
    }
    for (short, value) in &system.others {
        add(&format!("$.{short}"), value);
    }
    for (name, value) in properties {
        add(name, value);
    }
    bag
}

impl SystemProperties {
    fn by_short_name(&mut self, short: &str) -> Option<&mut Option<String>> {
        Some(match short {
            "mid" => &mut self.message_id,
            "cid" => &mut self.correlation_id,
            "uid" => &mut self.user_id,
            "to" => &mut self.to,
            "ct" => &mut self.content_type,
            "ce" => &mut self.content_encoding,
            "exp" => &mut self.expiry,
            "ctime" => &mut self.creation_time,
            _ => return None,
        })
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("mid", &self.message_id),
            ("cid", &self.correlation_id),
            ("uid", &self.user_id),
            ("to", &self.to),
            ("ct", &self.content_type),
            ("ce", &self.content_encoding),
            ("exp", &self.expiry),
            ("ctime", &self.creation_time),
        ];
        fields
            .into_iter()
            .filter_map(|(short, value)| Some((short, value.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bags_are_read_as_the_sdks_write_them() {
        let (system, properties) =
            parse("%24.mid=1%202&$.ct=application%2Fjson&temp%3Dalert=a%26b&flag&%24.sub=pump&x=")
                .expect("a bag");
        assert_eq!(system.message_id.as_deref(), Some("1 2"));
        assert_eq!(system.content_type.as_deref(), Some("application/json"));
        assert_eq!(system.others, [("sub".to_owned(), "pump".to_owned())]);
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            properties,
            [text("temp=alert", "a&b"), text("flag", ""), text("x", "")]
        );
        assert_eq!(parse(""), Ok(Default::default()));
        for bad in ["a=%ff", "%ff=a", "=a"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bags_are_written_as_the_hub_does() {
        let system = SystemProperties {
            to: Some("/devices/d/messages/devicebound".into()),
            message_id: Some("7".into()),
            acknowledgement: Some("full".into()),
            ..SystemProperties::default()
        };
        assert_eq!(
            format(&system, &[("a b".into(), "c/d".into())]),
            "%24.mid=7&%24.to=%2Fdevices%2Fd%2Fmessages%2Fdevicebound&iothub-ack=full&a%20b=c%2Fd"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            message_id in proptest::option::of(".*"),
            expiry in proptest::option::of("[0-9T:Z-]{0,20}"),
            others in proptest::collection::vec(("[x-z]{1,8}", ".*"), 0..3),
            properties in proptest::collection::vec(("[^$].{0,12}", ".*"), 0..5),
        ) {
            let system = SystemProperties {
                message_id,
                expiry,
                others,
                ..SystemProperties::default()
            };
            prop_assert_eq!(parse(&format(&system, &properties)), Ok((system, properties)));
        }

        #[test]
        fn any_text_is_a_bag_or_refused(text in ".*") {
            if let Ok((system, properties)) = parse(&text) {
                prop_assert_eq!(parse(&format(&system, &properties)), Ok((system, properties)));
            }
        }
    }
}
