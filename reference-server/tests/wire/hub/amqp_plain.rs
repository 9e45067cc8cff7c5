//! Tokens in SASL PLAIN, as the Azure CLI and AMQP libraries of other makes show them.

use super::amqp::{data, hub_token, is_accepted, meter};
use super::amqp_device::AmqpDevice;
use super::amqp_service::addressed;
use super::http::policy_token;
use super::{HUB, POLICY_KEY, SERVICE_KEY, provisioned, yard};
use crate::dialect::amqp::find;

const SERVICE_NODE: &str = "/messages/devicebound";
const UNAUTHORIZED: &[u8] = b"amqp:unauthorized-access";

#[test]
fn a_device_logs_in_by_its_name_and_token() {
    let yard = yard();
    meter(&yard, "meter-1");
    meter(&yard, "meter-2");
    for user in [
        "meter-1@sas.hub-1".to_owned(),
        "meter-1@SAS.Hub-1".to_owned(),
        format!("meter-1@sas.{HUB}"),
    ] {
        let device = AmqpDevice::log_in(&yard, &user, &hub_token("meter-1", 3, 60));
        let mut device = device.expect(&user);
        device.attach("events", false, "/devices/meter-1/messages/events");
        assert!(is_accepted(&device.send("events", &data("{}"))));
        let refusal = device.refused(true, "/devices/meter-2/twin");
        assert!(find(&refusal, UNAUTHORIZED).is_some());
        let refusal = device.refused(false, SERVICE_NODE);
        assert!(find(&refusal, UNAUTHORIZED).is_some());
    }
    for (user, token) in [
        ("meter-1@sas.hub-1", hub_token("meter-1", 9, 60)),
        ("meter-1@sas.hub-1", hub_token("meter-2", 3, 60)),
        ("meter-2@sas.hub-1", hub_token("meter-1", 3, 60)),
        ("meter-1@sas.hub-2", hub_token("meter-1", 3, 60)),
        ("meter-9@sas.hub-1", hub_token("meter-9", 3, 60)),
        ("meter-1@sas.hub-1", String::new()),
        ("meter-1@sas.hub-1", policy_token(POLICY_KEY, "service")),
    ] {
        let device = AmqpDevice::log_in(&yard, user, &token);
        assert!(device.is_none(), "{user} {token}");
    }
}

#[test]
fn a_policy_logs_in_for_what_it_opens() {
    let yard = yard();
    meter(&yard, "meter-1");
    provisioned(&yard, "pump-1");
    let log_in = |user: &str, key: u8, policy: &str| {
        AmqpDevice::log_in(&yard, user, &policy_token(key, policy))
    };
    let message = addressed("/devices/pump-1/messages/devicebound", "hi");
    for (policy, key, serves, speaks_for_devices) in [
        ("iothubowner", SERVICE_KEY, true, true),
        ("service", POLICY_KEY, true, false),
        ("device", POLICY_KEY, false, true),
    ] {
        let user = format!("{policy}@sas.root.hub-1");
        let mut back_end = log_in(&user, key, policy).expect(policy);
        if serves {
            back_end.attach("out", false, SERVICE_NODE);
            assert!(is_accepted(&back_end.send("out", &message)), "{policy}");
        } else {
            let refusal = back_end.refused(false, SERVICE_NODE);
            assert!(find(&refusal, UNAUTHORIZED).is_some(), "{policy}");
        }
        let node = "/devices/meter-1/messages/events";
        if speaks_for_devices {
            back_end.attach("events", false, node);
            assert!(
                is_accepted(&back_end.send("events", &data("{}"))),
                "{policy}"
            );
        } else {
            let refusal = back_end.refused(false, node);
            assert!(find(&refusal, UNAUTHORIZED).is_some(), "{policy}");
        }
        // Who proves itself by a certificate is spoken for by nobody.
        let refusal = back_end.refused(true, "/devices/pump-1/twin");
        assert!(find(&refusal, UNAUTHORIZED).is_some(), "{policy}");
    }
    for (user, key, policy) in [
        ("service@sas.root.hub-1", 9, "service"),
        ("service@sas.root.hub-1", SERVICE_KEY, "iothubowner"),
        ("registryRead@sas.root.hub-1", POLICY_KEY, "registryRead"),
        ("service@sas.root.hub-2", POLICY_KEY, "service"),
        ("nobody@sas.root.hub-1", POLICY_KEY, "nobody"),
    ] {
        assert!(log_in(user, key, policy).is_none(), "{user} {policy}");
    }
}
