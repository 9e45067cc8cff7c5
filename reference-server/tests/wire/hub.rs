//! A hub as its devices and its service see it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_reference_server::{Config, HubConfig, HubPolicyConfig};

use crate::dialect::{self, Ask};
use crate::instance::{Instance, quick};
use crate::questions::register;

mod amqp;
mod amqp_device;
mod amqp_events;
mod amqp_plain;
mod amqp_service;
mod both_sides;
pub mod device;
pub mod http;
mod https;
mod modules;
mod mqtt;
mod registry;
mod slow;

/// The hub.
pub const HUB: &str = "hub-1.fleetstorm.test";

/// Every byte of the key of its service API.
pub const SERVICE_KEY: u8 = 7;

/// Every byte of the keys of its other policies.
pub const POLICY_KEY: u8 = 8;

/// A server with one hub.
pub fn yard() -> Instance {
    Instance::start(one_hub())
}

/// What it is started with.
pub fn one_hub() -> Config {
    Config {
        hubs: vec![HubConfig {
            service_key: Some(STANDARD.encode([SERVICE_KEY; 32])),
            access_policies: ["service", "device", "registryRead", "registryReadWrite"]
                .map(policy)
                .into(),
            ..HubConfig::named(HUB)
        }],
        kept_messages: 16,
        ..quick()
    }
}

/// One that Azure's hubs come with.
fn policy(name: &str) -> HubPolicyConfig {
    HubPolicyConfig {
        name: name.into(),
        key: Some(STANDARD.encode([POLICY_KEY; 32])),
        permissions: Vec::new(),
    }
}

/// Provisions a device of group `pumps`: it is entered at the hub then.
pub fn provisioned(instance: &Instance, name: &str) -> dialect::Caller {
    let pump = instance.pump(name);
    assigned(instance, &pump);
    pump
}

/// Lets a device that is enrolled register.
pub fn assigned(instance: &Instance, device: &dialect::Caller) {
    let server = instance.server.announcement();
    let ask = dialect::mqtt::DIALECT.ask;
    let accepted = ask(server, device, &register());
    let operation = accepted.body["operationId"].as_str().expect("accepted");
    let ended = ask(server, device, &Ask::OperationStatus(operation.into()));
    assert_eq!(ended.body["registrationState"]["assignedHub"], HUB);
}
