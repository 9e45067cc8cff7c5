//! Who may use an instance's service API: its shared access policies
//! (DPS documentation, "Control access to Azure IoT Hub DPS with shared access signatures").

use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use jiff::Timestamp;

use super::config::{AccessPolicyConfig, InstanceConfig, Permission};
use super::refusal::Refusal;
use crate::error::ServeError;
use crate::hub::access_policy::lies_in;
use crate::randomness;
use crate::store::Store;

/// The policy that every instance starts with.
const OWNER: &str = "provisioningserviceowner";

/// An instance's policies.
pub struct AccessPolicies {
    host_name: String,
    policies: Vec<Policy>,
}

struct Policy {
    name: String,
    key: SymmetricKey,
    permissions: Vec<Permission>,
}

impl AccessPolicies {
    /// As configured; the owner's where nothing is. A key that is not given is the one that the store
    /// has, else a new one.
    ///
    /// # Errors
    /// A key is none, or the store can't be read or written.
    pub(crate) fn of(instance: &InstanceConfig, store: &Store) -> Result<Self, ServeError> {
        let owner = || AccessPolicyConfig {
            name: OWNER.into(),
            key: None,
            permissions: Permission::ALL.into(),
        };
        let configured = match instance.access_policies.as_slice() {
            [] => vec![owner()],
            configured => configured.to_vec(),
        };
        let policy = |policy: AccessPolicyConfig| {
            let key = match &policy.key {
                None => {
                    let name = format!("instance/{}/{}", instance.id_scope, policy.name);
                    store.secret(&name, || SymmetricKey::generate::<32>(randomness::fill))?
                }
                Some(key) => SymmetricKey::parse(key).map_err(|error| ServeError::Config {
                    key: "instance.access-policy.key",
                    problem: format!("{}: {}", policy.name, error.problem),
                })?,
            };
            Ok(Policy {
                name: policy.name,
                key,
                permissions: policy.permissions,
            })
        };
        Ok(Self {
            host_name: instance.name.clone(),
            policies: configured
                .into_iter()
                .map(policy)
                .collect::<Result<_, ServeError>>()?,
        })
    }

    /// Whether a token opens what needs `permission`.
    ///
    /// # Errors
    /// No token, one that is not signed by a policy for this instance, or not any more: 401. A
    /// policy without the permission: 403.
    pub fn admit(
        &self,
        token: Option<&str>,
        permission: Permission,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let token = token.and_then(|token| SasToken::parse(token).ok());
        let token = token.ok_or(Refusal::Unauthorized)?;
        let named = |policy: &&Policy| token.key_name() == Some(policy.name.as_str());
        let policy = self.policies.iter().find(named);
        let policy = policy
            .filter(|policy| {
                let key = policy.key.as_bytes();
                lies_in(&self.host_name, token.resource())
                    && token.verify(token.resource(), key, now.as_second()).is_ok()
            })
            .ok_or(Refusal::Unauthorized)?;
        if policy.permissions.contains(&permission) {
            Ok(())
        } else {
            Err(Refusal::Forbidden)
        }
    }

    /// What service SDKs connect with: the first policy's.
    pub fn connection_string(&self) -> Option<String> {
        let Policy { name, key, .. } = self.policies.first()?;
        let (host_name, key) = (&self.host_name, String::from(key.clone()));
        Some(format!(
            "HostName={host_name};SharedAccessKeyName={name};SharedAccessKey={key}"
        ))
    }
}
