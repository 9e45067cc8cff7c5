//! `[target]`: an endpoint that fleetstorm did not start.

use std::net::IpAddr;

use fleetstorm_protocol::ids::IdScope;

use super::optional::or;
use crate::endpoint::{self, NoHost};
use crate::ports::Ports;
use crate::scenario::Target;
use crate::table::Value;

/// The target; none when every key is commented out.
pub(super) fn read(value: &Value<'_>) -> Option<Option<Target>> {
    let mut table = value.table()?;
    if table.is_empty() {
        return Some(None);
    }
    let endpoint = table.require("endpoint").and_then(|value| host(&value));
    let id_scope = table.require("id-scope").and_then(|value| id_scope(&value));
    let ca = or(table.take("ca"), None, |value| {
        Some(Some(value.text()?.into()))
    });
    let connect_to = or(table.take("connect-to"), None, |value| {
        address(&value).map(Some)
    });
    let standard = Ports::default();
    let https = or(table.take("https-port"), standard.https, |v| port(&v));
    let mqtt = or(table.take("mqtt-port"), standard.mqtt, |v| port(&v));
    let amqp = or(table.take("amqp-port"), standard.amqp, |v| port(&v));
    table.finish();
    Some(Some(Target {
        endpoint: endpoint?,
        id_scope: id_scope?,
        ca: ca?,
        connect_to: connect_to?,
        ports: Ports {
            https: https?,
            mqtt: mqtt?,
            amqp: amqp?,
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

fn port(value: &Value<'_>) -> Option<u16> {
    let port = value.integer(1..=u64::from(u16::MAX))?;
    u16::try_from(port).ok()
}
