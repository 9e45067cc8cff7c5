//! Who may use the service API: a hub's shared access policies
//! (IoT Hub documentation, "Control access by using shared access signatures").

use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use jiff::Timestamp;

use super::config::{HubConfig, HubPermission, OWNER};
use crate::error::ServeError;
use crate::randomness;
use crate::store::Store;

/// A hub's policies, `iothubowner` first.
#[derive(Clone)]
pub struct HubPolicies(Vec<Policy>);

#[derive(Clone)]
struct Policy {
    name: String,
    key: SymmetricKey,
    permissions: Box<[HubPermission]>,
}

impl Policy {
    /// Whether its key signed a token. Clients of Event Hubs, which name a scheme, sign with the text of
    /// the key and not with what it is the base64 of.
    fn signed(&self, token: &SasToken, now: Timestamp) -> bool {
        let resource = token.resource();
        let by = |key: &[u8]| token.verify(resource, key, now.as_second()).is_ok();
        let text = || String::from(self.key.clone());
        by(self.key.as_bytes()) || resource.contains("://") && by(text().as_bytes())
    }
}

impl HubPolicies {
    /// `iothubowner` alone, with this key.
    pub fn of_owner(key: SymmetricKey) -> Self {
        Self(vec![Policy {
            name: OWNER.into(),
            key,
            permissions: HubPermission::ALL.into(),
        }])
    }

    /// `iothubowner` alone, with a new key.
    pub fn generate() -> Self {
        Self::of_owner(new_key())
    }

    /// As configured. A key that is not given is the one that the store has, else a new one.
    ///
    /// # Errors
    /// A key is none, or the store can't be read or written.
    pub(crate) fn of(hub: &HubConfig, store: &Store) -> Result<Self, ServeError> {
        let kept_as = format!("hub/{}", hub.host_name);
        let mut policies = Self::of_owner(match &hub.service_key {
            None => store.secret(&kept_as, new_key)?,
            Some(key) => parse("hub.service-key", key)?,
        });
        for policy in &hub.access_policies {
            let key = match &policy.key {
                None => store.secret(&format!("{kept_as}/{}", policy.name), new_key)?,
                Some(key) => parse("hub.access-policy.key", key)?,
            };
            policies.0.push(Policy {
                name: policy.name.clone(),
                key,
                permissions: policy.opens().into(),
            });
        }
        Ok(policies)
    }

    /// Whether a token opens `resource` of the hub to do what needs `permission`: it is signed with the
    /// key of a policy that has it, for that or for something that it lies in. If so, until when, in
    /// Unix seconds.
    pub fn admits(
        &self,
        token: &str,
        resource: &str,
        permission: HubPermission,
        now: Timestamp,
    ) -> Option<i64> {
        let token = SasToken::parse(token).ok()?;
        let named = |policy: &&Policy| token.key_name() == Some(policy.name.as_str());
        let policy = self.0.iter().find(named)?;
        let opens = policy.permissions.contains(&permission)
            && lies_in(resource, without_scheme(token.resource()))
            && policy.signed(&token, now);
        opens.then(|| token.holds_until(now.as_second()))
    }

    /// Until when, in Unix seconds, a token holds that is signed with the key of a policy, for the hub or
    /// for something of it. The policy may connect, as the service or for devices.
    pub fn signed(&self, token: &str, host_name: &str, now: Timestamp) -> Option<i64> {
        let resource = SasToken::parse(token).ok()?;
        let resource = without_scheme(resource.resource());
        let opened = if lies_in(resource, host_name) {
            resource
        } else {
            host_name
        };
        [HubPermission::ServiceConnect, HubPermission::DeviceConnect]
            .into_iter()
            .find_map(|permission| self.admits(token, opened, permission, now))
    }

    /// What service SDKs connect with, one a policy.
    pub fn connection_strings(&self, host_name: &str) -> impl Iterator<Item = String> {
        self.0.iter().map(move |Policy { name, key, .. }| {
            let key = String::from(key.clone());
            format!("HostName={host_name};SharedAccessKeyName={name};SharedAccessKey={key}")
        })
    }
}

fn new_key() -> SymmetricKey {
    SymmetricKey::generate::<32>(randomness::fill)
}

fn parse(key: &'static str, written: &str) -> Result<SymmetricKey, ServeError> {
    SymmetricKey::parse(written).map_err(|error| ServeError::Config {
        key,
        problem: error.problem,
    })
}

/// Readers of telemetry sign for `sb://{host}/{path}`.
fn without_scheme(resource: &str) -> &str {
    resource
        .split_once("://")
        .map_or(resource, |(_, rest)| rest)
}

/// Whether a path is another or below it.
pub(crate) fn lies_in(path: &str, other: &str) -> bool {
    let other = other.trim_end_matches('/');
    let (Some(start), Some(rest)) = (path.get(..other.len()), path.get(other.len()..)) else {
        return false;
    };
    !other.is_empty()
        && start.eq_ignore_ascii_case(other)
        && (rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::config::HubPolicyConfig;

    const NOW: i64 = 1_800_000_000;

    fn key(byte: u8) -> SymmetricKey {
        SymmetricKey::from_bytes([byte; 32]).expect("a key")
    }

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).expect("in range")
    }

    fn token(resource: &str, name: Option<&str>, key: u8, expiry: i64) -> String {
        SasToken::format(resource, expiry, name, |text| self::key(key).sign(text))
    }

    #[test]
    fn a_policy_opens_its_hub_and_what_lies_in_it() {
        let policies = HubPolicies::of_owner(key(7));
        let opens = |token: &str, resource: &str| {
            let permission = HubPermission::ServiceConnect;
            let admitted = policies.admits(token, resource, permission, now());
            admitted.is_some()
        };
        let good = token("hub.test", Some(OWNER), 7, NOW + 60);
        assert!(opens(&good, "hub.test"));
        assert!(opens(&good, "hub.test/devices/d"));
        assert!(!opens(&good, "hub.test.evil/devices/d"));
        assert!(!opens(&good, "other.test"));
        let narrow = token("hub.test/devices/d", Some(OWNER), 7, NOW + 60);
        assert!(opens(&narrow, "hub.test/devices/d"));
        assert!(!opens(&narrow, "hub.test"));
        for bad in [
            token("hub.test", Some(OWNER), 8, NOW + 60),
            token("hub.test", Some("device"), 7, NOW + 60),
            token("hub.test", None, 7, NOW + 60),
            token("hub.test", Some(OWNER), 7, NOW - 3600),
            String::new(),
        ] {
            assert!(!opens(&bad, "hub.test"), "{bad}");
        }
        let strings: Vec<_> = policies.connection_strings("hub.test").collect();
        assert_eq!(
            strings,
            ["HostName=hub.test;SharedAccessKeyName=iothubowner;\
             SharedAccessKey=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="]
        );
    }

    #[test]
    fn clients_of_event_hubs_sign_with_the_text_of_the_key() {
        let policies = HubPolicies::of_owner(key(7));
        let text = String::from(key(7));
        let by_text = SymmetricKey::from_bytes(text.into_bytes()).expect("a key");
        let signed = |resource: &str| {
            SasToken::format(resource, NOW + 60, Some(OWNER), |text| by_text.sign(text))
        };
        let opens = |token: &str, resource: &str| {
            let permission = HubPermission::ServiceConnect;
            policies
                .admits(token, resource, permission, now())
                .is_some()
        };
        let token = signed("sb://hub.test/hub");
        assert_eq!(policies.signed(&token, "hub.test", now()), Some(NOW + 60));
        assert!(opens(&token, "hub.test/hub/ConsumerGroups/a"));
        assert!(!opens(&token, "hub.test"));
        assert!(!opens(&token, "hub.test/messages/events"));
        // Nobody else does.
        assert!(!opens(&signed("hub.test"), "hub.test"));
        for other in ["sb://other.test/hub", "sb://hub.test.other/hub", "sb://"] {
            assert_eq!(
                policies.signed(&signed(other), "hub.test", now()),
                None,
                "{other}"
            );
        }
    }

    #[test]
    fn a_policy_opens_what_it_has_the_permission_for() {
        use HubPermission::{DeviceConnect, RegistryRead, RegistryWrite, ServiceConnect};
        let policy = |name: &str, permissions: &[HubPermission]| HubPolicyConfig {
            name: name.into(),
            key: Some(String::from(key(5))),
            permissions: permissions.into(),
        };
        let hub = HubConfig {
            service_key: Some(String::from(key(5))),
            access_policies: vec![
                policy("service", &[]),
                policy("device", &[]),
                policy("registryRead", &[]),
                policy("registryReadWrite", &[]),
                policy("robot", &[RegistryWrite, ServiceConnect]),
            ],
            ..HubConfig::named("hub.test")
        };
        let policies = HubPolicies::of(&hub, &Store::default()).expect("good");
        for (name, expected) in [
            (OWNER, &HubPermission::ALL[..]),
            ("service", &[ServiceConnect]),
            ("device", &[DeviceConnect]),
            ("registryRead", &[RegistryRead]),
            ("registryReadWrite", &[RegistryRead, RegistryWrite]),
            ("robot", &[RegistryWrite, ServiceConnect]),
            ("nobody", &[]),
        ] {
            let token = token("hub.test", Some(name), 5, NOW + 60);
            let opens = |permission: &HubPermission| {
                let admitted = policies.admits(&token, "hub.test", *permission, now());
                admitted.is_some()
            };
            let open: Vec<_> = HubPermission::ALL.into_iter().filter(opens).collect();
            assert_eq!(open, expected, "{name}");
        }
    }
}
