//! The assigned hub over MQTT: user name and twin topics
//! (IoT Hub documentation, "Communicate with an IoT hub using the MQTT protocol").

use crate::ids::DeviceId;
use crate::{DecodeError, query};

mod message;

pub use message::{MAX_CLOUD_TO_DEVICE, MAX_DEVICE_TO_CLOUD, Message, SystemProperties};

/// The api-version the simulator's devices send to hubs.
pub const API_VERSION: &str = "2021-04-12";
/// Filter for twin answers.
pub const TWIN_RESPONSE_FILTER: &str = "$iothub/twin/res/#";
/// Filter for desired property changes.
pub const DESIRED_FILTER: &str = "$iothub/twin/PATCH/properties/desired/#";

const TWIN_GET: &str = "$iothub/twin/GET/?";
const TWIN_RESPONSE: &str = "$iothub/twin/res/";

/// User name of a CONNECT to a hub: `{hubHost}/{deviceId}/?api-version=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubUserName {
    /// The hub.
    pub host: String,
    /// The device.
    pub device_id: DeviceId,
}

impl HubUserName {
    /// Reads it; a missing `/`, `?` or both before the query is forgiven.
    ///
    /// # Errors
    /// The part that is missing or malformed; modules are not devices.
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        let malformed =
            |problem: &str| DecodeError::new("MQTT user name", format!("\"{text}\" {problem}"));
        let (host, rest) = match text.split_once('/') {
            Some((host, rest)) if !host.is_empty() => (host, rest),
            _ => return Err(malformed("is not {hubHost}/{deviceId}/?api-version=…")),
        };
        let id = match rest.split_once('/') {
            Some((id, "")) => id,
            Some((id, query)) if query.starts_with('?') || first_segment(query).contains('=') => id,
            Some(_) => return Err(malformed("names a module, not a device")),
            // A device id may hold a `?` itself, so only this query ends it.
            None => rest.split_once("?api-version=").map_or(rest, |(id, _)| id),
        };
        Ok(Self {
            host: host.to_owned(),
            device_id: DeviceId::parse(id)?,
        })
    }

    /// Writes it.
    pub fn format(host: &str, device_id: &DeviceId, client_type: &str) -> String {
        let client_type = query::encode(client_type);
        format!("{host}/{device_id}/?api-version={API_VERSION}&DeviceClientType={client_type}")
    }
}

fn first_segment(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

/// What a device publishes to its hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubRequest {
    /// `$iothub/twin/GET/?$rid=…`
    TwinGet {
        /// Echoed verbatim.
        rid: String,
    },
}

impl HubRequest {
    /// Reads a topic.
    ///
    /// # Errors
    /// A topic that a device may not publish to, or a malformed one.
    pub fn parse(topic: &str) -> Result<Self, DecodeError> {
        match topic.strip_prefix(TWIN_GET) {
            Some(query) => Ok(Self::TwinGet {
                rid: query::request_id(query)?,
            }),
            None => Err(DecodeError::new(
                "topic",
                format!("\"{topic}\" is none a device may publish to"),
            )),
        }
    }

    /// Writes the topic.
    pub fn topic(&self) -> String {
        match self {
            Self::TwinGet { rid } => format!("{TWIN_GET}$rid={rid}"),
        }
    }
}

/// Topic of a twin answer: `$iothub/twin/res/{status}/?$rid={rid}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TwinResponse {
    /// HTTP status.
    pub status: u16,
    /// Of the request.
    pub rid: String,
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
        })
    }

    /// Writes the topic.
    pub fn topic(&self) -> String {
        format!("{TWIN_RESPONSE}{}/?$rid={}", self.status, self.rid)
    }
}

/// The resource a hub SAS token signs: `{hubHost}/devices/{deviceId}`.
pub fn sas_resource(host: &str, device_id: &DeviceId) -> String {
    format!("{host}/devices/{device_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_are_read_in_every_spelling() {
        for text in [
            "h.azure-devices.net/d?1/?api-version=2021-04-12&DeviceClientType=x%2F1",
            "h.azure-devices.net/d?1/?api-version=2020-09-30&model-id=dtmi:a;1",
            "h.azure-devices.net/d?1/api-version=2016-11-14",
            "h.azure-devices.net/d?1?api-version=2016-11-14",
            "h.azure-devices.net/d?1/",
            "h.azure-devices.net/d?1",
        ] {
            let name = HubUserName::parse(text).expect(text);
            assert_eq!(
                (name.host.as_str(), name.device_id.as_str()),
                ("h.azure-devices.net", "d?1"),
                "{text}"
            );
        }
        for text in [
            "",
            "h",
            "/d/?api-version=1",
            "h/",
            "h/d/module/?api-version=1x",
            "h/d e/?api-version=1",
        ] {
            assert!(HubUserName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_user_name_is_written_as_the_documentation_has_it() {
        let id = DeviceId::parse("dev").expect("valid");
        assert_eq!(
            HubUserName::format("hub.local", &id, "fleetstorm/0.1"),
            "hub.local/dev/?api-version=2021-04-12&DeviceClientType=fleetstorm%2F0.1"
        );
    }

    #[test]
    fn twin_topics_are_exact_and_read_back() {
        let request = HubRequest::TwinGet { rid: "9".into() };
        assert_eq!(request.topic(), "$iothub/twin/GET/?$rid=9");
        assert_eq!(HubRequest::parse(&request.topic()), Ok(request));
        let response = TwinResponse {
            status: 200,
            rid: "9".into(),
        };
        assert_eq!(response.topic(), "$iothub/twin/res/200/?$rid=9");
        assert_eq!(TwinResponse::parse(&response.topic()), Ok(response));
        let versioned = TwinResponse::parse("$iothub/twin/res/204/?$rid=9&$version=4");
        assert_eq!(
            versioned,
            Ok(TwinResponse {
                status: 204,
                rid: "9".into()
            })
        );
    }

    #[test]
    fn other_topics_are_refused() {
        for topic in [
            "",
            "$iothub/twin/GET/",
            "$iothub/twin/GET/?$rid=",
            "devices/d/messages/events/",
        ] {
            assert!(HubRequest::parse(topic).is_err(), "{topic}");
        }
        for topic in [
            "$iothub/twin/res/",
            "$iothub/twin/res/2000/?$rid=1",
            "$iothub/twin/res/200/?rid=1",
        ] {
            assert!(TwinResponse::parse(topic).is_err(), "{topic}");
        }
    }
}
