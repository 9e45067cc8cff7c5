//! The Device Provisioning Service and its IoT hubs, as documented, on one machine.
//!
//! ```text
//! accept (a thread a core, SO_REUSEPORT) -> tls (SNI, client certificate asked, not required)
//!    -> listen  ports  bytes <-> requests, told apart by SNI and content
//!         -> service          DPS: enrollment list, attestation, operations, allocation
//!              -> hub::assignment   the only way from DPS to a hub, a trait
//!         -> hub              devices: authentication, twin, messages, methods; what reaches them
//! ```
//!
//! Listeners hold no DPS logic; the service holds no transport, and is told the time.
//!
//! A server in the process of a test, and a device that registers with a symmetric key:
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//! use std::sync::Arc;
//!
//! use fleetstorm_protocol::sas::SasToken;
//! use fleetstorm_protocol::symmetric_key::SymmetricKey;
//! use fleetstorm_reference_server::serve::ListLine;
//! use fleetstorm_reference_server::{Config, start};
//! use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
//! use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
//!
//! let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
//! let enrollment = serde_json::json!({
//!     "registrationId": "pump-1",
//!     "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}},
//! });
//! let enrollments = [ListLine::from_json(&enrollment.to_string())];
//! let server = start(Config::default(), enrollments.into_iter())?;
//! let says = server.announcement();
//!
//! let mut trusted = RootCertStore::empty();
//! trusted.add(CertificateDer::from_pem_slice(says.ca_pem.as_bytes())?)?;
//! let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
//! let tls = ClientConfig::builder_with_provider(provider)
//!     .with_safe_default_protocol_versions()?
//!     .with_root_certificates(trusted)
//!     .with_no_client_auth();
//! let name = ServerName::try_from(says.global_endpoint.clone())?;
//! let tls = ClientConnection::new(Arc::new(tls), name)?;
//! let mut device = StreamOwned::new(tls, TcpStream::connect(says.https)?);
//!
//! let key = SymmetricKey::parse(key)?;
//! let resource = "0ne00000001/registrations/pump-1";
//! let token = SasToken::format(resource, 4_102_444_800, Some("registration"), |text| key.sign(text));
//! let body = r#"{"registrationId": "pump-1"}"#;
//! write!(
//!     device,
//!     "PUT /{resource}/register?api-version=2019-03-31 HTTP/1.1\r\nHost: {}\r\n\
//!      Authorization: {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
//!     says.global_endpoint,
//!     body.len(),
//! )?;
//! let mut answer = [0; 12];
//! device.read_exact(&mut answer)?;
//! assert_eq!(&answer, b"HTTP/1.1 202");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod api_versions;
pub mod config;
pub mod counters;
pub mod fault;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod hub;
pub mod limits;
pub mod regions;
pub mod serve;
pub mod service;

mod accept;
mod completions;
mod configured;
mod connection_limit;
mod diagnostics;
mod error;
mod held;
mod issuer;
mod listen;
mod memory;
mod metrics;
mod possession;
mod provider;
mod randomness;
mod recording;
mod shards;
mod store;
mod tls;
pub mod webhook;
mod webhook_calls;
mod write_timeout;

pub use config::Config;
pub use counters::Counters;
pub use error::ServeError;
pub use hub::config::{HubConfig, HubPermission, HubPolicyConfig};
pub use limits::Limits;
pub use regions::RegionConfig;
pub use serve::{Announcement, Running, start};
pub use service::config::credential_policy::CredentialPolicyConfig;
pub use service::config::{
    AccessPolicyConfig, CaCertificateConfig, InstanceConfig, LinkedHubConfig, Permission,
};
pub use store::durability::Durability;
pub use webhook::config::WebhookConfig;
