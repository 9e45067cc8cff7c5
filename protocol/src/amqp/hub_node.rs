//! Nodes of an IoT hub: what the links of devices and of the service lead to.

use super::{address, cbs, events};
use crate::ids::{ClientId, DeviceId, ModuleId};
use crate::{DecodeError, query};

const SERVICE_MESSAGES: &str = "messages/devicebound";
const FEEDBACK: &str = "messages/serviceBound/feedback";
/// Telemetry, by the hub's own name for it.
pub const TELEMETRY: &str = "messages/events";

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
}
