//! What `fleetstorm serve --config` reads.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use fleetstorm_protocol::fault::FaultRule;
use serde::{Deserialize, Serialize};

use crate::configured::is_host;
use crate::error::ServeError;
use crate::hub::config::HubConfig;
use crate::limits::Limits;
use crate::regions::RegionConfig;
use crate::service::config::InstanceConfig;
use crate::service::server::ServerSettings;
use crate::store::durability::Durability;
use crate::webhook::config::WebhookConfig;

/// Instances that a subscription may have (DPS documentation, "Quotas and limits").
const MAX_INSTANCES: usize = 10;

/// A server: DPS instances behind one global endpoint, and hubs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// Host name of the global device endpoint.
    pub global_endpoint: String,
    /// Address to listen on.
    pub listen: IpAddr,
    /// HTTPS port; 0 takes a free one.
    pub https_port: u16,
    /// MQTT port; 0 takes a free one.
    pub mqtt_port: u16,
    /// AMQP port, for DPS and hubs; 0 takes a free one.
    pub amqp_port: u16,
    /// Port of the plain HTTP control endpoint (counters, health), always on loopback; 0 takes a free one.
    pub control_port: u16,
    /// Hubs; at least one.
    #[serde(rename = "hub")]
    pub hubs: Vec<HubConfig>,
    /// Where in the world devices and hubs are.
    #[serde(rename = "region")]
    pub regions: Vec<RegionConfig>,
    /// DPS instances; at least one.
    #[serde(rename = "instance")]
    pub instances: Vec<InstanceConfig>,
    /// Messages of devices that each hub keeps for `GET /hubs/{hub}/messages/events` of the control
    /// endpoint; 0 keeps none.
    pub kept_messages: usize,
    /// Versions of the APIs of DPS and hubs that are served beside those that they are known to have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_versions: Vec<String>,
    /// Seeds the processing times.
    pub seed: u64,
    /// Certificate (PEM) of the CA that signs the server's certificate; a throw-away one when absent.
    pub ca_certificate: Option<PathBuf>,
    /// Its private key (PEM, PKCS#8).
    pub ca_key: Option<PathBuf>,
    /// Threads; one a core when 0.
    pub threads: usize,
    /// Most connections at once; more are closed at accept.
    pub max_connections: usize,
    /// Folder to write conversations to, decrypted, a file each, for looking at clients; nothing
    /// is written when absent. What is written holds tokens and keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_dir: Option<PathBuf>,
    /// File to append a diagnostic record to for each operation, JSON lines in the form of the
    /// real service's diagnostic settings; `-` is standard output. Not written when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnostic_log: Option<PathBuf>,
    /// Folder to keep in what has to outlive the server: what it is told, what it answers and what it
    /// makes up; all is in memory when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// What answers wait for, where there is a data folder.
    pub durability: Durability,
    /// How long it waits for its clients.
    pub limits: Limits,
    /// How custom allocation webhooks are called.
    pub webhook: WebhookConfig,
    /// What goes wrong on purpose: the first rule that matches decides.
    #[serde(rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultRule>,
}

impl Config {
    /// Reads a TOML file. Keys left out have their default.
    ///
    /// # Errors
    /// It can't be read, or has unknown keys or wrong values: names file, line and key.
    pub fn from_file(path: &Path) -> Result<Self, ServeError> {
        let failed = |problem: String| ServeError::File {
            path: path.to_owned(),
            problem,
        };
        let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
        toml::from_str(&text).map_err(|e| failed(format!("is no configuration of a server:\n{e}")))
    }

    /// What its instances are told of it.
    pub fn settings(&self) -> ServerSettings<'_> {
        ServerSettings {
            api_versions: &self.api_versions,
            seed: self.seed,
            regions: &self.regions,
            hubs: &self.hubs,
        }
    }

    /// Whether a server can be made of it.
    ///
    /// # Errors
    /// The first key that can't be used.
    pub fn check(&self) -> Result<(), ServeError> {
        let wrong = |key, problem: String| Err(ServeError::Config { key, problem });
        if !is_host(&self.global_endpoint) {
            let problem = format!("\"{}\" is no host name", self.global_endpoint);
            return wrong("global-endpoint", problem);
        }
        if let Some(key) = self.limits.zero() {
            return wrong(key, "is 0: nobody could keep it".into());
        }
        if let Some(key) = self.webhook.zero() {
            return wrong(key, "is 0: no webhook could be called".into());
        }
        if self.max_connections == 0 {
            return wrong("max-connections", "is 0: nobody could connect".into());
        }
        self.check_regions()?;
        self.check_hubs()?;
        self.check_instances()?;
        self.check_host_names()
    }

    fn check_regions(&self) -> Result<(), ServeError> {
        let wrong = |problem: String| {
            Err(ServeError::Config {
                key: "region",
                problem,
            })
        };
        let is_known = |name: &str| self.regions.iter().any(|region| region.name == name);
        for (index, region) in self.regions.iter().enumerate() {
            if self.regions[..index]
                .iter()
                .any(|other| other.name == region.name)
            {
                return wrong(format!("\"{}\" is there twice", region.name));
            }
            if let Some(far) = region.latency.keys().find(|far| !is_known(far)) {
                return wrong(format!(
                    "{}.latency: \"{far}\" is no [[region]] of this server",
                    region.name
                ));
            }
        }
        Ok(())
    }

    fn check_hubs(&self) -> Result<(), ServeError> {
        let wrong = |key, problem: String| Err(ServeError::Config { key, problem });
        if self.hubs.is_empty() {
            return wrong("hub", "there is none: name at least one".into());
        }
        for hub in &self.hubs {
            let name = &hub.host_name;
            if !is_host(name) {
                return wrong("hub.host-name", format!("\"{name}\" is no host name"));
            }
            if let Some(region) = &hub.region
                && !self.regions.iter().any(|known| known.name == *region)
            {
                let problem = format!("{name}: \"{region}\" is no [[region]] of this server");
                return wrong("hub.region", problem);
            }
            hub.check_policies()?;
        }
        Ok(())
    }

    fn check_instances(&self) -> Result<(), ServeError> {
        let wrong = |key, problem: String| Err(ServeError::Config { key, problem });
        if self.instances.is_empty() {
            return wrong("instance", "there is none: name at least one".into());
        }
        for (index, instance) in self.instances.iter().enumerate() {
            instance.check(&self.hubs)?;
            let before = &self.instances[..index];
            let scope = &instance.id_scope;
            if before
                .iter()
                .any(|other| other.id_scope.eq_ignore_ascii_case(scope))
            {
                return wrong("instance.id-scope", format!("\"{scope}\" is there twice"));
            }
            let whose = &instance.subscription;
            let of_same = before.iter().filter(|other| other.subscription == *whose);
            if of_same.count() == MAX_INSTANCES {
                let problem = format!(
                    "\"{whose}\" has more than {MAX_INSTANCES} instances, which is the quota: use another subscription"
                );
                return wrong("instance.subscription", problem);
            }
        }
        Ok(())
    }

    /// Clients are told apart by the name that they ask for.
    fn check_host_names(&self) -> Result<(), ServeError> {
        let hubs = self
            .hubs
            .iter()
            .map(|hub| ("hub.host-name", &hub.host_name));
        let instances = self.instances.iter();
        let instances = instances.map(|instance| ("instance.name", &instance.name));
        let mut seen = HashSet::from([self.global_endpoint.to_ascii_lowercase()]);
        for (key, name) in hubs.chain(instances) {
            if !seen.insert(name.to_ascii_lowercase()) {
                let problem = format!("\"{name}\" is named twice");
                return Err(ServeError::Config { key, problem });
            }
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            global_endpoint: "global.fleetstorm.test".into(),
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            https_port: 0,
            mqtt_port: 0,
            amqp_port: 0,
            control_port: 0,
            hubs: vec![
                HubConfig::named("hub-1.fleetstorm.test"),
                HubConfig::named("hub-2.fleetstorm.test"),
            ],
            regions: Vec::new(),
            instances: vec![InstanceConfig::default()],
            kept_messages: 0,
            api_versions: Vec::new(),
            seed: 1,
            ca_certificate: None,
            ca_key: None,
            threads: 0,
            max_connections: 18_000,
            record_dir: None,
            diagnostic_log: None,
            data_dir: None,
            durability: Durability::default(),
            limits: Limits::default(),
            webhook: WebhookConfig::default(),
            faults: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
