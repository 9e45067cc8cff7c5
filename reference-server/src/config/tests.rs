use fleetstorm_protocol::enrollment::AllocationPolicy;

use super::*;
use crate::hub::config::HubPolicyConfig;
use crate::service::config::credential_policy::CredentialPolicyConfig;
use crate::service::config::{AccessPolicyConfig, LinkedHubConfig};

/// The default with something changed.
fn with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

fn region(name: &str) -> RegionConfig {
    RegionConfig {
        name: name.into(),
        prefixes: Vec::new(),
        latency: std::collections::BTreeMap::new(),
    }
}

fn policy(name: &str) -> HubPolicyConfig {
    HubPolicyConfig {
        name: name.into(),
        key: None,
        permissions: Vec::new(),
    }
}

fn link(host_name: &str, allocation_weight: u32) -> LinkedHubConfig {
    LinkedHubConfig {
        host_name: host_name.into(),
        allocation_weight,
        apply_allocation_policy: true,
    }
}

fn credential_policy(validity_days: u32) -> CredentialPolicyConfig {
    CredentialPolicyConfig {
        name: "factory".into(),
        validity_days,
        ca_certificate: None,
        ca_key: None,
    }
}

#[test]
fn the_default_serves() {
    assert!(Config::default().check().is_ok());
}

#[test]
fn what_can_not_be_served_is_refused_with_its_key() {
    let hub = "hub-1.fleetstorm.test";
    let instance = |number: usize| InstanceConfig {
        id_scope: format!("0ne{number}"),
        name: format!("dps-{number}.test"),
        ..InstanceConfig::default()
    };
    for (config, words) in [
        (with(|c| c.hubs.clear()), "hub: there is none"),
        (with(|c| c.hubs[0].host_name = "a b".into()), "no host name"),
        (
            with(|c| c.hubs = vec![HubConfig::named("a.test"), HubConfig::named("A.test")]),
            "named twice",
        ),
        (
            with(|c| c.hubs[0].region = Some("mars".into())),
            "hub.region: hub-1.fleetstorm.test: \"mars\" is no [[region]]",
        ),
        (
            with(|c| c.hubs[0].service_key = Some("AAAA".into())),
            "hub.service-key: hub-1.fleetstorm.test: has 3 bytes",
        ),
        (
            with(|c| c.hubs[0].access_policies = vec![policy("service"), policy("service")]),
            "hub.access-policy: hub-1.fleetstorm.test: \"service\" is there twice",
        ),
        (
            with(|c| c.hubs[0].access_policies = vec![policy("robot")]),
            "hub.access-policy: hub-1.fleetstorm.test: a policy needs a name and permissions",
        ),
        (
            with(|c| c.hubs[0].access_policies = vec![policy("iothubowner")]),
            "hub.access-policy: hub-1.fleetstorm.test: iothubowner is there without it",
        ),
        (
            with(|c| {
                let key = Some("AAAA".into());
                let bad = HubPolicyConfig {
                    key,
                    ..policy("device")
                };
                c.hubs[0].access_policies = vec![bad];
            }),
            "hub.access-policy.key: hub-1.fleetstorm.test: device: has 3 bytes",
        ),
        (
            with(|c| c.regions = vec![region("a"), region("a")]),
            "region: \"a\" is there twice",
        ),
        (
            with(|c| {
                let mut near = region("near");
                near.latency.insert("far".into(), std::time::Duration::ZERO);
                c.regions.push(near);
            }),
            "region: near.latency: \"far\" is no [[region]]",
        ),
        (with(|c| c.global_endpoint.clear()), "global-endpoint"),
        (with(|c| c.instances.clear()), "instance: there is none"),
        (
            with(|c| c.instances[0].allocation_policy = AllocationPolicy::Custom),
            "instance.allocation-policy: custom can't be the default",
        ),
        (
            with(|c| c.instances[0].credential_policies = vec![credential_policy(91)]),
            "validity-days: factory: must be from 1 to 90, not 91",
        ),
        (
            with(|c| c.instances[0].credential_policies = vec![credential_policy(1); 2]),
            "credential-policy: \"factory\" is there twice",
        ),
        (
            with(|c| {
                let mut half = credential_policy(1);
                half.ca_key = Some("ca.key".into());
                c.instances[0].credential_policies = vec![half];
            }),
            "ca-certificate and ca-key go together",
        ),
        (
            with(|c| c.webhook.concurrent = 0),
            "webhook.concurrent: is 0",
        ),
        (
            with(|c| c.instances[0].id_scope = "a/b".into()),
            "instance.id-scope",
        ),
        (
            with(|c| c.instances[0].name = "a b".into()),
            "instance.name: \"a b\" is no host name",
        ),
        (
            with(|c| c.instances[0].name = hub.into()),
            "instance.name: \"hub-1.fleetstorm.test\" is named twice",
        ),
        (
            with(|c| {
                let mut other = instance(2);
                other.id_scope = "0NE00000001".into();
                c.instances.push(other);
            }),
            "instance.id-scope: \"0NE00000001\" is there twice",
        ),
        (
            with(|c| c.instances = (0..11).map(instance).collect()),
            "instance.subscription",
        ),
        (
            with(|c| c.instances[0].hubs = vec![link("hub-9.test", 1)]),
            "instance.hubs: \"hub-9.test\" is no [[hub]]",
        ),
        (
            with(|c| c.instances[0].hubs = vec![link(hub, 1), link(hub, 1)]),
            "is linked twice",
        ),
        (
            with(|c| c.instances[0].hubs = vec![link(hub, 1001)]),
            "allocation-weight: hub-1.fleetstorm.test: must be from 1 to 1000",
        ),
        (
            with(|c| {
                let nothing = AccessPolicyConfig {
                    name: "reader".into(),
                    key: None,
                    permissions: Vec::new(),
                };
                c.instances[0].access_policies = vec![nothing];
            }),
            "instance.access-policy: a policy needs",
        ),
        (with(|c| c.max_connections = 0), "max-connections"),
        (
            with(|c| c.limits.packet = std::time::Duration::ZERO),
            "limits.packet-ms: is 0",
        ),
    ] {
        let problem = config.check().expect_err(words).to_string();
        assert!(problem.contains(words), "{words}: {problem}");
    }
}

#[test]
fn ten_instances_a_subscription_and_more_in_others() {
    let instance = |number: usize| InstanceConfig {
        id_scope: format!("0ne{number}"),
        name: format!("dps-{number}.test"),
        subscription: format!("s{}", number / 10),
        ..InstanceConfig::default()
    };
    let config = with(|c| c.instances = (0..20).map(instance).collect());
    assert!(config.check().is_ok());
}

#[test]
fn limits_are_read_in_milliseconds_and_written_back() {
    let text = "[limits]\nhandshake-ms = 2500\n";
    let config: Config = toml::from_str(text).expect("a configuration");
    assert_eq!(config.limits.handshake.as_millis(), 2500);
    assert_eq!(config.limits.packet, Limits::default().packet);
    let written = toml::to_string(&config).expect("TOML");
    assert_eq!(toml::from_str::<Config>(&written), Ok(config));
    assert!(toml::from_str::<Config>("[limits]\nhandshake = 1\n").is_err());
}

#[test]
fn a_world_is_read_and_written_back() {
    let text = r#"
[[region]]
name = "westeurope"
prefixes = ["127.1.0.0/16"]
latency = { eastus = "85ms" }

[[region]]
name = "eastus"

[[hub]]
host-name = "hub-weu.test"
region = "westeurope"

[[hub]]
host-name = "hub-eus.test"
region = "eastus"
subscription = "other"

[[instance]]
id-scope = "0ne1"
name = "dps-a.test"
allocation-policy = "geoLatency"
hubs = [{ host-name = "hub-weu.test", allocation-weight = 3 }, { host-name = "hub-eus.test" }]
access-policy = [{ name = "reader", permissions = ["EnrollmentRead"] }]

[[instance]]
id-scope = "0ne2"
name = "dps-b.test"
"#;
    let config: Config = toml::from_str(text).expect("a configuration");
    assert!(config.check().is_ok());
    let written = toml::to_string(&config).expect("TOML");
    assert_eq!(toml::from_str::<Config>(&written).as_ref(), Ok(&config));
    assert_eq!(config.instances[1].linked(&config.hubs).len(), 2);
    let mistaken = text.replace("85ms", "soon");
    let problem = toml::from_str::<Config>(&mistaken).expect_err("no time");
    assert!(
        problem
            .to_string()
            .contains("latency.eastus: \"soon\" is no time")
    );
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("server.toml");
    std::fs::write(&path, "global-endpoint = \"a.test\"\nhttp-port = 1\n").expect("a file");
    let problem = Config::from_file(&path)
        .expect_err("unknown key")
        .to_string();
    assert!(
        problem.contains("line 2") && problem.contains("http-port"),
        "{problem}"
    );
}

/// Names of a table's keys, down to the last.
fn keys(value: &toml::Value, found: &mut Vec<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                found.push(key.clone());
                keys(value, found);
            }
        }
        toml::Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn the_sample_serves_and_has_every_key_with_its_default() {
    let sample = include_str!("../../server.toml");
    let config: Config = toml::from_str(sample).expect("a configuration");
    assert!(config.check().is_ok(), "{:?}", config.check());
    assert_eq!(config.limits, Limits::default());
    let default = Config::default();
    assert_eq!(config.max_connections, default.max_connections);
    assert_eq!(config.seed, default.seed);
    let (first, usual) = (&config.instances[0], &default.instances[0]);
    assert_eq!(first.id_scope, usual.id_scope);
    assert_eq!(first.processing_p99_us, usual.processing_p99_us);
    assert_eq!(first.retry_after_seconds, usual.retry_after_seconds);

    // What is off serves, too, once its # is taken away.
    let is_off = |line: &str| {
        line.strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    let all: String = sample
        .lines()
        .map(|line| if is_off(line) { &line[1..] } else { line })
        .flat_map(|line| [line, "\n"])
        .collect();
    let config: Config = toml::from_str(&all).expect("a configuration");
    assert!(config.check().is_ok(), "{:?}", config.check());
    let mut known = Vec::new();
    keys(&toml::Value::try_from(&config).expect("TOML"), &mut known);
    assert!(known.len() > 60, "{known:?}");
    known.retain(|key| !sample.contains(key.as_str()));
    assert!(known.is_empty(), "the sample lacks {known:?}");
}
