//! `[[instance.credential-policy]]`: a CA that signs certificates for devices that ask for one as
//! they register. In Azure it stands in a namespace of Azure Device Registry.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::ServeError;

/// Days that an issued certificate may hold (Azure documentation, "Key concepts for certificate
/// management").
const DAYS: std::ops::RangeInclusive<u32> = 1..=90;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CredentialPolicyConfig {
    /// As enrollments name it (`credentialPolicyName`).
    pub name: String,
    /// Days that a certificate holds, from 1 to 90.
    #[serde(default = "month")]
    pub validity_days: u32,
    /// Certificate of the issuing CA (PEM), and above it what devices shall be told of its chain; the
    /// server's own below a root of its own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<PathBuf>,
    /// Its private key (PEM, PKCS#8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_key: Option<PathBuf>,
}

fn month() -> u32 {
    30
}

impl CredentialPolicyConfig {
    /// Whether certificates can be issued by each.
    ///
    /// # Errors
    /// The first key that can't be used.
    pub(super) fn check(all: &[Self]) -> Result<(), ServeError> {
        let wrong = |key, problem: String| Err(ServeError::Config { key, problem });
        for (index, policy) in all.iter().enumerate() {
            let name = &policy.name;
            if name.is_empty() {
                let problem = "a policy needs a name".into();
                return wrong("instance.credential-policy", problem);
            }
            let mut before = all[..index].iter();
            if before.any(|other| other.name.eq_ignore_ascii_case(name)) {
                let problem = format!("\"{name}\" is there twice");
                return wrong("instance.credential-policy", problem);
            }
            if !DAYS.contains(&policy.validity_days) {
                let problem = format!(
                    "{name}: must be from {} to {}, not {}",
                    DAYS.start(),
                    DAYS.end(),
                    policy.validity_days
                );
                return wrong("instance.credential-policy.validity-days", problem);
            }
            if policy.ca_certificate.is_some() != policy.ca_key.is_some() {
                let problem = format!("{name}: ca-certificate and ca-key go together");
                return wrong("instance.credential-policy", problem);
            }
        }
        Ok(())
    }
}
