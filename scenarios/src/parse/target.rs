//! `[target]`: an endpoint that fleetstorm did not start.

use std::net::IpAddr;

use fleetstorm_protocol::ids::IdScope;

use super::kinds::{Text, Whole, kinds, like};
use crate::endpoint::{self, NoHost};
use crate::keys::{Fields, Section, keys};
use crate::ports::Ports;
use crate::table::Value;
use crate::target::Target;

keys! {
    struct TargetKeys:
        "An endpoint that fleetstorm did not start. Left out: the bundled server."
    {
        "endpoint" endpoint: required Endpoint,
            "Host name of the DPS global endpoint, without a port.";
        "id-scope" id_scope: required InstanceScope,
            "The instance; the portal shows it at the service's overview.";
        "ca" ca: optional Text,
            "PEM file with the CAs to trust instead of the system's; relative to the working directory.";
        "connect-to" connect_to: optional Address,
            "Connect to this address, whatever the names resolve to.";
        "https-port" https: default Port = 443,
            "Port of HTTPS, and of MQTT and AMQP over WebSocket.";
        "mqtt-port" mqtt: default Port = 8883,
            "Port of MQTT.";
        "amqp-port" amqp: default Port = 5671,
            "Port of AMQP.";
    }
}

type Port = Whole<u16, 1, { u16::MAX as u64 }>;

kinds! {
    /// A table that may hold nothing: where every key is commented out, none is missing.
    TargetTable -> (): |_: &Value<'_>| Some(()), TargetKeys::schema().without("required");
    Endpoint -> String: host, like(&["global.azure-devices-provisioning.net"]);
    InstanceScope -> String: id_scope, like(&["0ne00A1B2C3"]);
    Address -> IpAddr: address, like(&["127.0.0.1"]);
}

/// The target; none when every key is commented out.
pub(super) fn read(value: &Value<'_>) -> Option<Option<Target>> {
    if value.entries()?.is_empty() {
        return Some(None);
    }
    let keys = TargetKeys::read(value)?;
    Some(Some(Target {
        endpoint: keys.endpoint.read?,
        id_scope: keys.id_scope.read?,
        ca: keys.ca.read?.map(Into::into),
        connect_to: keys.connect_to.read?,
        ports: Ports {
            https: keys.https.read?,
            mqtt: keys.mqtt.read?,
            amqp: keys.amqp.read?,
        },
    }))
}

fn host(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    match endpoint::check(text) {
        Ok(()) => Some(text.into()),
        Err(NoHost { problem, advice }) => value.wrong(problem, advice),
    }
}

pub(super) fn id_scope(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    match IdScope::parse(text) {
        Ok(scope) => Some(scope.as_str().into()),
        Err(error) => value.wrong(
            error.to_string(),
            "the portal shows it at the service's overview, like \"0ne00A1B2C3\"".to_string(),
        ),
    }
}

fn address(value: &Value<'_>) -> Option<IpAddr> {
    let text = value.text()?;
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) => value.wrong(
            format!("\"{text}\" is not an IP address"),
            "like \"127.0.0.1\" or \"::1\", without a port".to_string(),
        ),
    }
}
