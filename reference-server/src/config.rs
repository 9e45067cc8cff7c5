//! What `fleetstorm serve --config` reads.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use fleetstorm_protocol::ids::IdScope;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};

use crate::hub::access_policy::AccessPolicy;
use crate::limits::Limits;
use crate::serve::ServeError;
use crate::service::ThrottleLimits;

/// A server with one DPS instance and its hubs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// Host name of the global device endpoint.
    pub global_endpoint: String,
    /// Names the instance to devices.
    pub id_scope: String,
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
    /// Linked hubs, by host name; at least one.
    pub hubs: Vec<String>,
    /// Key of the policy `iothubowner` of every hub, in base64, for the service API; a new one when
    /// absent. `serve` announces connection strings.
    pub hub_service_key: Option<String>,
    /// Messages of devices that each hub keeps for `GET /hubs/{hub}/messages/events` of the control
    /// endpoint; 0 keeps none.
    pub kept_messages: usize,
    /// Median time that an assignment takes, microseconds.
    pub processing_p50_us: u64,
    /// 99th percentile of the same.
    pub processing_p99_us: u64,
    /// `Retry-After` of an unfinished assignment, seconds.
    pub retry_after_seconds: u32,
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
    /// How long it waits for its clients.
    pub limits: Limits,
    /// How often devices may ask; as often as they like when absent.
    pub throttle: ThrottleLimits,
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

    /// The policy that opens the hubs' service API.
    ///
    /// # Errors
    /// The key is none.
    pub(crate) fn access_policy(&self) -> Result<AccessPolicy, ServeError> {
        let Some(key) = &self.hub_service_key else {
            return Ok(AccessPolicy::generate());
        };
        AccessPolicy::from_base64(key).map_err(|problem| ServeError::Config {
            key: "hub-service-key",
            problem,
        })
    }

    /// Whether a server can be made of it.
    ///
    /// # Errors
    /// The first key that can't be used.
    pub(crate) fn check(&self) -> Result<(), ServeError> {
        let wrong = |key, problem: String| Err(ServeError::Config { key, problem });
        if self.hubs.is_empty() {
            return wrong("hubs", "is empty: name at least one hub".into());
        }
        let is_host = |name: &str| ServerName::try_from(name).is_ok();
        for (index, hub) in self.hubs.iter().enumerate() {
            if !is_host(hub) {
                return wrong("hubs", format!("\"{hub}\" is no host name"));
            }
            if self.hubs[..index]
                .iter()
                .any(|other| other.eq_ignore_ascii_case(hub))
            {
                return wrong("hubs", format!("\"{hub}\" is named twice"));
            }
        }
        if !is_host(&self.global_endpoint) {
            return wrong(
                "global-endpoint",
                format!("\"{}\" is no host name", self.global_endpoint),
            );
        }
        if let Err(problem) = IdScope::parse(&self.id_scope) {
            return wrong("id-scope", problem.to_string());
        }
        if let Some(key) = self.limits.zero() {
            return wrong(key, "is 0: nobody could keep it".into());
        }
        self.access_policy()?;
        if self.max_connections == 0 {
            return wrong("max-connections", "is 0: nobody could connect".into());
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            global_endpoint: "global.fleetstorm.test".into(),
            id_scope: "0ne00000001".into(),
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            https_port: 0,
            mqtt_port: 0,
            amqp_port: 0,
            control_port: 0,
            hubs: vec![
                "hub-1.fleetstorm.test".into(),
                "hub-2.fleetstorm.test".into(),
            ],
            hub_service_key: None,
            kept_messages: 0,
            processing_p50_us: 20_000,
            processing_p99_us: 100_000,
            retry_after_seconds: 3,
            seed: 1,
            ca_certificate: None,
            ca_key: None,
            threads: 0,
            max_connections: 18_000,
            record_dir: None,
            limits: Limits::default(),
            throttle: ThrottleLimits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_serves() {
        assert!(Config::default().check().is_ok());
    }

    #[test]
    fn what_can_not_be_served_is_refused_with_its_key() {
        for (config, words) in [
            (
                Config {
                    hubs: Vec::new(),
                    ..Config::default()
                },
                "hubs: is empty",
            ),
            (
                Config {
                    hubs: vec!["a b".into()],
                    ..Config::default()
                },
                "no host name",
            ),
            (
                Config {
                    hubs: vec!["a.test".into(), "A.test".into()],
                    ..Config::default()
                },
                "named twice",
            ),
            (
                Config {
                    global_endpoint: String::new(),
                    ..Config::default()
                },
                "global-endpoint",
            ),
            (
                Config {
                    id_scope: "a/b".into(),
                    ..Config::default()
                },
                "id-scope",
            ),
            (
                Config {
                    hub_service_key: Some("AAAA".into()),
                    ..Config::default()
                },
                "hub-service-key: has 3 bytes",
            ),
            (
                Config {
                    max_connections: 0,
                    ..Config::default()
                },
                "max-connections",
            ),
            (
                Config {
                    limits: Limits {
                        packet: std::time::Duration::ZERO,
                        ..Limits::default()
                    },
                    ..Config::default()
                },
                "limits.packet-ms: is 0",
            ),
        ] {
            let problem = config.check().expect_err(words).to_string();
            assert!(problem.contains(words), "{problem}");
        }
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
    fn an_unknown_key_is_named_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("server.toml");
        std::fs::write(&path, "id-scope = \"0ne00000001\"\nhttp-port = 1\n").expect("a file");
        let problem = Config::from_file(&path)
            .expect_err("unknown key")
            .to_string();
        assert!(
            problem.contains("line 2") && problem.contains("http-port"),
            "{problem}"
        );
    }
}
