//! `[[instance]]`: a DPS of its own behind the one global endpoint.

use std::path::PathBuf;

use fleetstorm_protocol::enrollment::AllocationPolicy;
use fleetstorm_protocol::ids::IdScope;
use fleetstorm_protocol::quota::Rates;
use serde::{Deserialize, Serialize};

use crate::configured::{default_subscription, is_host};
use crate::error::ServeError;
use crate::hub::config::HubConfig;
use credential_policy::CredentialPolicyConfig;

pub mod credential_policy;

/// Hubs that an instance may have linked (DPS documentation, "Quotas and limits").
const MAX_LINKED_HUBS: usize = 50;
/// Largest weight of a linked hub (DPS documentation, "How to use allocation policies").
const MAX_WEIGHT: u32 = 1000;

/// One tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct InstanceConfig {
    /// Names the instance to devices.
    pub id_scope: String,
    /// Host name of its service endpoint: Azure's is `<name>.azure-devices-provisioning.net`.
    pub name: String,
    /// Whose it is; a subscription has at most ten.
    pub subscription: String,
    /// How hubs are chosen where an enrollment does not say.
    pub allocation_policy: AllocationPolicy,
    /// Hubs that it may assign devices to; all of the server when empty.
    pub hubs: Vec<LinkedHubConfig>,
    /// Who may use its service API; `provisioningserviceowner` with a new key when empty.
    #[serde(rename = "access-policy")]
    pub access_policies: Vec<AccessPolicyConfig>,
    /// CAs that sign certificates for its devices.
    #[serde(rename = "credential-policy", skip_serializing_if = "Vec::is_empty")]
    pub credential_policies: Vec<CredentialPolicyConfig>,
    /// CA certificates that groups may name; verified, for whoever writes this file may say so.
    #[serde(rename = "ca-certificate", skip_serializing_if = "Vec::is_empty")]
    pub ca_certificates: Vec<CaCertificateConfig>,
    /// Median time that an assignment takes, microseconds.
    pub processing_p50_us: u64,
    /// 99th percentile of the same.
    pub processing_p99_us: u64,
    /// `Retry-After` of an unfinished assignment, seconds.
    pub retry_after_seconds: u32,
    /// How often it may be asked: `"azure"`, `"none"` (when absent) or a table of rates.
    pub throttle: Rates,
    /// File of enrollments that it starts with, JSON lines in the form of the service API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrollments: Option<PathBuf>,
}

/// A hub that an instance may assign devices to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LinkedHubConfig {
    /// A `[[hub]]` of the server.
    pub host_name: String,
    /// Its share with hashed allocation, from 1 to 1000.
    #[serde(default = "one")]
    pub allocation_weight: u32,
    /// Whether devices are assigned to it where an enrollment does not name it.
    #[serde(default = "yes")]
    pub apply_allocation_policy: bool,
}

impl LinkedHubConfig {
    /// One with the weight and the part in allocation that hubs have by default.
    pub fn named(host_name: String) -> Self {
        Self {
            host_name,
            allocation_weight: one(),
            apply_allocation_policy: yes(),
        }
    }
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// A CA certificate of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CaCertificateConfig {
    /// As groups name it in `caReferences`.
    pub name: String,
    /// PEM, or DER in base64.
    pub file: PathBuf,
}

/// A shared access policy of the service API (DPS documentation, "Control access").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AccessPolicyConfig {
    /// As connection strings name it.
    pub name: String,
    /// In base64; a new one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it opens.
    pub permissions: Vec<Permission>,
}

/// What a shared access policy may open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Permission {
    /// The instance's own settings.
    ServiceConfig,
    /// Reading enrollments.
    EnrollmentRead,
    /// Changing enrollments.
    EnrollmentWrite,
    /// Reading registration records.
    RegistrationStatusRead,
    /// Deleting registration records.
    RegistrationStatusWrite,
}

impl Permission {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::ServiceConfig,
        Self::EnrollmentRead,
        Self::EnrollmentWrite,
        Self::RegistrationStatusRead,
        Self::RegistrationStatusWrite,
    ];
}

impl Default for InstanceConfig {
    fn default() -> Self {
        Self {
            id_scope: "0ne00000001".into(),
            name: "dps-1.fleetstorm.test".into(),
            subscription: default_subscription(),
            allocation_policy: AllocationPolicy::Hashed,
            hubs: Vec::new(),
            access_policies: Vec::new(),
            credential_policies: Vec::new(),
            ca_certificates: Vec::new(),
            processing_p50_us: 20_000,
            processing_p99_us: 100_000,
            retry_after_seconds: 3,
            throttle: Rates::NONE,
            enrollments: None,
        }
    }
}

impl InstanceConfig {
    /// Whether it can be served with the server's hubs.
    ///
    /// # Errors
    /// The first key that can't be used.
    pub(crate) fn check(&self, hubs: &[HubConfig]) -> Result<(), ServeError> {
        let wrong = |key, problem: String| Err(ServeError::Config { key, problem });
        if let Err(problem) = IdScope::parse(&self.id_scope) {
            return wrong("instance.id-scope", problem.to_string());
        }
        if !is_host(&self.name) {
            let problem = format!("\"{}\" is no host name", self.name);
            return wrong("instance.name", problem);
        }
        if self.allocation_policy == AllocationPolicy::Custom {
            let problem =
                "custom can't be the default: it needs a webhook, which enrollments name".into();
            return wrong("instance.allocation-policy", problem);
        }
        if self.hubs.len() > MAX_LINKED_HUBS {
            let problem = format!(
                "{} are linked, the limit is {MAX_LINKED_HUBS}",
                self.hubs.len()
            );
            return wrong("instance.hubs", problem);
        }
        for (index, link) in self.hubs.iter().enumerate() {
            let is_same = |name: &str| name.eq_ignore_ascii_case(&link.host_name);
            if !hubs.iter().any(|hub| is_same(&hub.host_name)) {
                let known: Vec<_> = hubs.iter().map(|hub| hub.host_name.as_str()).collect();
                let problem = format!(
                    "\"{}\" is no [[hub]] of this server; there are {}",
                    link.host_name,
                    known.join(", ")
                );
                return wrong("instance.hubs", problem);
            }
            if self.hubs[..index]
                .iter()
                .any(|other| is_same(&other.host_name))
            {
                let problem = format!("\"{}\" is linked twice", link.host_name);
                return wrong("instance.hubs", problem);
            }
            if !(1..=MAX_WEIGHT).contains(&link.allocation_weight) {
                let problem = format!(
                    "{}: must be from 1 to {MAX_WEIGHT}, not {}",
                    link.host_name, link.allocation_weight
                );
                return wrong("instance.hubs.allocation-weight", problem);
            }
        }
        for (index, policy) in self.access_policies.iter().enumerate() {
            if policy.name.is_empty() || policy.permissions.is_empty() {
                let problem = "a policy needs a name and permissions".into();
                return wrong("instance.access-policy", problem);
            }
            let before = &self.access_policies[..index];
            if before.iter().any(|other| other.name == policy.name) {
                let problem = format!("\"{}\" is there twice", policy.name);
                return wrong("instance.access-policy", problem);
            }
        }
        CredentialPolicyConfig::check(&self.credential_policies)
    }

    /// Its linked hubs: those it names, else all.
    pub(crate) fn linked(&self, hubs: &[HubConfig]) -> Vec<LinkedHubConfig> {
        if !self.hubs.is_empty() {
            return self.hubs.clone();
        }
        let link = |hub: &HubConfig| LinkedHubConfig {
            host_name: hub.host_name.clone(),
            allocation_weight: 1,
            apply_allocation_policy: true,
        };
        hubs.iter().map(link).collect()
    }
}
