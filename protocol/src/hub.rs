//! The assigned hub: how a device logs in there, messages, MQTT topics and HTTPS paths
//! (IoT Hub documentation, "Communicate with an IoT hub using the MQTT protocol").

use crate::ids::{ClientId, DeviceId, ModuleId};
use crate::{DecodeError, query};

pub mod property_bag;
pub mod route;

mod event_position;
mod message;
mod topic;

pub use event_position::EventPosition;
pub use message::{MAX_CLOUD_TO_DEVICE, MAX_DEVICE_TO_CLOUD, Message, SystemProperties};
pub use topic::{
    DESIRED_FILTER, HubEvent, HubRequest, METHODS_FILTER, OWN_MESSAGES_FILTER,
    TWIN_RESPONSE_FILTER, TwinResponse, inputs_filters, messages_filter,
};

/// The api-version the simulator's devices send to hubs.
pub const API_VERSION: &str = "2021-04-12";
/// Longest name of a device's model, in bytes (Digital Twins Definition Language, "Digital twin
/// model identifier").
const MAX_MODEL_ID: usize = 2048;

/// User name of a CONNECT to a hub: `{hubHost}/{deviceId}[/{moduleId}]/?api-version=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubUserName {
    /// The hub.
    pub host: String,
    /// The device or module.
    pub client: ClientId,
    /// What it says that it is (IoT Plug and Play): `model-id`, if it says it.
    pub model_id: Option<String>,
    /// `api-version`, when given.
    pub api_version: Option<String>,
}

impl HubUserName {
    /// Reads it; a missing `/`, `?` or both before the query is forgiven.
    ///
    /// # Errors
    /// The part that is missing or malformed.
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        let malformed =
            |problem: &str| DecodeError::new("MQTT user name", format!("\"{text}\" {problem}"));
        let (host, rest) = match text.split_once('/') {
            Some((host, rest)) if !host.is_empty() => (host, rest),
            _ => return Err(malformed("is not {hubHost}/{deviceId}/?api-version=…")),
        };
        let (device, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let (device, rest) = cut(device, rest);
        let (client, query) = if is_query(rest) {
            (
                DeviceId::parse(device)?.into(),
                rest.trim_start_matches('?'),
            )
        } else {
            let (module, rest) = rest.split_once('/').unwrap_or((rest, ""));
            if !is_query(rest) {
                return Err(malformed(
                    "is not {hubHost}/{deviceId}/{moduleId}/?api-version=…",
                ));
            }
            let (module, rest) = cut(module, rest);
            let module = ModuleId::parse(module)?;
            let device = DeviceId::parse(device)?;
            (
                ClientId::of_module(device.as_str(), &module),
                rest.trim_start_matches('?'),
            )
        };
        Ok(Self {
            host: host.to_owned(),
            client,
            model_id: match query::value(query, "model-id") {
                None | Some("") => None,
                Some(id) => Some(model_id(&query::decode("model-id", id)?)?),
            },
            api_version: match query::value(query, "api-version") {
                None | Some("") => None,
                Some(version) => Some(query::decode("api-version", version)?),
            },
        })
    }

    /// Writes it.
    pub fn format(host: &str, device_id: &DeviceId, client_type: &str) -> String {
        let client_type = query::encode(client_type);
        format!("{host}/{device_id}/?api-version={API_VERSION}&DeviceClientType={client_type}")
    }
}

/// A model id that a hub keeps.
///
/// # Errors
/// It is too long for one.
pub fn model_id(text: &str) -> Result<String, DecodeError> {
    if text.len() > MAX_MODEL_ID {
        let problem = format!("has {} bytes, the limit is {MAX_MODEL_ID}", text.len());
        return Err(DecodeError::new("model-id", problem));
    }
    Ok(text.to_owned())
}

/// Whether nothing or a query follows.
fn is_query(rest: &str) -> bool {
    let first = rest.split('/').next().unwrap_or_default();
    let is_pair = |(name, _): (&str, &str)| !name.contains('?');
    rest.is_empty() || rest.starts_with('?') || first.split_once('=').is_some_and(is_pair)
}

/// An id whose query follows without a slash. It may hold a `?` itself, so only this query ends it.
fn cut<'a>(id: &'a str, rest: &'a str) -> (&'a str, &'a str) {
    match id.find("?api-version=") {
        Some(end) if rest.is_empty() => (&id[..end], &id[end..]),
        _ => (id, rest),
    }
}

/// The resource a hub SAS token signs: `{hubHost}/devices/{deviceId}[/modules/{moduleId}]`.
pub fn sas_resource(host: &str, client: &ClientId) -> String {
    format!("{host}/{}", client.path())
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
                (name.host.as_str(), name.client.as_str()),
                ("h.azure-devices.net", "d?1"),
                "{text}"
            );
        }
        for text in [
            "",
            "h",
            "/d/?api-version=1",
            "h/",
            "h/d/m/n/?api-version=1",
            "h/d//?api-version=1",
            "h/d e/?api-version=1",
        ] {
            assert!(HubUserName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn modules_stand_behind_their_device() {
        for text in [
            "h/d/$edgeHub/?api-version=2021-04-12&DeviceClientType=x%2F1",
            "h/d/$edgeHub/api-version=2016-11-14",
            "h/d/$edgeHub?api-version=2016-11-14",
            "h/d/$edgeHub/",
            "h/d/$edgeHub",
        ] {
            let name = HubUserName::parse(text).expect(text);
            assert_eq!(name.client.as_str(), "d/$edgeHub", "{text}");
        }
    }

    #[test]
    fn a_model_is_read_where_it_is_named() {
        for (query, model) in [
            (
                "?api-version=2020-09-30&model-id=dtmi:a;1",
                Some("dtmi:a;1"),
            ),
            (
                "?api-version=2020-09-30&DeviceClientType=x&model-id=dtmi%3Aa%3B1",
                Some("dtmi:a;1"),
            ),
            ("api-version=2020-09-30&model-id=dtmi:a;1", Some("dtmi:a;1")),
            ("?api-version=2020-09-30&model-id=", None),
            ("?api-version=2020-09-30", None),
            ("", None),
        ] {
            let name = HubUserName::parse(&format!("h/d/{query}")).expect(query);
            assert_eq!(name.model_id.as_deref(), model, "{query}");
        }
        let long = format!(
            "h/d/?api-version=1&model-id={}",
            "x".repeat(MAX_MODEL_ID + 1)
        );
        assert!(HubUserName::parse(&long).is_err());
        assert!(HubUserName::parse("h/d/?api-version=1&model-id=%ff").is_err());
    }

    #[test]
    fn the_user_name_is_written_as_the_documentation_has_it() {
        let id = DeviceId::parse("dev").expect("valid");
        assert_eq!(
            HubUserName::format("hub.local", &id, "fleetstorm/0.1"),
            "hub.local/dev/?api-version=2021-04-12&DeviceClientType=fleetstorm%2F0.1"
        );
    }
}
