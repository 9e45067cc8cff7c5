//! The hub's MQTT topics, both ways
//! (IoT Hub documentation, "Communicate with an IoT hub using the MQTT protocol").

use super::message::Message;
use super::property_bag;
use crate::ids::ClientId;
use crate::{DecodeError, query};

/// Filter for twin answers.
pub const TWIN_RESPONSE_FILTER: &str = "$iothub/twin/res/#";
/// Filter for desired property changes.
pub const DESIRED_FILTER: &str = "$iothub/twin/PATCH/properties/desired/#";
/// Filter for direct methods.
pub const METHODS_FILTER: &str = "$iothub/methods/POST/#";
/// Filter for cloud-to-device messages that names no device: for one's own, as the embedded C SDK
/// subscribes.
pub const OWN_MESSAGES_FILTER: &str = "devices/+/messages/devicebound/#";

const TWIN_GET: &str = "$iothub/twin/GET/?";
const TWIN_RESPONSE: &str = "$iothub/twin/res/";
const REPORTED: &str = "$iothub/twin/PATCH/properties/reported/?";
const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/?";
const METHOD: &str = "$iothub/methods/POST/";
const METHOD_RESPONSE: &str = "$iothub/methods/res/";

/// Filter for a device's cloud-to-device messages.
pub fn messages_filter(client: &ClientId) -> String {
    format!("{}/messages/devicebound/#", client.path())
}

/// Filters for what other modules of its device send to a module.
pub fn inputs_filters(client: &ClientId) -> [String; 2] {
    ["#", "inputs/#"].map(|rest| format!("{}/{rest}", client.path()))
}

/// What a device publishes to its hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubRequest {
    /// `$iothub/twin/GET/?$rid=…`
    TwinGet {
        /// Echoed verbatim.
        rid: String,
    },
    /// `$iothub/twin/PATCH/properties/reported/?$rid=…`
    ReportedPatch {
        /// Echoed verbatim.
        rid: String,
    },
    /// `$iothub/methods/res/{status}/?$rid=…`
    MethodResponse {
        /// The device's own.
        status: i32,
        /// Of the call.
        rid: String,
    },
    /// `devices/{deviceId}[/modules/{moduleId}]/messages/events/{property bag}`
    Telemetry {
        /// Who sends it.
        client: ClientId,
        /// The bag, as written; [`property_bag::message`] reads it.
        bag: String,
    },
}

impl HubRequest {
    /// Reads a topic.
    ///
    /// # Errors
    /// A topic that a device may not publish to, or a malformed one.
    pub fn parse(topic: &str) -> Result<Self, DecodeError> {
        if let Some(query) = topic.strip_prefix(TWIN_GET) {
            return Ok(Self::TwinGet {
                rid: query::request_id(query)?,
            });
        }
        if let Some(query) = topic.strip_prefix(REPORTED) {
            return Ok(Self::ReportedPatch {
                rid: query::request_id(query)?,
            });
        }
        if let Some(rest) = topic.strip_prefix(METHOD_RESPONSE) {
            return method_response(topic, rest);
        }
        match events(topic) {
            Some((client, bag)) => Ok(Self::Telemetry {
                client: ClientId::of_path(client)?,
                bag: bag.to_owned(),
            }),
            None => Err(unknown(topic)),
        }
    }

    /// Writes the topic.
    pub fn topic(&self) -> String {
        match self {
            Self::TwinGet { rid } => format!("{TWIN_GET}$rid={rid}"),
            Self::ReportedPatch { rid } => format!("{REPORTED}$rid={rid}"),
            Self::MethodResponse { status, rid } => {
                format!("{METHOD_RESPONSE}{status}/?$rid={rid}")
            }
            Self::Telemetry { client, bag } => {
                format!("{}/messages/events/{bag}", client.path())
            }
        }
    }
}

/// Who sends, and the bag. Slashes may stand behind the bag, as some clients write it.
fn events(topic: &str) -> Option<(&str, &str)> {
    let (client, bag) = topic
        .strip_prefix("devices/")?
        .split_once("/messages/events")?;
    match bag.strip_prefix('/') {
        Some(bag) => Some((client, bag.trim_end_matches('/'))),
        None if bag.is_empty() => Some((client, bag)),
        None => None,
    }
}

fn method_response(topic: &str, rest: &str) -> Result<HubRequest, DecodeError> {
    let (status, query) = rest.split_once("/?").ok_or_else(|| unknown(topic))?;
    let status = status
        .parse()
        .map_err(|_| DecodeError::new("topic", format!("\"{status}\" is no status of a method")))?;
    Ok(HubRequest::MethodResponse {
        status,
        rid: query::request_id(query)?,
    })
}

fn unknown(topic: &str) -> DecodeError {
    DecodeError::new(
        "topic",
        format!("\"{topic}\" is none a device may publish to"),
    )
}

/// Topic of a twin answer: `$iothub/twin/res/{status}/?$rid={rid}`, and `&$version={version}`
/// where something was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TwinResponse {
    /// HTTP status.
    pub status: u16,
    /// Of the request.
    pub rid: String,
    /// The new `$version` of the reported properties.
    pub version: Option<u64>,
}

impl TwinResponse {
    /// Reads it.
    ///
    /// # Errors
    /// The part that is missing or malformed.
    pub fn parse(topic: &str) -> Result<Self, DecodeError> {
        let (status, query) = query::answer(topic, TWIN_RESPONSE)?;
        Ok(Self {
            status,
            rid: query::request_id(query)?,
            version: query::value(query, "$version").map(version).transpose()?,
        })
    }

    /// Writes the topic.
    pub fn topic(&self) -> String {
        let Self {
            status,
            rid,
            version,
        } = self;
        match version {
            Some(version) => format!("{TWIN_RESPONSE}{status}/?$rid={rid}&$version={version}"),
            None => format!("{TWIN_RESPONSE}{status}/?$rid={rid}"),
        }
    }
}

/// What a hub publishes of its own accord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubEvent {
    /// `$iothub/twin/PATCH/properties/desired/?$version=…`
    Desired {
        /// The new `$version`.
        version: u64,
    },
    /// `$iothub/methods/POST/{name}/?$rid=…`
    Method {
        /// The method; as it is, not percent-encoded: the C SDKs look for `component*command`.
        name: String,
        /// To be echoed verbatim.
        rid: String,
    },
    /// `devices/{deviceId}/messages/devicebound/{property bag}`
    Message {
        /// For whom.
        client: ClientId,
        /// The bag, as written; [`property_bag::message`] reads it.
        bag: String,
    },
}

impl HubEvent {
    /// Reads a topic.
    ///
    /// # Errors
    /// A topic that a hub does not publish to, or a malformed one.
    pub fn parse(topic: &str) -> Result<Self, DecodeError> {
        if let Some(query) = topic.strip_prefix(DESIRED) {
            let written = query::value(query, "$version");
            let written = written.ok_or_else(|| DecodeError::new("$version", "is missing"))?;
            return Ok(Self::Desired {
                version: version(written)?,
            });
        }
        let other = || DecodeError::new("topic", format!("\"{topic}\" is none of a hub's"));
        if let Some(rest) = topic.strip_prefix(METHOD) {
            let (name, query) = rest.split_once("/?").ok_or_else(other)?;
            return Ok(Self::Method {
                name: name.to_owned(),
                rid: query::request_id(query)?,
            });
        }
        let (client, bag) = topic
            .strip_prefix("devices/")
            .and_then(|rest| rest.split_once("/messages/devicebound/"))
            .ok_or_else(other)?;
        Ok(Self::Message {
            client: ClientId::of_path(client)?,
            bag: bag.to_owned(),
        })
    }

    /// Writes the topic.
    pub fn topic(&self) -> String {
        match self {
            Self::Desired { version } => format!("{DESIRED}$version={version}"),
            Self::Method { name, rid } => format!("{METHOD}{name}/?$rid={rid}"),
            Self::Message { client, bag } => {
                format!("{}/messages/devicebound/{bag}", client.path())
            }
        }
    }

    /// The topic's event for a message.
    pub fn of_message(client: &ClientId, message: &Message) -> Self {
        Self::Message {
            client: client.clone(),
            bag: property_bag::format(&message.system, &message.properties),
        }
    }
}

fn version(written: &str) -> Result<u64, DecodeError> {
    written
        .parse()
        .map_err(|_| DecodeError::new("$version", format!("\"{written}\" is not a number")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn device() -> ClientId {
        ClientId::parse("d?1").expect("valid")
    }

    #[test]
    fn topics_are_exact_and_read_back() {
        for (request, topic) in [
            (
                HubRequest::TwinGet { rid: "9".into() },
                "$iothub/twin/GET/?$rid=9",
            ),
            (
                HubRequest::ReportedPatch { rid: "a-b".into() },
                "$iothub/twin/PATCH/properties/reported/?$rid=a-b",
            ),
            (
                HubRequest::MethodResponse {
                    status: -1,
                    rid: "1f".into(),
                },
                "$iothub/methods/res/-1/?$rid=1f",
            ),
            (
                HubRequest::Telemetry {
                    client: device(),
                    bag: "%24.mid=1&a=b".into(),
                },
                "devices/d?1/messages/events/%24.mid=1&a=b",
            ),
            (
                HubRequest::Telemetry {
                    client: ClientId::parse("d/$edgeHub").expect("valid"),
                    bag: "a=b".into(),
                },
                "devices/d/modules/$edgeHub/messages/events/a=b",
            ),
        ] {
            assert_eq!(request.topic(), topic);
            assert_eq!(HubRequest::parse(topic), Ok(request));
        }
        for (event, topic) in [
            (
                HubEvent::Desired { version: 4 },
                "$iothub/twin/PATCH/properties/desired/?$version=4",
            ),
            (
                HubEvent::Method {
                    name: "thermostat1*getMaxMinReport".into(),
                    rid: "1f".into(),
                },
                "$iothub/methods/POST/thermostat1*getMaxMinReport/?$rid=1f",
            ),
            (
                HubEvent::Message {
                    client: device(),
                    bag: "a=b".into(),
                },
                "devices/d?1/messages/devicebound/a=b",
            ),
        ] {
            assert_eq!(event.topic(), topic);
            assert_eq!(HubEvent::parse(topic), Ok(event));
        }
        assert_eq!(
            messages_filter(&device()),
            "devices/d?1/messages/devicebound/#"
        );
    }

    #[test]
    fn telemetry_may_come_without_a_bag_or_with_a_slash_behind() {
        for (topic, bag) in [
            ("devices/d?1/messages/events", ""),
            ("devices/d?1/messages/events/", ""),
            ("devices/d?1/messages/events/a=b/", "a=b"),
        ] {
            let telemetry = HubRequest::Telemetry {
                client: device(),
                bag: bag.into(),
            };
            assert_eq!(HubRequest::parse(topic), Ok(telemetry), "{topic}");
        }
    }

    #[test]
    fn twin_answers_carry_a_version_where_something_was_written() {
        let read = TwinResponse {
            status: 200,
            rid: "9".into(),
            version: None,
        };
        assert_eq!(read.topic(), "$iothub/twin/res/200/?$rid=9");
        let written = TwinResponse {
            status: 204,
            rid: "9".into(),
            version: Some(4),
        };
        assert_eq!(written.topic(), "$iothub/twin/res/204/?$rid=9&$version=4");
        for response in [read, written] {
            assert_eq!(TwinResponse::parse(&response.topic()), Ok(response));
        }
    }

    #[test]
    fn other_topics_are_refused() {
        for topic in [
            "",
            "$iothub/twin/GET/",
            "$iothub/twin/GET/?$rid=",
            "$iothub/twin/PATCH/properties/desired/?$rid=1",
            "$iothub/methods/res/ok/?$rid=1",
            "$iothub/methods/res/200",
            "devices/d/messages/eventsx",
            "devices/d/m/messages/events/",
            "devices/d/modules/m/n/messages/events/",
            "devices//messages/events/",
            "devices/d e/messages/events/",
        ] {
            assert!(HubRequest::parse(topic).is_err(), "{topic}");
        }
        for topic in [
            "$iothub/twin/res/",
            "$iothub/twin/res/2000/?$rid=1",
            "$iothub/twin/res/200/?rid=1",
            "$iothub/twin/res/204/?$rid=1&$version=x",
        ] {
            assert!(TwinResponse::parse(topic).is_err(), "{topic}");
        }
        for topic in [
            "$iothub/twin/PATCH/properties/desired/?$version=",
            "$iothub/twin/PATCH/properties/desired/",
            "$iothub/methods/POST/reboot",
            "devices/d/messages/events/",
        ] {
            assert!(HubEvent::parse(topic).is_err(), "{topic}");
        }
    }

    proptest! {
        #[test]
        fn any_topic_is_read_or_refused(
            prefix in prop_oneof![
                Just(""), Just(TWIN_GET), Just(REPORTED), Just(DESIRED), Just(METHOD),
                Just(METHOD_RESPONSE), Just(TWIN_RESPONSE), Just("devices/"),
                Just("devices/d/messages/events/"), Just("devices/d/messages/devicebound/"),
            ],
            rest in ".*",
        ) {
            let topic = format!("{prefix}{rest}");
            if let Ok(request) = HubRequest::parse(&topic) {
                prop_assert_eq!(HubRequest::parse(&request.topic()), Ok(request));
            }
            if let Ok(event) = HubEvent::parse(&topic) {
                prop_assert_eq!(HubEvent::parse(&event.topic()), Ok(event));
            }
            if let Ok(response) = TwinResponse::parse(&topic) {
                prop_assert_eq!(TwinResponse::parse(&response.topic()), Ok(response));
            }
        }
    }
}
