//! `[[hub]]`: where devices can be assigned to.

use fleetstorm_protocol::symmetric_key::SymmetricKey;
use serde::{Deserialize, Serialize};

use crate::error::ServeError;

/// The policy that every hub has, and that may do everything.
pub(crate) const OWNER: &str = "iothubowner";

/// A hub of the server; instances link hubs by host name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HubConfig {
    /// Host name, unique in the server.
    pub host_name: String,
    /// Name of the `[[region]]` that it stands in; nowhere in particular when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whose it is. An instance may link hubs of other subscriptions.
    #[serde(default = "crate::configured::default_subscription")]
    pub subscription: String,
    /// Key of the policy `iothubowner`, in base64, for the hub's service API; a new one when
    /// absent. `serve` announces connection strings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_key: Option<String>,
    /// Who else may use it, beside `iothubowner`.
    #[serde(
        rename = "access-policy",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub access_policies: Vec<HubPolicyConfig>,
}

/// A shared access policy of a hub (IoT Hub documentation, "Control access by using shared access
/// signatures").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HubPolicyConfig {
    /// As connection strings name it.
    pub name: String,
    /// In base64; a new one when absent. `serve` announces connection strings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it opens. May be left out where the name is one that Azure's hubs come with: `service`,
    /// `device`, `registryRead`, `registryReadWrite`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<HubPermission>,
}

/// What a shared access policy of a hub may open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HubPermission {
    /// Reading identities.
    RegistryRead,
    /// Creating, changing and removing identities.
    RegistryWrite,
    /// Twins, queries, direct methods and messages to devices.
    ServiceConnect,
    /// What devices with keys do.
    DeviceConnect,
}

impl HubPermission {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::RegistryRead,
        Self::RegistryWrite,
        Self::ServiceConnect,
        Self::DeviceConnect,
    ];

    /// Those of a policy that Azure's hubs come with.
    fn of_policy(name: &str) -> &'static [Self] {
        match name {
            "service" => &[Self::ServiceConnect],
            "device" => &[Self::DeviceConnect],
            "registryRead" => &[Self::RegistryRead],
            "registryReadWrite" => &[Self::RegistryRead, Self::RegistryWrite],
            _ => &[],
        }
    }
}

impl HubPolicyConfig {
    /// What it opens: what it says, else what its name stands for.
    pub(crate) fn opens(&self) -> &[HubPermission] {
        match self.permissions.as_slice() {
            [] => HubPermission::of_policy(&self.name),
            permissions => permissions,
        }
    }
}

impl HubConfig {
    /// A hub with this host name, and defaults.
    pub fn named(host_name: impl Into<String>) -> Self {
        Self {
            host_name: host_name.into(),
            region: None,
            subscription: crate::configured::default_subscription(),
            service_key: None,
            access_policies: Vec::new(),
        }
    }

    /// Whether its policies can be used.
    ///
    /// # Errors
    /// The first key that can't.
    pub(crate) fn check_policies(&self) -> Result<(), ServeError> {
        let wrong = |key, problem: &str| {
            let problem = format!("{}: {problem}", self.host_name);
            Err(ServeError::Config { key, problem })
        };
        let problem_of = |key: &Option<String>| {
            let key = key.as_deref().map(SymmetricKey::parse);
            key.and_then(Result::err).map(|error| error.problem)
        };
        if let Some(problem) = problem_of(&self.service_key) {
            return wrong("hub.service-key", &problem);
        }
        for (index, policy) in self.access_policies.iter().enumerate() {
            let (key, name) = ("hub.access-policy", &policy.name);
            let mut before = self.access_policies[..index].iter();
            if name == OWNER {
                return wrong(
                    key,
                    "iothubowner is there without it; service-key is its key",
                );
            }
            if name.is_empty() || policy.opens().is_empty() {
                return wrong(key, "a policy needs a name and permissions");
            }
            if before.any(|other| other.name == *name) {
                return wrong(key, &format!("\"{name}\" is there twice"));
            }
            if let Some(problem) = problem_of(&policy.key) {
                return wrong("hub.access-policy.key", &format!("{name}: {problem}"));
            }
        }
        Ok(())
    }
}
